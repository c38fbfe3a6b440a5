"""The app of the chords' kill test: each chord kills one worker process, once, at the step its environment names.

Environment: CANVAS_URL, CANVAS_RESULTS (empty: the broker's own store), CANVAS_FOLDER, CANVAS_STEP.
"""

import os
import signal
from pathlib import Path
from typing import Any

from leveret import Leveret
from leveret.brokers.redis.broker import RedisBroker
from leveret.brokers.redis.endings import Endings
from leveret.brokers.sql import endings
from leveret.brokers.sql.broker import SqlBroker
from leveret.links.sql.backend import SqlBackend

FOLDER, STEP = Path(os.environ["CANVAS_FOLDER"]), os.environ.get("CANVAS_STEP", "")
STEPS = ("header started", "result stored", "seat taken", "body published", "header settled", "body claimed")

app = Leveret(
    "canvas_app",
    broker=os.environ["CANVAS_URL"],
    backend=os.environ.get("CANVAS_RESULTS") or None,
    lease_seconds=4.0,
)


def note(what: str, chord: str) -> None:
    with (FOLDER / "history").open("a") as file:
        file.write(f"{what} {chord}\n")


def die_at(step: str, chord: str | None) -> None:
    """Once for each chord, whichever of its members comes here first."""
    if step != STEP or not chord:
        return
    try:
        os.close(os.open(FOLDER / f"killed-{chord}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@app.task
def member(index: int, chord: str) -> int:
    die_at("header started", chord)
    return index


@app.task
def body(values: list[int], chord: str) -> list[int]:
    note("body", chord)
    die_at("body claimed", chord)
    return values


# The steps between, where they happen: inside the one transaction, or after each of the four.


def chord_of(id: str) -> str | None:
    """Ids are `<chord>` for a body, and told apart from its members' by a list the sender has written."""
    for line in (FOLDER / "members").read_text().splitlines():
        chord, *members = line.split()
        if id in members:
            return chord
    return None


def watch(owner: Any, name: str, after: Any) -> None:
    honest = getattr(owner, name)
    if name in ("take",):

        def plain(*facts: Any) -> Any:
            answer = honest(*facts)
            after(answer, *facts)
            return answer

        setattr(owner, name, plain)
        return

    async def watched(self: Any, batch: Any) -> Any:
        answers = await honest(self, batch)
        after(answers, batch)
        return answers

    setattr(owner, name, watched)


def on_commit(answers: Any, batch: Any) -> None:
    done = [(answer, one) for answer, one in zip(answers, batch, strict=True) if type(answer).__name__ == "Committed"]
    done = [(answer, one) for answer, one in done if one.record is not None]
    # All lines first: what is committed beside a strike is committed too.
    for _, one in done:
        if one.record.terminal and one.record.id.startswith("chord-"):
            note("commit", one.record.id)
    for answer, one in done:
        if one.seat is not None and answer.joined is not None and answer.joined.complete:
            die_at("body published", one.seat.join)
        die_at("header settled", chord_of(one.record.id))


def on_settle(answers: Any, batch: Any) -> None:
    for _ in batch:
        die_at("header settled", LAST.get("chord"))


def on_store(answers: Any, batch: Any) -> None:
    stored = [record for ours, record in zip(answers, batch, strict=True) if ours]
    for record in stored:
        if record.terminal and record.id.startswith("chord-"):
            note("commit", record.id)
    for record in stored:
        chord = chord_of(record.id)
        if chord:
            LAST["chord"] = chord
        die_at("result stored", chord)


def on_arrive(answers: Any, seats: Any) -> None:
    for joined in answers:
        if joined.complete:
            die_at("seat taken", joined.join)


def on_publish(answers: Any, postings: Any) -> None:
    for posting in postings:
        if posting.id.startswith("chord-"):
            die_at("body published", posting.id)


def on_take(joined: Any, connection: Any, seat: Any, *facts: Any) -> None:
    die_at("seat taken", seat.join)
    if joined.complete:
        die_at("body published", seat.join)


LAST: dict[str, str] = {}
"""The chord whose member stored its result last: settling comes after."""

if os.environ["CANVAS_URL"].startswith("redis"):
    watch(RedisBroker, "commit", on_commit)
    honest_set_free = Endings._set_free

    def set_free(self: Any, commitment: Any, found: Any) -> Any:
        # Between the script that has stored the outcome and taken the last seat, and the one that sends and settles.
        die_at("result stored", commitment.seat.join)
        die_at("seat taken", commitment.seat.join)
        return honest_set_free(self, commitment, found)

    Endings._set_free = set_free
elif os.environ.get("CANVAS_RESULTS"):
    watch(SqlBackend, "store", on_store)
    watch(SqlBackend, "arrive", on_arrive)
    watch(SqlBroker, "publish", on_publish)
    watch(SqlBroker, "settle", on_settle)
else:
    watch(SqlBroker, "commit", on_commit)
    watch(endings, "take", on_take)
    honest_store = endings.results.store

    def store(connection: Any, record: Any, *facts: Any) -> bool:
        stored: bool = honest_store(connection, record, *facts)
        die_at("result stored", chord_of(record.id))
        return stored

    endings.results.store = store
