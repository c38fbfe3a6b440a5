import gc
from typing import Any

import pytest

from leveret import chord, group
from leveret.client.canvas.collecting import MANY, put_off


def test_a_large_composition_is_made_without_the_collector_which_is_on_again_after_it(tasks: Any) -> None:
    with put_off(MANY):
        assert not gc.isenabled()
        with put_off(MANY):
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with put_off(MANY - 1):
        assert gc.isenabled()
    with pytest.raises(ValueError, match="as planned"), put_off(MANY):
        raise ValueError("as planned")
    assert gc.isenabled()


def test_members_carry_the_chord_they_belong_to_and_no_other(tasks: Any) -> None:
    """What they carry is written once for all of them."""
    pairs = [chord([tasks.add.s(n, place) for place in range(3)], tasks.total.s(plus=n)) for n in range(3)]

    assert group(pairs).apply_async().get() == [3 + n * 4 for n in range(3)]
