"""A settlement in the driver's terms; what follows is encoded here, and what cannot be is an outcome too."""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from leveret.errors import DecodeError, EncodeError
from leveret.logic.canvas.plan import SETTLE_AGAIN
from leveret.logic.codec import Codec
from leveret.logic.delivery import conclude
from leveret.logic.recording import Rules
from leveret.logic.results import error_info
from leveret.model.delivery import Posting, Receipt, Verdict
from leveret.model.message import Embed, Message
from leveret.model.outcome import Failed, Finished
from leveret.model.settlement import Commitment, Settlement
from leveret.ports.executor import Job

log = logging.getLogger("leveret.worker")


def commitment(settlement: Settlement, receipt: Receipt, codec: Codec) -> Commitment:
    """Encode what follows. Raises `EncodeError`."""
    return Commitment(
        receipt=receipt,
        verdict=settlement.verdict,
        record=settlement.record,
        seat=settlement.seat,
        follow=tuple(map(codec.post, settlement.follow)) if settlement.follow else (),
        also=settlement.also,
        delay=settlement.delay,
        reason=settlement.reason,
        counted=settlement.counted,
    )


def concluded(
    job: Job,
    finished: Finished,
    rules: Rules,
    now: float,
    broke: Callable[[Job, Exception], None] = lambda job, error: None,
) -> Commitment:
    """What follows from one run; a run whose consequences cannot be made (arguments of a retry, a link's options)
    has failed."""
    message, definition = job.message, job.definition
    try:
        return commitment(conclude(message, finished, definition, rules, now), job.receipt, rules.codec)
    except Exception as error:
        log.error("Task %s[%s] could not be concluded: %s", message.task, message.id, error)
        broke(job, error)
        failed = Finished(Failed(error_info(error)), finished.started, finished.runtime)
        # Callbacks may be what cannot be made; the rest of a chain and a chord must hear of the failure all the same.
        # A step that cannot be read (`Steps`) tells nobody what stands behind it.
        kept = Embed(chain=() if isinstance(error, DecodeError) else message.embed.chain, chord=message.embed.chord)
        bare = msgspec.structs.replace(message, embed=kept)
        return commitment(conclude(bare, failed, definition, rules, now), job.receipt, rules.codec)


def sent_again(job: Job, codec: Codec, not_before: float | None = None) -> Commitment:
    """Another hand-over for a job whose delivery was acknowledged already (at most once): the message anew.

    `derived`, so that a copy of it (a publish that got no answer) is stopped at the door.
    """
    message = msgspec.structs.replace(job.message, not_before=not_before, derived=True)
    return Commitment(receipt=job.receipt, verdict=Verdict.ACK, follow=(codec.post(message),))


def witness(job: Job, commitment: Commitment, codec: Codec) -> Posting | None:
    """What has an outcome settled again whose worker dies on the way, for a delivery that is acknowledged already (at
    most once); None where nothing follows. No Celery worker can take it for the task, and ours run nothing."""
    ended = commitment.record is None or commitment.record.terminal
    if not ended or not (commitment.seat or commitment.follow or commitment.also):
        return None
    bare: dict[str, Any] = {"task": SETTLE_AGAIN, "args": (), "kwargs": {}, "not_before": None, "expires": None}
    # Not stopped at the door, which knows that outcome: to settle it twice changes nothing.
    return codec.post(msgspec.structs.replace(job.message, **bare, derived=False))


def skipped(settlement: Settlement, receipt: Receipt, message: Message, codec: Codec) -> Commitment:
    """The end of a delivery without a run, without its follow-ups where they cannot be written."""
    try:
        return commitment(settlement, receipt, codec)
    except EncodeError as error:
        log.error("Task %s[%s]: what follows it cannot be written: %s", message.task, message.id, error)
        return commitment(msgspec.structs.replace(settlement, follow=()), receipt, codec)
