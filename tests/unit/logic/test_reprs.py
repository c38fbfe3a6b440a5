"""What is shown of values, and what of it hides nothing."""

import pytest

from leveret.logic.wire.reprs import is_repr, safe_repr, short_repr


class Broken:
    def __repr__(self) -> str:
        raise ValueError("no")


def test_a_repr_never_raises_and_fits() -> None:
    assert "Broken whose repr() raises ValueError" in safe_repr(Broken())
    assert (len(safe_repr("x" * 5_000)), len(short_repr("x" * 5_000))) == (1_024, 200)


@pytest.mark.parametrize(
    ("text", "value", "mere"),
    [
        ("(1, 2)", (1, 2), True),
        ("[1, 2]", (1, 2), True),
        ("<card>", ("4111",), False),
        ("...", ("4111",), False),
        ("('4...", ("4111",), False),
        (short_repr(("x" * 500,)), ("x" * 500,), True),
        ("('y" + "x" * 150 + "...", ("x" * 500,), False),
    ],
)
def test_what_the_caller_wrote_is_told_from_a_mere_repr(text: str, value: object, mere: bool) -> None:
    assert is_repr(text, value) is mere
