"""Which signal asks the supervisor for what."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct


class Orders(Struct, frozen=True):
    """What a supervisor can be asked. `interrupt` is a warm stop first and a stop now when repeated."""

    terminate: Callable[[], None]
    interrupt: Callable[[], None]
    quit: Callable[[], None]
    reload: Callable[[], None]
    dump: Callable[[], None]


_NAMES: Final[Mapping[str, str]] = {
    "SIGTERM": "terminate",
    "SIGINT": "interrupt",
    "SIGBREAK": "interrupt",
    "SIGQUIT": "quit",
    "SIGHUP": "reload",
    "SIGUSR1": "dump",
}


class Signals:
    """`with Signals(orders):` on a running loop in the main thread; what was set before comes back after."""

    def __init__(self, orders: Orders) -> None:
        self._orders = {
            getattr(signal, name): getattr(orders, order) for name, order in _NAMES.items() if hasattr(signal, name)
        }
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number, order in self._orders.items():
            self._before[number] = signal.getsignal(number)
            try:
                loop.add_signal_handler(number, order)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_, order=order: loop.call_soon_threadsafe(order))

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number, before in self._before.items():
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                pass
            if before is not None:
                signal.signal(number, before)  # type: ignore[arg-type] # what getsignal answered
