"""What a producer (producer.py) is told, and what it tells in the end."""

import msgspec


class Sending(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How a producer sends."""

    name: str = "p"
    count: int = 1_000_000
    threads: int = 1
    face: str = "sync"
    """Or "async": coroutines on one loop, as many as `threads`."""
    seconds: tuple[float, float] = (0.005, 0.05)
    pause: float = 0.01
    late: float = 0.0
    """The share of calls that travel over the ladder of delays."""
    twice: float = 0.0
    """The share of calls that ask for a second attempt."""
    results: bool = False
    """Whether each result is waited for."""
    ignored: bool = False
    """Whether the tasks keep no result."""
    patience: float = 60.0
    asks_again: bool = False
    """Whether a wait that ends with the broker's error is begun anew while there is patience."""
    seed: int = 1
    mutant: str = ""


class Figures(msgspec.Struct):
    sent: int = 0
    slowest_send: float = 0.0
    answers: int = 0
    missing: int = 0
    """Results of confirmed calls that did not come."""
    problems: list[str] = []
