"""The work of one run: about fifty tasks of every kind, drawn from the run's dice, and what must become of them."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from leveret.errors import Reject, Snooze
from leveret.logic.ids import derive
from leveret.model.message import NOTHING_FOLLOWS, Embed, Message, TaskId
from leveret.model.request import CURRENT
from leveret.model.signature import SignatureSpec
from leveret.model.state import FAILURE, SUCCESS
from leveret.model.task import RetryPolicy, TaskDefinition

QUEUES = ("fast", "slow")
TASKS = 50
EARLY = "early"
"""Acknowledged when its run starts: at most once."""
FIRES = 3
JOIN_SIZE = 5


class Transient(Exception):
    """What a flaky task raises until it has been tried often enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One task that a producer sends `after` seconds from the start, and the state it must end in."""

    id: str
    task: str
    after: float
    producer: int
    state: str = SUCCESS
    countdown: float | None = None
    lifetime: float | None = None
    """Seconds until it expires."""
    priority: int | None = None
    queue: str = QUEUES[0]
    derived: bool = False
    embed: Embed = NOTHING_FOLLOWS
    seat: tuple[str, int] | None = None
    may_vanish: bool = False
    """At most once: a crash may take it along."""
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def message(self, now: float) -> Message:
        join, index = self.seat or (None, None)
        return Message(
            id=TaskId(self.id),
            task=self.task,
            kwargs=self.kwargs,
            queue=self.queue,
            priority=self.priority,
            not_before=None if self.countdown is None else now + self.countdown,
            expires=None if self.lifetime is None else now + self.lifetime,
            group=join,
            group_index=index,
            embed=self.embed,
            derived=self.derived,
        )


class Tasks:
    """The registry of the simulated app. A run's body is its outcome: the executor has let its time pass already."""

    def __init__(self) -> None:
        self._snoozed: set[str] = set()
        policy = RetryPolicy(
            max_retries=3, default_retry_delay=0.4, autoretry_for=(Transient,), retry_backoff=0.2, retry_backoff_max=1.0
        )
        table: dict[str, Callable[..., Any]] = {
            "ok": ok,
            "fail": fail,
            "flaky": flaky,
            "snooze": self.snooze,
            "reject": reject,
            "killer": ok,
        }
        self._definitions = {name: TaskDefinition(name=name, run=run, retry=policy) for name, run in table.items()}
        for name in ("ok", "flaky", "fail"):
            quiet = replace(self._definitions[name], name=f"{name}_ignored", ignore_result=True)
            self._definitions[quiet.name] = quiet
        plain = self._definitions["ok"]
        self._definitions[EARLY] = replace(plain, name=EARLY, acks_late=False)
        self._definitions["tracked"] = replace(plain, name="tracked", track_started=True)

    def find(self, name: str) -> TaskDefinition | None:
        return self._definitions.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def snooze(self, *lead: Any, seconds: float) -> str:
        request = CURRENT.get()
        assert request is not None
        if request.id not in self._snoozed:
            self._snoozed.add(request.id)
            raise Snooze(0.3)
        return "rested"


def ok(*lead: Any, seconds: float = 0.0) -> str:
    request = CURRENT.get()
    assert request is not None
    return f"value of {request.id}"


def fail(*lead: Any, seconds: float = 0.0) -> None:
    raise ValueError("as planned")


def flaky(*lead: Any, seconds: float = 0.0, fails: int = 1) -> str:
    request = CURRENT.get()
    assert request is not None
    if request.retries < fails:
        raise Transient(request.retries)
    return "at last"


def reject(*lead: Any, seconds: float = 0.0) -> None:
    raise Reject("not wanted")


KINDS: tuple[tuple[int, str], ...] = (
    (16, "plain"),
    (10, "ignored"),
    (5, "fail"),
    (8, "flaky"),
    (5, "ignored flaky"),
    (2, "exhausted"),
    (6, "delayed"),
    (6, "expiring"),
    (8, "link"),
    (6, "ignored link"),
    (3, "errback"),
    (4, "chain"),
    (5, "derived"),
    (3, "long"),
    (2, "snooze"),
    (2, "early"),
    (3, "tracked"),
    (1, "reject"),
    (1, "killer"),
)


def draw(dice: random.Random) -> list[Work]:
    """Draw the tasks of one run; the members of a join come on top."""
    names = dice.choices([name for _, name in KINDS], [weight for weight, _ in KINDS], k=TASKS)
    killers = [place for place, name in enumerate(names) if name == "killer"]
    for place in killers[1:]:
        names[place] = "plain"  # one is enough: each takes three processes with it
    works = [_work(name, f"{name.replace(' ', '-')}-{place}", dice) for place, name in enumerate(names)]
    members = [
        Work(id=f"seat-{n}", task="ok", seat=("join", n), kwargs=_seconds(dice), **_address(dice))
        for n in range(JOIN_SIZE)
    ]
    return sorted(works + members, key=lambda work: work.after)


def _work(kind: str, name: str, dice: random.Random) -> Work:
    plain = Work(id=name, task="ok", kwargs=_seconds(dice), **_address(dice))
    match kind:
        case "ignored":
            return replace(plain, task="ok_ignored")
        case "fail":
            return replace(plain, task="fail", state=FAILURE)
        case "flaky":
            return replace(plain, task="flaky", kwargs={**plain.kwargs, "fails": dice.randint(1, 3)})
        case "ignored flaky":
            return replace(plain, task="flaky_ignored", kwargs={**plain.kwargs, "fails": dice.randint(1, 2)})
        case "exhausted":
            return replace(plain, task="flaky", kwargs={**plain.kwargs, "fails": 99}, state=FAILURE)
        case "delayed":
            return replace(plain, countdown=dice.uniform(0.1, 4.0))
        case "expiring":
            return replace(plain, lifetime=dice.uniform(0.05, 3.0))
        case "link":
            return replace(plain, embed=Embed(callbacks=_specs("ok", dice)))
        case "ignored link":
            return replace(plain, task="ok_ignored", embed=Embed(callbacks=_specs("ok_ignored", dice)))
        case "errback":
            return replace(plain, task="fail", state=FAILURE, embed=Embed(errbacks=_specs("ok", dice)))
        case "chain":
            return replace(plain, embed=Embed(chain=_specs("flaky_ignored", dice) + _specs("ok", dice)))
        case "derived":
            return replace(plain, derived=True, task=dice.choice(("ok", "ok_ignored")))
        case "long":
            return replace(plain, kwargs={"seconds": dice.uniform(4.0, 9.0)})
        case "early":
            return replace(plain, task=EARLY, may_vanish=True)
        case "tracked":
            return replace(plain, task="tracked")
        case "snooze" | "reject" | "killer":
            return replace(plain, task=kind, state=SUCCESS if kind == "snooze" else FAILURE)
        case _:
            return plain


def _address(dice: random.Random) -> dict[str, Any]:
    return {
        "after": dice.uniform(0.0, 6.0),
        "producer": dice.randrange(2),
        "queue": dice.choice(QUEUES),
        "priority": dice.choice((None, None, 0, 5, 9, 10, 255)),
    }


def _seconds(dice: random.Random) -> dict[str, Any]:
    """Most are short, some hold a slot for a while."""
    return {"seconds": round(dice.expovariate(12.0), 4)}


def _specs(task: str, dice: random.Random) -> tuple[SignatureSpec, ...]:
    options = {"queue": dice.choice(QUEUES)}
    return tuple(
        SignatureSpec(task=task, kwargs=_seconds(dice), options=options) for _ in range(dice.choice((1, 1, 2)))
    )


def followers(work: Work, state: str) -> list[tuple[str, bool]]:
    """The (id, result ignored) of every message that must follow when `work` ended in `state`."""
    embed = work.embed
    if state == FAILURE:
        return [(derive(work.id, "errback", n), False) for n in range(len(embed.errbacks))]
    if state != SUCCESS:
        return []
    found: list[tuple[str, bool]] = [
        (derive(work.id, "link", n), spec.task.endswith("ignored")) for n, spec in enumerate(embed.callbacks)
    ]
    parent: str = work.id
    for spec in reversed(embed.chain):
        parent = derive(parent, "chain")
        found.append((parent, spec.task.endswith("ignored")))
    return found


def fire(moment: float) -> Work:
    """What a schedule sends at `moment` seconds after the start: the id is computed, so every scheduler names it."""
    return Work(
        id=derive("every so often", "revision 1", str(moment)),
        task="ok_ignored" if int(moment * 10) % 2 else "ok",
        after=moment,
        producer=-1,
        derived=True,
        kwargs={"seconds": 0.02},
    )
