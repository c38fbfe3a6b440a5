"""What is said of a call, from facts; the staged situations are in `tests/e2e/insight`."""

from typing import Any

import pytest

from leveret.logic.insight import codes
from leveret.logic.insight.explain import explain
from leveret.logic.insight.moments import clock, span
from leveret.model.delivery import Charge, Encoded, Place, Whereabouts
from leveret.model.insight.call import Before, CallFacts, Held, Paused, Revoked, Stored
from leveret.model.limiting.gate import Reason

NOW = 1_800_000_000.0
FILE = "/p/.leveret/queue.db"
READY = Whereabouts(place=Place.READY, queue="q", ahead=318)
CLAIMED = Whereabouts(place=Place.CLAIMED, queue="q", node="w1@host")
LATER = Whereabouts(place=Place.DELAYED, queue="q", due=NOW + 54)
DEAD = Whereabouts(
    place=Place.DEAD, queue="q", reason="3 lost processes: signal 11, signal 11, signal 11", since=NOW - 60,
    charges=(Charge(reason="signal 11", at=NOW - 90),) * 3,
)  # fmt: skip
RETRY = Stored(state="RETRY", attempt=0, not_before=NOW + 54, error="ValueError: no", max_retries=4)
REPLACED = Stored(state="RETRY", tombstone=True, replaced_by="app.other")
PAUSED = Paused(kind="queue", name="q", since=NOW - 60, by="ann@web")
AT_54 = f"{clock(NOW + 54, NOW)} (in 54 s)"


def ended(state: str, error: str = "", **more: Any) -> Stored:
    return Stored(state=state, terminal=True, at=NOW - 5, error=error, **more)


def limit(bound: str, **more: Any) -> Reason:
    return Reason(id="1", bound=bound, key="mail", until=NOW + 54, at=NOW - 1, **more)


TABLE: list[tuple[dict[str, Any], str, str]] = [
    ({"stored": ended("SUCCESS", worker="w1", seconds=0.25)}, codes.SUCCEEDED, "on w1 in 0.25 s"),
    ({"stored": ended("SUCCESS"), "made": NOW - 7}, codes.SUCCEEDED, ", 2 s after it was sent"),
    ({"stored": ended("SUCCESS", attempt=2)}, codes.SUCCEEDED, "at attempt 3"),
    ({"stored": ended("SUCCESS", tombstone=True)}, codes.IGNORED, "succeeded; its result was not kept"),
    ({"stored": ended("FAILURE", "ValueError: no")}, codes.FAILED, ": ValueError: no"),
    ({"stored": ended("FAILURE", "Reject: not mine")}, codes.REJECTED, ": not mine"),
    ({"stored": ended("REVOKED", "TaskRevokedError: expired")}, codes.EXPIRED, "its time was over"),
    ({"stored": ended("REVOKED", "TaskRevokedError: no need")}, codes.CANCELLED, ": no need"),
    (
        {"stored": ended("REVOKED", "TaskRevokedError: another task, 7, has its unique key")},
        codes.SUPERSEDED, "7 took its place",
    ),
    ({"stored": ended("REVOKED", "TaskRevokedError: revoked")}, codes.REVOKED, "revoked at"),
    (
        {
            "stored": ended("REVOKED", "TaskRevokedError: revoked"),
            "revoked": Revoked(kind="stamp", name="shop=1", by="ann@web", at=NOW - 9),
        },
        codes.REVOKED, f"by its stamp shop=1 at {clock(NOW - 9, NOW)}, by ann@web",
    ),
    ({"place": DEAD, "stored": ended("FAILURE")}, codes.DEAD, "it killed 3 processes by signal 11"),
    ({"held": Held(node="w1", active=True, since=NOW - 100)}, codes.RUNNING, "(100 s), attempt 1"),
    ({"held": Held(node="w1"), "place": CLAIMED}, codes.CLAIMED, "and not begun"),
    ({"place": CLAIMED, "silent": "w1@host"}, codes.CLAIMED, "w1@host did not say whether it runs"),
    ({"place": CLAIMED, "stored": Stored(state="STARTED")}, codes.RUNNING, "runs on w1@host, attempt 1"),
    ({"place": LATER, "reason": limit("rate", ahead=7)}, codes.RATE, f"`mail` until {AT_54}, 7 ahead of it"),
    ({"place": LATER, "reason": limit("slots")}, codes.SLOTS, f"a concurrency slot of `mail` until {AT_54}"),
    ({"place": LATER, "reason": limit("breaker")}, codes.BREAKER, f"the breaker of `mail` is open until {AT_54}"),
    ({"place": LATER, "reason": limit("budget"), "stored": RETRY}, codes.BUDGET, "attempt 2 of 5, after ValueError: no"),
    ({"place": READY, "pauses": (PAUSED,)}, codes.PAUSED_QUEUE, "queue 'q' is paused by ann@web since"),
    ({"place": LATER, "pauses": (PAUSED,)}, codes.PAUSED_QUEUE, f"delayed until {AT_54}"),
    ({"place": LATER, "stored": RETRY}, codes.RETRY, f"attempt 2 of 5 at {AT_54}, after ValueError: no"),
    ({"stored": RETRY}, codes.RETRY, f"at {AT_54}"),
    ({"place": LATER}, codes.DELAYED, f"delayed until {AT_54}"),
    (
        {"place": READY, "task": "app.sen", "tasks": frozenset(["app.send"]), "queue": "q", "consumers": ("w1",)},
        codes.UNKNOWN_TASK, "has a task 'app.sen' (the nearest they have: app.send)",
    ),
    ({"place": READY, "queue": "q", "consumers": ()}, codes.NO_CONSUMER, f"no worker consumes queue 'q' of {FILE}"),
    ({"place": READY, "queue": "q", "consumers": ("w1",)}, codes.QUEUED, f"318 ahead of it in queue 'q' of {FILE}"),
    ({"queue": "q", "consumers": ("w1",), "waiting": 7}, codes.QUEUED, "7 messages wait in queue 'q'"),
    ({"before": Before(id="g", size=3, done=2, failed=("x",))}, codes.CHORD, "2 of 3 have ended; failed: x"),
    ({"before": Before(id="p", state="PENDING", label="add[p]")}, codes.FOLLOWS, "follows add[p] (PENDING)"),
    ({"stored": REPLACED}, codes.REPLACED, "replaced itself by app.other"),
    ({"place": READY, "stored": REPLACED, "queue": "q", "consumers": ()}, codes.NO_CONSUMER, "no worker consumes"),
    ({"ignored": True}, codes.NOTHING, "nobody wants its result"),
    ({"stores": False}, codes.NOTHING, "no results are kept here"),
    ({"made": NOW - 90_000, "keeps": 86_400.0}, codes.NOTHING, "results are kept for 24 h"),
    ({}, codes.NOTHING, "was never sent to this broker"),
    ({"broken": "refused"}, codes.UNREACHABLE, "nobody can say: refused"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "code", "says"), TABLE)
def test_the_reason_is_named(facts: dict[str, Any], code: str, says: str) -> None:
    found = explain(CallFacts(id="1", now=NOW, address=FILE, **facts))

    assert found.code == code
    assert says in str(found)


def test_every_code_is_said_of_something() -> None:
    said = {code for _, code, _ in TABLE} | {codes.UNIQUE, codes.PAUSED_TASK}

    assert said == codes.ALL
    assert codes.ENDED < codes.ALL


def test_a_limit_it_was_told_of_long_ago_is_no_reason_any_more() -> None:
    old = Reason(id="1", bound="rate", key="mail", until=NOW - 100, at=NOW - 200)
    found = explain(CallFacts(id="1", now=NOW, place=READY, queue="q", consumers=("w1",), reason=old))

    assert found.code == codes.QUEUED


def test_the_attempt_of_a_first_run_is_in_its_message() -> None:
    place = Whereabouts(place=Place.CLAIMED, queue="q", encoded=Encoded({"retries": 3}, b""))

    assert explain(CallFacts(id="1", now=NOW, place=place, held=Held(node="w", active=True))).facts["attempt"] == 4


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.003, "3 ms"), (0.25, "0.25 s"), (42, "42 s"), (600, "10 min"), (12_600, "3.5 h")]
)
def test_spans(seconds: float, words: str) -> None:
    assert span(seconds) == words
    assert clock(NOW - 3 * 86_400, NOW).count("-") == 2, "the date, where it is not today"
