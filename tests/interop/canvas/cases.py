"""Compositions, and what each comes to. `w` has the words of the side that sends (`words.py`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.interop.canvas.words import Words


class Case(NamedTuple):
    """`value`: of the whole. `notes`: what tasks leave for the test, `{"tag": how often}`."""

    name: str
    made: Callable[[Words], Any]
    value: Any
    notes: dict[str, int] = {}
    args: tuple[Any, ...] = ()
    runners: frozenset[str] = frozenset(("leveret", "celery", "both"))


def adds(w: Words, *numbers: int) -> list[Any]:
    return [w.add(number, 1) for number in numbers]


def linked(w: Words) -> Any:
    sig = w.add(1, 2)
    sig.link(w.note(tag="link"))
    return sig


def with_errback(sig: Any, errback: Any) -> Any:
    sig.link_error(errback)
    return sig


def on_body(w: Words, header: list[Any], body: Any, **links: Any) -> Any:
    """A chord whose body has callbacks of its own."""
    if "link" in links:
        body.link(links["link"])
    if "link_error" in links:
        body.link_error(links["link_error"])
    return w.chord(header, body)


CHORD_ERROR = ("ChordError", "raised ValueError('boom')")

CHAINS = (
    Case("a chain", lambda w: w.chain(w.add(1, 1), w.add(2), w.add(3)), 7),
    Case("a chain with a step that takes nothing", lambda w: w.chain(w.add(1, 1), w.add(2, 2).set(immutable=True)), 4),
    Case("a chain that is told its first argument", lambda w: w.chain(w.add(1), w.add(2)), 8, args=(5,)),
    Case("a chain of chains", lambda w: w.chain(w.chain(w.add(1, 1), w.add(2)), w.chain(w.add(3), w.add(4))), 11),
    Case("a retry in a chain", lambda w: w.chain(w.add(1, 1), w.twice(), w.add(1)), 5),
    Case("a link", linked, 3, notes={"link": 1}),
    Case(
        "an error callback of a chain's second step",
        lambda w: with_errback(w.chain(w.same("ValueError"), w.fail("boom"), w.add(1)), w.note(tag="errback")),
        ("ValueError", "boom"),
        notes={"errback": 1},
    ),
    Case("map", lambda w: w.xmap(w.total(), [[1, 2], [3, 4]]), [3, 7]),
    Case("starmap", lambda w: w.xstarmap(w.add(), [(1, 2), (3, 4)]), [3, 7]),
)

GROUPS = (
    Case("a group", lambda w: w.group(adds(w, 1, 2, 3)), [2, 3, 4]),
    Case("a group of chains", lambda w: w.group([w.chain(w.add(n, 1), w.add(1)) for n in range(3)]), [2, 3, 4]),
    Case("a group in a group", lambda w: w.group([w.add(0, 1), w.group(adds(w, 1, 2))]), [1, 2, 3]),
    Case("a chain that ends in a group", lambda w: w.chain(w.add(1, 1), w.group([w.add(1), w.add(2)])), [3, 4]),
    Case("chunks", lambda w: w.chunks(w.add(), [(n, n) for n in range(5)], 2), [[0, 2], [4, 6], [8]]),
    Case("a chord in a group", lambda w: w.group([w.chord(adds(w, 1, 2), w.total()), w.add(1, 1)]), [5, 2]),
)

CHORDS = (
    Case("a chord", lambda w: w.chord(adds(w, 1, 2, 3), w.total()), 9),
    Case("a group with a task behind it", lambda w: w.group(adds(w, 1, 2)) | w.total(), 5),
    Case("a chord of one", lambda w: w.chord([w.add(1, 1)], w.total()), 2),
    Case("a chord of thirty", lambda w: w.chord(adds(w, *range(30)), w.same()), list(range(1, 31))),
    Case("a chord of nothing", lambda w: w.chord([], w.total()), 0),
    Case(
        "a body with arguments of its own",
        lambda w: w.chord(adds(w, 1, 2), w.echo("own", k=1)),
        [[[2, 3], "own"], {"k": 1}],
    ),
    Case("a body that takes nothing", lambda w: w.chord(adds(w, 1, 2), w.add(3, 4).set(immutable=True)), 7),
    Case("a body that is a chain", lambda w: w.chord(adds(w, 1, 2), w.chain(w.total(), w.add(1), w.add(1))), 7),
    Case("a body that is a group", lambda w: w.chord(adds(w, 1, 2), w.group([w.total(), w.same()])), [5, [2, 3]]),
    Case("a body that is a chord", lambda w: w.chord(adds(w, 1, 2), w.chord([w.total(), w.total()], w.total())), 10),
    Case("a header of chains", lambda w: w.chord([w.chain(w.add(n, 1), w.add(1)) for n in range(3)], w.total()), 9),
    Case("a header with a group in it", lambda w: w.chord([w.add(0, 1), w.group(adds(w, 1, 2))], w.total()), 6),
    Case(
        "a header of chains that end in groups",
        lambda w: w.chord([w.chain(w.add(1, 1), w.group([w.add(1), w.add(2)])), w.add(0, 0)], w.same()),
        [[3, 4], 0],
    ),
    Case(
        "a header of chords whose bodies are groups",
        lambda w: w.chord([w.chord(adds(w, 1, 2), w.group([w.total(), w.same()])), w.add(0, 0)], w.same()),
        [[5, [2, 3]], 0],
    ),
    Case("a chord of chords", lambda w: w.chord([w.chord(adds(w, n, n), w.total()) for n in (1, 2)], w.total()), 10),
    Case(
        "a chord of chords with chains as bodies",
        lambda w: w.chord([w.chord(adds(w, n, n), w.chain(w.total(), w.add(1))) for n in (1, 2)], w.total()),
        12,
    ),
    Case("a step behind a chord", lambda w: w.chain(w.chord(adds(w, 1, 2), w.total()), w.add(1)), 6),
    Case(
        "a step before a chord", lambda w: w.chain(w.add(1, 1), w.group([w.add(1), w.add(2)]), w.total(), w.add(1)), 8
    ),
    Case(
        "a group, a step, a group, a step",
        lambda w: w.chain(w.group(adds(w, 1, 2)), w.total(), w.group([w.add(1), w.add(2)]), w.total()),
        13,
    ),
    Case(
        "maps as a header",
        lambda w: w.chord([w.xmap(w.total(), [[n], [n]]) for n in (1, 2)], w.same()),
        [[1, 1], [2, 2]],
    ),
    Case(
        "members whose results are ignored",
        lambda w: w.chord([w.silent(tag="silent") for _ in range(3)], w.same()),
        ["silent"] * 3,
        notes={"silent": 3},
    ),
    Case("members that add members", lambda w: w.chord([w.adding([n, 5], w.queue) for n in (1, 2)], w.total()), 17),
    Case("members that are retried", lambda w: w.chord([w.retry(1), w.retry(2)], w.firsts()), [1, 2]),
    Case(
        "a link of the body",
        lambda w: on_body(w, adds(w, 1, 2), w.total(), link=w.note(tag="link")),
        5,
        notes={"link": 1},
    ),
)

FAILURES = (
    Case("a member that fails", lambda w: w.chord([w.add(1, 1), w.fail("ValueError", "boom")], w.total()), CHORD_ERROR),
    Case("the only member fails", lambda w: w.chord([w.fail("ValueError", "boom")], w.total()), CHORD_ERROR),
    Case(
        "two members fail: the body's error callback is called once",
        lambda w: on_body(
            w,
            [w.fail("ValueError", "boom"), w.add(1, 1), w.fail("ValueError", "boom")],
            w.total(),
            link_error=w.note(tag="errback"),
        ),
        CHORD_ERROR,
        notes={"errback": 1},
    ),
    Case(
        "an error callback in the new style",
        lambda w: on_body(
            w, [w.fail("ValueError", "boom"), w.add(1, 1)], w.total(), link_error=w.on_error(tag="errback")
        ),
        CHORD_ERROR,
        notes={"errback": 1},
    ),
    Case(
        "the first step of a chain in the header fails",
        lambda w: w.chord([w.chain(w.fail("ValueError", "boom"), w.add(1)), w.add(1, 1)], w.total()),
        CHORD_ERROR,
    ),
    Case(
        "an inner chord fails the outer one",
        lambda w: w.chord([w.chord([w.fail("ValueError", "boom"), w.add(1, 1)], w.total()), w.add(1, 1)], w.total()),
        ("ChordError", "raised ChordError("),
        # A Celery worker that fails a body does not fail what waits for it.
        runners=frozenset(("leveret",)),
    ),
)

REPLACED = (
    Case("a task replaced by another", lambda w: w.chain(w.replaced("task", w.queue), w.add(1)), 4),
    Case("a task replaced by a chain", lambda w: w.chain(w.replaced("chain", w.queue), w.add(1)), 6),
    Case("a task replaced by a group", lambda w: w.chain(w.replaced("group", w.queue), w.total()), 9),
    Case(
        "members replaced by others",
        lambda w: w.chord([w.replaced(kind, w.queue) for kind in ("task", "chain", "chord")], w.total()),
        17,
    ),
    Case("a body that is replaced", lambda w: w.chord(adds(w, 1, 2), w.replaced_body(w.queue)), 6),
)

ON_RABBITMQ = frozenset(
    (
        "a chain that ends in a group",
        "an error callback in the new style",
        "a chord",
        "a chord of one",
        "a header of chains that end in groups",
        "a chord of chords with chains as bodies",
        "a group, a step, a group, a step",
        "members that add members",
        "members that are retried",
        "two members fail: the body's error callback is called once",
        "members replaced by others",
    )
)
"""Where messages come another way, and results do not."""

CASES = (*CHAINS, *GROUPS, *CHORDS, *FAILURES, *REPLACED)
