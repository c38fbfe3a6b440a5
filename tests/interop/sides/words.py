"""What tasks and callers on both sides know: an exception of the program's own, and one the caller lacks."""

from typing import Any


class OutOfStock(Exception):
    """As a user's own: two arguments, and a text made of them."""

    def __init__(self, item: str, wanted: int) -> None:
        super().__init__(item, wanted)
        self.item, self.wanted = item, wanted

    def __str__(self) -> str:
        return f"{self.wanted} of {self.item} are not there"


def unknown_elsewhere(*args: Any) -> Exception:
    """An error whose class only the worker has."""
    kind = type("OnlyHere", (Exception,), {"__module__": "worker_only"})
    return kind(*args)
