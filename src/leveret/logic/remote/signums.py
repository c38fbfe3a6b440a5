"""The signal somebody names to end a task with."""

from signal import Signals

_ELSEWHERE = {"SIGKILL": 9, "SIGUSR1": 10, "SIGUSR2": 12, "SIGHUP": 1, "SIGQUIT": 3}
"""What Windows does not know: nobody is sent one there, but a client may say so."""


def signal_number(named: object) -> int:
    """Read `TERM`, `SIGTERM`, `sigterm`, `15` or 15. Raises ValueError."""
    text = str(named).strip().upper()
    try:
        if text.isdecimal():
            return Signals(int(text)).value
        name = text if text.startswith("SIG") else f"SIG{text}"
        return _ELSEWHERE[name] if name in _ELSEWHERE and name not in Signals.__members__ else Signals[name].value
    except (KeyError, ValueError):
        raise ValueError(f"{named!r} is no signal: write TERM, KILL, USR1 or a number") from None
