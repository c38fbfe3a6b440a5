"""Ids computed from ids, so that a repeated settlement names the same follow-ups and the door stops the copies."""

from hashlib import sha1
from uuid import UUID

from leveret.model.message import TaskId

_VARIANT = "89ab"


def derive(parent: str, *position: str | int) -> TaskId:
    """The id of what stands at `position` under `parent`: a UUID of version 5 (RFC 9562, 5.5).

    >>> derive("a", "link", 0) == derive("a", "link", 0), derive("a", "link", 0) == derive("a", "link", 1)
    (True, False)
    """
    # The unit separator keeps ("a", "b/c") and ("a/b", "c") apart.
    name = "\x1f".join((parent, *map(str, position)))
    digits = sha1(name.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    variant = _VARIANT[int(digits[16], 16) & 3]
    return TaskId(f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}")


def made_at(id: str) -> float | None:
    """When an id was made, in unix seconds, where it tells (a UUID of version 7, docs/adr/0005).

    >>> made_at("0190a3a0-0000-7000-8000-000000000000"), made_at("order-17")
    (1720699092992.0, None)
    """
    try:
        value = UUID(id)
    except ValueError:
        return None
    return (value.int >> 80) / 1000.0 if value.version == 7 else None
