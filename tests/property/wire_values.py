"""Strategies for what travels: every kind of value the json serializer knows, and whole messages."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, Flag, IntEnum, StrEnum

from hypothesis import strategies as st

from leveret.model.message import Embed, Message, TaskId
from leveret.model.signature import SignatureSpec


class Colour(Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(IntEnum):
    LOW = 1
    HIGH = 9


class Word(StrEnum):
    YES = "yes"


class Bits(Flag):
    A = 1
    B = 2


@dataclass(frozen=True)
class Point:
    x: int
    y: object = None


@dataclass
class Tree:
    name: str
    when: datetime | None = None
    children: list["Tree"] = field(default_factory=list)


zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
text = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too
clean_text = st.text(max_size=20)
datetimes = st.datetimes(timezones=zones).map(lambda moment: moment.replace(fold=0))
times = st.times().map(lambda moment: moment.replace(fold=0))
numbers = st.one_of(st.integers(), st.integers(-(10**40), 10**40), st.floats(allow_nan=True, allow_infinity=True))
plain_scalars = st.one_of(st.none(), st.booleans(), numbers, text)
members = st.sampled_from([*Colour, *Level, *Word, Bits.A, Bits.A | Bits.B, Bits(0)])
kinds = st.one_of(
    st.binary(max_size=20),
    datetimes,
    st.dates(),
    times,
    st.decimals(allow_nan=False),
    st.uuids(),
    st.timedeltas(),
    members,
)
hashable = st.one_of(st.integers(), clean_text, st.dates(), st.binary(max_size=5), members, st.tuples(st.integers()))
keys = st.one_of(clean_text, st.sampled_from(["__type__", "__value__", "__leveret__", "a b", ""]))


def containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.builds(Point, st.integers(), inner),
        st.builds(Tree, clean_text, datetimes),
        tag_like(inner),
    )


def tag_like(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """A user's own dicts that look like Celery's tags or ours."""
    names = st.sampled_from(["bytes", "datetime", "uuid", "set", "dict", "dataclass", "enum", "unheard of", ""])
    return st.one_of(
        st.fixed_dictionaries({"__type__": names, "__value__": inner}),
        st.fixed_dictionaries({"__leveret__": names, "__value__": inner}),
        st.fixed_dictionaries({"__type__": names}),
        st.fixed_dictionaries({"__leveret__": names, "more": inner, "__value__": inner}),
    )


values = st.recursive(
    st.one_of(plain_scalars, kinds, st.sets(hashable, max_size=4), st.frozensets(hashable, max_size=4)),
    containers,
    max_leaves=8,
)
plain_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        clean_text,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(clean_text, inner, max_size=4)),
    max_leaves=8,
)


def same(left: object, right: object) -> bool:
    """Equality that also compares types and finds NaN equal to NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and isinstance(right, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(map(same, left.values(), right.values()))
    if isinstance(left, Point) and isinstance(right, Point):
        return left.x == right.x and same(left.y, right.y)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return left == right and left.utcoffset() == right.utcoffset()
    return left == right


names = st.text("abcdefghijklmnopqrstuvwxyz._", min_size=1, max_size=20)
ids = st.uuids().map(str)
moments = st.integers(0, 4 * 10**9).map(float)
maybe = lambda strategy: st.one_of(st.none(), strategy)  # noqa: E731
seconds = st.one_of(st.integers(0, 10**6), st.floats(0, 10**6))
argument_tuples = st.lists(values, max_size=3).map(tuple)
argument_tables = st.dictionaries(clean_text, values, max_size=3)
signatures = st.builds(
    SignatureSpec,
    task=names,
    args=st.lists(plain_values, max_size=2).map(tuple),
    kwargs=st.dictionaries(names, plain_values, max_size=2),
    options=st.dictionaries(names, plain_values, max_size=2),
    subtask_type=maybe(st.sampled_from(["chain", "group", "chord"])),
    immutable=st.booleans(),
    chord_size=maybe(st.integers(0, 99)),
)
signature_lists = st.lists(signatures, max_size=2).map(tuple)
embeds = st.builds(
    Embed, callbacks=signature_lists, errbacks=signature_lists, chain=signature_lists, chord=maybe(signatures)
)
own_headers = st.dictionaries(
    names.map(lambda name: f"my-{name}"), plain_values.filter(lambda v: v is not None), max_size=2
)
messages = st.builds(
    Message,
    id=ids.map(TaskId),
    task=names,
    args=argument_tuples,
    kwargs=argument_tables,
    queue=names,
    priority=maybe(st.integers(0, 255)),
    attempt=st.integers(0, 10),
    not_before=maybe(moments),
    expires=maybe(moments),
    time_limit=maybe(seconds),
    soft_time_limit=maybe(seconds),
    ignore_result=maybe(st.booleans()),
    reply_to=maybe(names),
    root_id=maybe(ids),
    parent_id=maybe(ids),
    group=maybe(ids),
    group_index=maybe(st.integers(0, 100)),
    embed=embeds,
    shadow=maybe(names),
    origin=maybe(names),
    replaced_task_nesting=st.integers(0, 3),
    headers=own_headers,
    serializer=st.sampled_from(["json", "msgpack", "yaml", "pickle"]),
    compression=st.sampled_from([None, "gzip", "bzip2", "zstd"]),
    derived=st.booleans(),
    settings=st.dictionaries(names, st.floats(0, 100), max_size=1),
)
