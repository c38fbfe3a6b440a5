"""Which of the jobs that wait in a process need a step of their own before they start, and how many take it at once."""

from collections import deque

from leveret.ports.executor import Job
from leveret.worker.limiting.gatekeeper import Gatekeeper


def has_own_step(job: Job, gatekeeper: Gatekeeper) -> bool:
    """Whether it is asked of the gate, acknowledged or announced before it starts."""
    definition = job.definition
    if definition.limited or not definition.acks_late or definition.track_started:
        return True
    # Nearly every job: there is nothing to call.
    return bool(job.message.attempt or gatekeeper.rules.steered) and gatekeeper.asks(job)


def take_plain(waiting: deque[Job], gatekeeper: Gatekeeper) -> tuple[Job, ...]:
    """Those at the front that may start as they are."""
    plain: list[Job] = []
    while waiting and not has_own_step(waiting[0], gatekeeper):
        plain.append(waiting.popleft())
    return tuple(plain)


def take_slow(waiting: deque[Job], idle: int, gatekeeper: Gatekeeper) -> list[Job]:
    """Those at the front with a step of their own: as many as slots are idle, and where only the gate is asked as many
    as that allows."""
    slow, known, most = list[Job](), None, idle
    while idle and waiting:
        job = waiting[0]
        if job.definition is not known or job.message.attempt:
            if not has_own_step(job, gatekeeper):
                break
            known = None if job.message.attempt else job.definition
            most = idle if _waits_for_store(job) else gatekeeper.ahead(job, idle)
        if len(slow) >= most:
            break
        slow.append(waiting.popleft())
    return slow


def _waits_for_store(job: Job) -> bool:
    return not job.definition.acks_late or job.definition.track_started
