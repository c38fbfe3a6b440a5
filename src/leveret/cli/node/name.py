"""The name of a node: `name@host`, with Celery's `%` letters."""

import socket

DEFAULT = "leveret"


def node_name(given: str | None, host: str | None = None) -> str:
    """Expand `%h` host, `%n` host without its domain, `%d` its domain, `%%` (celery/utils/nodenames.py).

    A name without `@` is of this host.
    """
    host = host or socket.gethostname()
    name, at, place = (given or DEFAULT).partition("@")
    plain, _, domain = host.partition(".")
    letters = {"%h": host, "%n": plain, "%d": domain, "%%": "%"}
    return f"{_expanded(name or DEFAULT, letters)}@{_expanded(place, letters) if at and place else host}"


def _expanded(text: str, letters: dict[str, str]) -> str:
    pieces: list[str] = []
    rest = text
    while rest:
        pair = rest[:2]
        pieces.append(letters.get(pair, rest[0]))
        rest = rest[2:] if pair in letters else rest[1:]
    return "".join(pieces)
