"""The quick check of a call's arguments says yes and no exactly where Python does."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from leveret.client.tasks.arguments import checker

NAMES = st.sampled_from("abcdz")

FUNCTIONS = [
    lambda: None,
    lambda a: None,
    lambda a, b: None,
    lambda a, b=1: None,
    lambda a=1, b=2: None,
    lambda a, b, c=3, d=4: None,
    lambda a, *rest: None,
    lambda a, *, b: None,
    lambda a, /, b: None,
    lambda a, **more: None,
    lambda *rest, **more: None,
]


@given(st.sampled_from(FUNCTIONS), st.lists(st.integers(), max_size=5), st.dictionaries(NAMES, st.integers()))
def test_a_call_is_refused_exactly_where_python_refuses_it(
    function: Any, args: list[int], kwargs: dict[str, int]
) -> None:
    check = checker(function)
    assert check is not None

    assert _raises(lambda: check(tuple(args), kwargs)) == _raises(lambda: function(*args, **kwargs))


def _raises(call: Any) -> bool:
    try:
        call()
    except TypeError:
        return True
    return False
