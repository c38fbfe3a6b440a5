"""The steps of a long chain, as they came.

Each message of a chain carries all the steps behind it, in Celery's field: so a chain of a thousand steps reads and
writes half a million of them, 5 us each, before it has run anything. But only the next one is anybody's business, and
it stands last. Here the others stay the text they are, which nobody looks at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from leveret.errors import DecodeError
from leveret.logic.serializers import loads_json
from leveret.logic.wire.signatures import Signatures, signature_from_wire
from leveret.model.signature import SignatureSpec

LONG = 2_000
"""Bytes of a body from which on it is worth it."""
_BEGINS = ((b'"chain":[', b'},{"task":', 2), (b'"chain": [', b'}, {"task":', 3))
"""As we and as Python's json write it: what opens a chain, what stands before its last step, where the step begins."""
_END = b"]}]"
_read_raws: Callable[[bytes], list[Raw]] = msgspec.json.Decoder(list[Raw]).decode


class Steps(Signatures):
    """Equal to the tuple of its signatures; each is read, and its `DecodeError` raised, only when it is asked for."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text
        """The steps with commas between them."""

    def __bool__(self) -> bool:
        return bool(self.text)

    def __len__(self) -> int:
        return len(self._raws())

    @overload
    def __getitem__(self, place: int) -> SignatureSpec: ...
    @overload
    def __getitem__(self, place: slice) -> "Steps": ...
    def __getitem__(self, place: int | slice) -> "SignatureSpec | Steps":
        if place == -1 and (found := self._last()) is not None:
            return _signature(found[1], -1)
        if isinstance(place, slice):
            if place == _ALL_BUT_LAST and (found := self._last()) is not None:
                return Steps(self.text[: found[0]].removesuffix(b","))
            return Steps(b",".join(self._raws()[place]))
        return _signature(self._raws()[place], place)

    def __iter__(self) -> Iterator[SignatureSpec]:
        return (_signature(raw, place) for place, raw in enumerate(self._raws()))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Steps) and other.text == self.text:
            return True
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self.text)

    def _raws(self) -> list[Raw]:
        try:
            return _read_raws(b"[%b]" % self.text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(f"embed.chain: {error}") from error

    def _last(self) -> tuple[int, Any] | None:
        """Where the steps before the last one end, and that one; None where it takes a look at all of them.

        Strings hold no bare quotes, so what looks like the gap between two signatures is one; but it may stand inside
        of the last step (its callbacks). Then what follows it is no JSON by itself.
        """
        found = ((self.text.rfind(gap), width) for _, gap, width in _BEGINS)
        at, width = next((one for one in found if one[0] >= 0), (-1, 1))
        try:
            return max(at + 1, 0), loads_json(self.text[at + width :])
        except DecodeError:
            return None


_ALL_BUT_LAST = slice(None, -1)


def _signature(step: Any, place: int) -> SignatureSpec:
    # The same limits as for a whole body: its depth is looked at before it is parsed.
    wire = step if isinstance(step, Mapping) else loads_json(bytes(step))
    return signature_from_wire(wire, f"chain[{place}]")


class _Embed(Struct):
    callbacks: Raw | UnsetType = UNSET
    errbacks: Raw | UnsetType = UNSET
    chord: Raw | UnsetType = UNSET
    chain: list[Raw] | UnsetType = UNSET


_read_body: Callable[[bytes], tuple[Raw, Raw, _Embed]] = msgspec.json.Decoder(tuple[Raw, Raw, _Embed]).decode


def read_long(data: bytes) -> list[Any] | None:
    """The body `[args, kwargs, embed]` of a message that carries a long chain, which it holds as `Steps`; None where it
    carries none, or is to be read in the ordinary way. Raises `DecodeError` as `loads_json` does."""
    if len(data) < LONG or b'"chain"' not in data:
        return None
    return _cut_out(data) or _told_apart(data)


def _cut_out(data: bytes) -> list[Any] | None:
    """Where the chain is the last thing in the body, which is how we write it: the rest is read as if it had none."""
    if not data.endswith(_END):
        return None
    for begin, _, _ in _BEGINS:
        at = data.find(begin)
        if at >= 0:
            try:
                body = loads_json(data[:at] + b'"chain":[]}]')
            except DecodeError:  # of some other chain: a signature's, or an argument's
                return None
            if type(body) is list and len(body) == 3 and type(body[2]) is dict and body[2].get("chain") == []:
                body[2]["chain"] = Steps(data[at + len(begin) : -len(_END)])
                return body
    return None


def _told_apart(data: bytes) -> list[Any] | None:
    try:
        args, kwargs, found = _read_body(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if found.chain is UNSET:
        return None
    embed: dict[str, Any] = {"chain": Steps(b",".join(found.chain))}
    for name in ("callbacks", "errbacks", "chord"):
        raw = getattr(found, name)
        if raw is not UNSET:
            embed[name] = loads_json(bytes(raw))
    return [loads_json(bytes(args)), loads_json(bytes(kwargs)), embed]


def with_steps(body: bytes, steps: Steps, *, alone: bool) -> bytes:
    """A body as JSON, with the steps put into its embed; `alone`: there is nothing else in that."""
    return b"".join((body[:-2], b'"chain":[' if alone else b',"chain":[', steps.text, _END))
