"""The steps of a long chain, as they came.

Each message of a chain carries all the steps behind it, in Celery's field: so a chain of a thousand steps reads and
writes half a million of them, 5 us each, before it has run anything. But only the next one is anybody's business. Here
the others stay the text they are: 70 kB of them are told apart in 0.1 ms and written again in 0.01.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from leveret.logic.serializers import loads_json
from leveret.logic.wire.signatures import signature_from_wire
from leveret.model.signature import SignatureSpec

LONG = 2_000
"""Bytes of a body from which on it is worth it."""


class Steps(Sequence[SignatureSpec]):
    """Equal to the tuple of its signatures; each is read, and its `DecodeError` raised, only when it is asked for."""

    __slots__ = ("raws",)

    def __init__(self, raws: Sequence[Raw]) -> None:
        self.raws = raws

    def __len__(self) -> int:
        return len(self.raws)

    @overload
    def __getitem__(self, place: int) -> SignatureSpec: ...
    @overload
    def __getitem__(self, place: slice) -> "Steps": ...
    def __getitem__(self, place: int | slice) -> "SignatureSpec | Steps":
        if isinstance(place, slice):
            return Steps(self.raws[place])
        # The same limits as for a whole body: its depth is looked at before it is parsed.
        return signature_from_wire(loads_json(bytes(self.raws[place])), f"chain[{place}]")

    def __iter__(self) -> Iterator[SignatureSpec]:
        return (self[place] for place in range(len(self.raws)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Steps) and other.raws == self.raws:
            return True
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(len(self.raws))

    def __repr__(self) -> str:
        return f"<{len(self.raws)} steps>"


class _Embed(Struct):
    callbacks: Raw | UnsetType = UNSET
    errbacks: Raw | UnsetType = UNSET
    chord: Raw | UnsetType = UNSET
    chain: list[Raw] | UnsetType = UNSET


_decode: Callable[[bytes], tuple[Raw, Raw, _Embed]] = msgspec.json.Decoder(tuple[Raw, Raw, _Embed]).decode


def read_long(data: bytes) -> list[Any] | None:
    """The body `[args, kwargs, embed]` of a message that carries a long chain, which it holds as `Steps`; None where it
    carries none, or is to be read in the ordinary way. Raises `DecodeError` as `loads_json` does."""
    if len(data) < LONG or b'"chain"' not in data:
        return None
    try:
        args, kwargs, found = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if found.chain is UNSET:
        return None
    embed: dict[str, Any] = {"chain": Steps(found.chain)}
    for name in ("callbacks", "errbacks", "chord"):
        raw = getattr(found, name)
        if raw is not UNSET:
            embed[name] = loads_json(bytes(raw))
    return [loads_json(bytes(args)), loads_json(bytes(kwargs)), embed]


def with_steps(body: bytes, steps: Steps, *, alone: bool) -> bytes:
    """A body as JSON, with the steps put into its embed; `alone`: there is nothing else in that."""
    chain = b",".join(steps.raws)
    return b"".join((body[:-2], b"" if alone else b",", b'"chain":[', chain, b"]}]"))
