"""Who else hears commands on this broker."""

from leveret.config.settings import Settings
from leveret.errors import LeveretError
from leveret.model.remote.command import CALL_SECONDS, Command
from leveret.ports.broker import Capability
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers
from leveret.wiring.remote.steering import Remote

CELERYS = "celery."
"""How the names of Celery's pools begin in what its workers answer to `stats`."""


def is_shared_with_celery(settings: Settings) -> bool:
    """Whether Celery can use this broker at all."""
    drivers = open_drivers(settings, SystemClock())
    return Capability.FANOUT in drivers.broker.capabilities and drivers.mailbox() is not None


async def celery_workers(settings: Settings) -> tuple[str, ...]:
    """Names of the Celery workers that answer within a second; none on a broker that Celery does not know, or that
    cannot be asked."""
    if not is_shared_with_celery(settings):
        return ()
    try:
        answers = await Remote(settings).caller.ask(Command(method="stats"), CALL_SECONDS)
    except (LeveretError, OSError):
        return ()
    return tuple(sorted(answer.node for answer in answers if _pool(answer.value).startswith(CELERYS)))


def _pool(stats: object) -> str:
    pool = stats.get("pool") if isinstance(stats, dict) else None
    return str(pool.get("implementation", "")) if isinstance(pool, dict) else ""
