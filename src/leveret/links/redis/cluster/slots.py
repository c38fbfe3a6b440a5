"""Which node of a Redis Cluster has which key, without I/O (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec)."""

from binascii import crc_hqx
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from leveret.links.redis.location import Endpoint, Tcp

SLOTS = 16_384


def slot_of(key: str | bytes) -> int:
    """The slot of a key: of what stands between its first braces, if there is anything, else of all of it."""
    raw = key.encode() if isinstance(key, str) else key
    start = raw.find(b"{")
    if start >= 0:
        end = raw.find(b"}", start + 1)
        if end > start + 1:
            raw = raw[start + 1 : end]
    # CRC16 of XMODEM, which is what `crc_hqx` computes.
    return crc_hqx(raw, 0) % SLOTS


class Atlas:
    """What is known of the slots. `stale`: it has to be asked for again before it is believed."""

    def __init__(self, seeds: Sequence[Endpoint]) -> None:
        self._seeds = tuple(seeds)
        self._owners: dict[int, Endpoint] = {}
        self._masters: tuple[Endpoint, ...] = ()
        self.stale = True

    def owner(self, slot: int) -> Endpoint | None:
        """The master that serves a slot; None where nobody is known to."""
        return self._owners.get(slot)

    @property
    def guides(self) -> tuple[Endpoint, ...]:
        """Whom to ask for the slots, in this order."""
        return tuple(dict.fromkeys((*self._masters, *self._seeds)))

    def learn(self, ranges: Iterable[Sequence[Any]], told_by: Endpoint) -> None:
        """Take the answer of `CLUSTER SLOTS`."""
        owners: dict[int, Endpoint] = {}
        masters: dict[Endpoint, None] = {}
        for first, last, master, *_ in ranges:
            endpoint = _endpoint(master[0], int(master[1]), told_by)
            masters[endpoint] = None
            owners.update(dict.fromkeys(range(int(first), int(last) + 1), endpoint))
        self._owners, self._masters, self.stale = owners, tuple(masters), False

    def note(self, owners: Mapping[int, Endpoint]) -> None:
        """Believe what single slots' old owners said over what was learnt of all."""
        self._owners.update(owners)


def redirected(said: str, told_by: Endpoint) -> tuple[int, Endpoint]:
    """Slot and node of a `MOVED` or an `ASK`, such as `MOVED 3999 127.0.0.1:6381`."""
    _, slot, address = said.split()[:3]
    host, _, port = address.rpartition(":")
    return int(slot), _endpoint(host, int(port), told_by)


def _endpoint(host: str | bytes | None, port: int, told_by: Endpoint) -> Endpoint:
    """A node that does not know its own name is where it was asked."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "?"):
        name = told_by.host if isinstance(told_by, Tcp) else "localhost"
    return Tcp(str(name).strip("[]"), port)
