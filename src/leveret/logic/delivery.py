"""What happens to a delivery before a run (`admit`) and after it (`conclude`). Pure: the same facts, the same answer.

The law (DESIGN 4): a stored outcome is replayed, never run again; whatever follows has computed ids, so that a replay
names the same messages; an exhausted failure is a stored result and an ACK, a dead letter is what could not be run.
"""

from typing import Any, assert_never

import msgspec
from msgspec import Struct

from leveret.errors import Ignore, NotRegistered, TaskRevokedError, TimeLimitExceeded, WorkerLostError
from leveret.logic.canvas import joins
from leveret.logic.canvas.plan import CHORD_TIMEOUT, SETTLE_AGAIN
from leveret.logic.following import again, changed, with_arguments
from leveret.logic.limiting.unique import lost_to
from leveret.logic.recording import NO_FIELDS, Rules
from leveret.logic.results import MetaFields
from leveret.model.delivery import Delivery, Verdict
from leveret.model.message import Message, TaskId
from leveret.model.options import CHARGES_TO_PARK
from leveret.model.outcome import (
    Cancelled,
    ErrorInfo,
    Failed,
    Finished,
    Ignored,
    Rejected,
    Replaced,
    Retried,
    Snoozed,
    Succeeded,
    Unstarted,
)
from leveret.model.settlement import Record, Seat, Settlement
from leveret.model.signature import SignatureSpec
from leveret.model.state import FAILURE, RETRY, REVOKED, SUCCESS
from leveret.model.task import TaskDefinition

UNKNOWN_DELAY = 30.0
"""Seconds an unknown task rests before the next worker sees it."""
UNKNOWN_PARKED_AFTER = 900.0
"""Seconds after which it is a dead letter: each rest counts one delivery, so `count` tells the age."""
TIME_LIMIT_REASON = "time limit"
"""The `Charge.reason` of a process killed for a hard time limit it did not answer."""


class Facts(Struct, frozen=True):
    """What a look at the store and the registry says of one message."""

    stored: Record | None = None
    revoked: bool = False
    known: bool = True


class Run(Struct, frozen=True):
    message: Message


class Skip(Struct, frozen=True):
    settlement: Settlement


Admission = Run | Skip
_REJECT = "Reject"
PLAIN = Facts()
"""The facts of nearly every message: nothing stored, registered here."""


def needs_lookup(delivery: Delivery, message: Message) -> bool:
    """Whether the store may know something of this message that decides about its run."""
    again = delivery.count > 1 or delivery.redelivered
    return again or message.derived or delivery.revoked or bool(delivery.charges) or message.task == SETTLE_AGAIN


def admit(
    delivery: Delivery, message: Message, facts: Facts, definition: TaskDefinition | None, rules: Rules, now: float
) -> Admission:
    """Run it, or the settlement that ends this delivery without a run."""
    replay = _replay(delivery, message, facts.stored, definition, rules, now)
    if replay is not None:
        return Skip(replay)
    if facts.revoked:
        return Skip(_revoked(message, "revoked", definition, rules, now))
    if delivery.charges or delivery.suspect:
        verdict = _convicted(delivery, message, definition, rules, now)
        if verdict is not None:
            return Skip(verdict)
    if message.expires is not None and now >= message.expires:
        return Skip(_revoked(message, "expired", definition, rules, now))
    if message.not_before is not None and message.not_before > now:
        # A foreign producer's: Celery leaves an ETA to the worker, which holds the message. Here the broker keeps it.
        return Skip(_settled(message, Verdict.RELEASE, delay=message.not_before - now, counted=False))
    if message.task == SETTLE_AGAIN:
        # Nothing is stored of that run: at most once means that nobody runs it again.
        return Skip(_settled(message, Verdict.ACK))
    if message.task == CHORD_TIMEOUT:
        return Skip(_seated(_settled(message, Verdict.ACK), joins.timed_out(message, rules, now)))
    if definition is None or not facts.known:
        return Skip(_unknown(delivery, message, rules, now))
    return Run(message)


def superseded(message: Message, by: str, definition: TaskDefinition, rules: Rules, now: float) -> Settlement:
    """The end of a unique task whose key is another's by now."""
    return _revoked(message, lost_to(by), definition, rules, now)


def conclude(message: Message, finished: Finished, definition: TaskDefinition, rules: Rules, now: float) -> Settlement:
    """All that follows one run."""
    if finished.carried:
        message = msgspec.structs.replace(message, carried=finished.carried)
    match finished.outcome:
        case Succeeded() as succeeded:
            return _succeeded(message, succeeded, finished, definition, rules, now)
        case Failed(error):
            return _failed(message, error, definition, rules, now, finished.children)
        case Retried() as retried:
            return _retried(message, retried, definition, rules, now)
        case Replaced(spec):
            return _replaced(message, spec, rules, now)
        case Snoozed(seconds):
            return _settled(message, Verdict.RELEASE, delay=max(0.0, seconds), counted=False)
        case Ignored():
            return _ignored(message, rules, now)
        case Rejected(reason, requeue):
            return _rejected(message, reason, requeue, definition, rules, now)
        case Cancelled(reason):
            return _revoked(message, reason, definition, rules, now)
        case Unstarted():
            return _settled(message, Verdict.RELEASE, counted=False)
        case other:
            assert_never(other)


def undecodable(delivery: Delivery, error: Exception) -> Settlement:
    """Park what cannot be read: a dead letter with the reason, nothing lost. Nothing in it is trusted but the id."""
    name = delivery.encoded.headers.get("id")
    return Settlement(
        id=TaskId(name if isinstance(name, str) else ""),
        attempt=0,
        verdict=Verdict.REJECT,
        reason=f"undecodable: {error}",
    )


def _succeeded(
    message: Message,
    succeeded: Succeeded,
    finished: Finished,
    definition: TaskDefinition,
    rules: Rules,
    now: float,
) -> Settlement:
    children = finished.children
    if message.embed:
        follow = rules.following.success(message, succeeded.value, now)
        # Celery's `result.children`: what the task sent and what follows it.
        children = (*children, *(((one.id, None), None) for one in follow))
        seat = joins.seat(message, succeeded.encoded, rules, now)
    else:
        follow, seat = (), None
    more = _beside(children, finished, rules) if children or rules.extended else NO_FIELDS
    return Settlement(
        id=message.id,
        attempt=message.attempt,
        verdict=Verdict.ACK,
        record=rules.success(message, definition, succeeded.encoded, bool(follow or seat), now, more),
        seat=seat,
        follow=follow,
    )


def _beside(children: tuple[Any, ...], finished: Finished, rules: Rules) -> MetaFields:
    """What goes into the document of a success besides its value."""
    more: MetaFields = {"runtime": finished.runtime} if rules.extended else {}
    if children:
        more["children"] = children
    return more


def _failed(
    message: Message,
    error: ErrorInfo,
    definition: TaskDefinition | None,
    rules: Rules,
    now: float,
    children: tuple[Any, ...] = (),
) -> Settlement:
    """A failure is an outcome like another, unless the task is declared `dead_letter=True`."""
    follow = rules.following.failure(message, error, now)
    settlement = Settlement(
        id=message.id,
        attempt=message.attempt,
        verdict=Verdict.ACK,
        record=rules.failure(message, definition, error, _is_heard_of(message), now, children),
        follow=follow,
    )
    settlement = _with_aftermath(settlement, message, error, FAILURE, rules, now)
    if definition is not None and definition.dead_letter:
        return _parked(settlement, f"failed: {error.type}: {error.text}")
    return settlement


def _is_heard_of(message: Message) -> bool:
    """Whether a failure has consequences, which need the error again if the worker dies before they are out."""
    embed = message.embed
    return bool(embed.errbacks or embed.chain or embed.chord)


def _with_aftermath(
    settlement: Settlement, message: Message, error: ErrorInfo, state: str, rules: Rules, now: float
) -> Settlement:
    """With what the end of `message` means to the rest of its chain and to the chord it is a member of."""
    embed = message.embed
    if not embed.chain and embed.chord is None:
        return settlement
    after = joins.aftermath(message, error, state, rules, now)
    return msgspec.structs.replace(settlement, also=after.records, seat=after.seats[0] if after.seats else None)


def _ignored(message: Message, rules: Rules, now: float) -> Settlement:
    """Nothing is stored of it; but those who wait for what stands behind it would wait for ever."""
    error = _error(Ignore, "the task raised Ignore")
    return _with_aftermath(_settled(message, Verdict.ACK), message, error, FAILURE, rules, now)


def _replaced(message: Message, spec: SignatureSpec, rules: Rules, now: float) -> Settlement:
    return Settlement(
        id=message.id,
        attempt=message.attempt,
        verdict=Verdict.ACK,
        record=rules.replaced(message, spec),
        follow=rules.following.replacing(message, spec, now),
    )


def _parked(settlement: Settlement, reason: str) -> Settlement:
    return msgspec.structs.replace(settlement, verdict=Verdict.REJECT, reason=reason)


def _retried(message: Message, retried: Retried, definition: TaskDefinition, rules: Rules, now: float) -> Settlement:
    not_before = now + max(0.0, retried.delay)
    following = with_arguments(again(changed(message, retried.options, now), not_before), retried.args, retried.kwargs)
    return Settlement(
        id=message.id,
        attempt=message.attempt,
        verdict=Verdict.ACK,
        record=rules.retry(message, definition, retried, not_before),
        follow=(following,),
    )


def _rejected(
    message: Message, reason: str, requeue: bool, definition: TaskDefinition, rules: Rules, now: float
) -> Settlement:
    if requeue:
        return _settled(message, Verdict.RELEASE)
    # Stored as FAILURE, as Celery 5.7 does, or a caller would wait for ever; error callbacks are not for rejections.
    error = ErrorInfo(type=_REJECT, module="leveret.errors", args=(reason, False), text=reason)
    settlement = Settlement(
        id=message.id,
        attempt=message.attempt,
        verdict=Verdict.REJECT,
        record=rules.failure(message, definition, error, _is_heard_of(message), now),
        reason=f"rejected: {reason}",
    )
    return _with_aftermath(settlement, message, error, FAILURE, rules, now)


def _revoked(message: Message, reason: str, definition: TaskDefinition | None, rules: Rules, now: float) -> Settlement:
    error = _error(TaskRevokedError, reason)
    settlement = Settlement(
        id=message.id,
        attempt=message.attempt,
        verdict=Verdict.ACK,
        record=rules.revoked(message, definition, error, now),
    )
    return _with_aftermath(settlement, message, error, REVOKED, rules, now)


def _convicted(
    delivery: Delivery, message: Message, definition: TaskDefinition | None, rules: Rules, now: float
) -> Settlement | None:
    charges = delivery.charges
    reasons = ", ".join(charge.reason for charge in charges)
    if any(charge.reason.startswith(TIME_LIMIT_REASON) for charge in charges):
        error = _error(TimeLimitExceeded, "the hard time limit passed and the process had to be killed")
        return _parked(_failed(message, error, definition, rules, now), reasons)
    if len(charges) >= CHARGES_TO_PARK:
        error = _error(WorkerLostError, f"{len(charges)} processes died running it: {reasons}")
        return _parked(_failed(message, error, definition, rules, now), f"{len(charges)} lost processes: {reasons}")
    if definition is not None and definition.reject_on_worker_lost is False:
        # Said explicitly: fail at the first lost process, as Celery does without reject_on_worker_lost. Of a suspect
        # nobody knows whether it killed its process, but it may have begun: it is not run a second time.
        why = f"the process died: {reasons}" if reasons else "a process it was in died"
        return _failed(message, _error(WorkerLostError, why), definition, rules, now)
    return None


def _unknown(delivery: Delivery, message: Message, rules: Rules, now: float) -> Settlement:
    if (delivery.count - 1) * UNKNOWN_DELAY >= UNKNOWN_PARKED_AFTER:
        error = _error(NotRegistered, message.task)
        return _parked(_failed(message, error, None, rules, now), f"unknown task {message.task!r} for 15 minutes")
    return _settled(message, Verdict.RELEASE, delay=UNKNOWN_DELAY, counted=True)


def _replay(
    delivery: Delivery,
    message: Message,
    stored: Record | None,
    definition: TaskDefinition | None,
    rules: Rules,
    now: float,
) -> Settlement | None:
    """What the stored outcome still asks for; nothing is stored again, its record stands."""
    if stored is None:
        return None
    if not stored.terminal:
        return _replay_retry(message, stored, rules, now)
    if stored.state == SUCCESS:
        if not message.embed:
            return _settled(message, Verdict.ACK)
        value = rules.value(stored)
        follow = rules.following.success(message, value, now)
        seat = joins.seat(message, rules.codec.encode_value(value), rules, now)
        return _seated(_settled(message, Verdict.ACK, follow=follow), seat)
    error = rules.error(stored)
    if stored.state == FAILURE and error.type == _REJECT:
        why = error.args[0] if error.args else error.text
        settlement = _settled(message, Verdict.REJECT, reason=f"rejected: {why}")
        return _with_aftermath(settlement, message, error, FAILURE, rules, now)
    if stored.state == FAILURE:
        parked = _parked_reason(delivery, message, definition, rules, now)
        verdict = Verdict.REJECT if parked else Verdict.ACK
        follow = rules.following.failure(message, error, now)
        settlement = _settled(message, verdict, follow=follow, reason=parked)
        return _with_aftermath(settlement, message, error, FAILURE, rules, now)
    return _with_aftermath(_settled(message, Verdict.ACK), message, error, stored.state, rules, now)


def _parked_reason(
    delivery: Delivery, message: Message, definition: TaskDefinition | None, rules: Rules, now: float
) -> str:
    """Why a message whose failure is stored is a dead letter too; empty: it is none."""
    convicted = _convicted(delivery, message, definition, rules, now) if delivery.charges else None
    if convicted is not None:
        return convicted.reason
    return "failed" if definition is not None and definition.dead_letter else ""


def _replay_retry(message: Message, stored: Record, rules: Rules, now: float) -> Settlement | None:
    if stored.attempt > message.attempt:
        # A copy of an attempt that is over: a later one has been stored, whoever runs it settles the task.
        return _settled(message, Verdict.ACK)
    if stored.attempt == message.attempt and stored.state == RETRY:
        spec = rules.replacement(stored)
        if spec is not None:
            return _settled(message, Verdict.ACK, follow=rules.following.replacing(message, spec, now))
        following = again(message, stored.not_before or now)
        args, kwargs = rules.retried_arguments(stored)
        return _settled(message, Verdict.ACK, follow=(with_arguments(following, args, kwargs),))
    return None


def _settled(
    message: Message,
    verdict: Verdict,
    *,
    follow: tuple[Message, ...] = (),
    delay: float = 0.0,
    reason: str = "",
    counted: bool = True,
) -> Settlement:
    return Settlement(
        id=message.id,
        attempt=message.attempt,
        verdict=verdict,
        follow=follow,
        delay=delay,
        reason=reason,
        counted=counted,
    )


def _seated(settlement: Settlement, seat: Seat | None) -> Settlement:
    return settlement if seat is None else msgspec.structs.replace(settlement, seat=seat)


def _error(kind: type[Exception], text: str) -> ErrorInfo:
    return ErrorInfo(type=kind.__name__, module=kind.__module__, args=(text,), text=text)
