"""Commands that an app adds to remote control, under Celery's decorators (`celery/worker/control.py:Panel`).

A node runs no code of the app: a worker process of it carries the command out, on a thread of its own.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

from leveret.errors import ImproperlyConfigured
from leveret.logic.remote.commands import CONTROL, INSPECT, KNOWN, Info

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class ControlState:
    """What a command is handed first. Celery's has the consumer too, which is no process of ours."""

    def __init__(self, app: Any, hostname: str) -> None:
        self.app, self.hostname = app, hostname
        self.consumer = None


class _Registry:
    """Process-wide, written at import."""

    commands: dict[str, Info] = {}


def added() -> tuple[Info, ...]:
    """What was added in this process."""
    return tuple(_Registry.commands.values())


def find(name: str) -> Info | None:
    return next((info for info in added() if name in (info.name, info.alias)), None)


def forget(*names: str) -> None:
    """Take commands out again (tests)."""
    for name in names:
        _Registry.commands.pop(name, None)


@overload
def control_command(function: FunctionT, /) -> FunctionT: ...
@overload
def control_command(**facts: Any) -> Callable[[FunctionT], FunctionT]: ...
def control_command(function: Any = None, /, **facts: Any) -> Any:
    """Make a function a command that changes something: `f(state, **arguments)`; what it returns is the answer.

    `name`, `alias`, `args` ((name, type) of what the command line gives by position), `variadic`, `signature`,
    `help`, `default_timeout`, `visible`, as in Celery.
    """
    return _register(function, CONTROL, facts)


@overload
def inspect_command(function: FunctionT, /) -> FunctionT: ...
@overload
def inspect_command(**facts: Any) -> Callable[[FunctionT], FunctionT]: ...
def inspect_command(function: Any = None, /, **facts: Any) -> Any:
    """As `control_command`, for one that only looks: it needs no signature."""
    return _register(function, INSPECT, facts)


def _register(function: Any, kind: str, facts: dict[str, Any]) -> Any:
    if function is None:
        return lambda decorated: _register(decorated, kind, facts)
    given = dict(facts)
    name = given.pop("name", None) or function.__name__
    if name in KNOWN:
        raise ImproperlyConfigured(f"remote control has a command {name!r} already: choose another name")
    words = given.pop("help", None) or (function.__doc__ or "").strip().partition("\n")[0]
    try:
        info = Info(
            name=name,
            kind=kind,
            help=words,
            args=_pairs(given.pop("args", None)),
            signature=given.pop("signature", None) or "",
            function=function,
            **given,
        )
    except TypeError as error:
        raise ImproperlyConfigured(f"command {name!r}: {error}") from error
    _Registry.commands[name] = info
    return function


def _pairs(args: Iterable[Any] | None) -> tuple[tuple[str, Any], ...]:
    return tuple((str(name), kind) for name, kind in args or ())
