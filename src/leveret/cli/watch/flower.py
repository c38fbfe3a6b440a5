"""`leveret flower`: Celery's monitor on this app's broker.

Flower asks nodes by way of Celery's own client. So an app of Celery's is made for it, with this app's places and the
names of its tasks, none of which can be run there.
"""

from collections.abc import Iterable
from typing import Any

import click

from leveret.app import Leveret
from leveret.cli.invocation import invocation_options
from leveret.cli.verbs.target import target_app
from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.wiring.drivers import required_broker_url

HINT = "Flower is not installed: pip install 'leveret[flower]'"
TRANSPORTS = frozenset({"amqp", "amqps", "pyamqp", "redis", "rediss", "unix", "sentinel"})
"""The brokers that Celery's client knows as well."""
SHARED = (
    "broker_transport_options", "broker_use_ssl", "broker_login_method", "redis_backend_use_ssl",
    "control_exchange", "control_queue_ttl", "control_queue_expires",
    "event_exchange", "event_queue_prefix", "event_queue_ttl", "event_queue_expires",
    "result_backend_transport_options", "task_default_queue",
)  # fmt: skip


@click.command("flower", context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[FLOWER'S OPTIONS]")
@invocation_options
def command(arguments: tuple[str, ...]) -> None:
    """Start an installed Flower on this app's broker; its own options (`--port=5555`) are handed on."""
    app = target_app()
    app.import_modules()
    start(app, arguments)


def start(app: Leveret, arguments: Iterable[str]) -> None:
    """Returns when Flower ends. Raises ImproperlyConfigured where it cannot be started."""
    try:
        import flower  # noqa: F401 - the verb that Celery's command line finds
        from celery import Celery
    except ImportError as missing:
        raise ImproperlyConfigured(HINT) from missing
    celery = Celery(app.main, set_as_current=False)
    celery.conf.update(places(app.conf.settings))
    for name in app.tasks:
        if name not in celery.tasks:
            celery.task(_only_a_name, name=name)
    celery.start(["flower", *arguments])


def places(settings: Settings) -> dict[str, Any]:
    """What Celery's client is told; what is not said here has Celery's default, as with us."""
    broker = required_broker_url(settings)
    if broker.scheme not in TRANSPORTS:
        raise ImproperlyConfigured(
            f"Flower reads a broker by Celery's client, which does not know {broker.scheme}://; "
            "`leveret events` shows what happens there"
        )
    results = settings.result_backend
    told: dict[str, Any] = {"broker_url": str(broker), "result_backend": str(results or _beside(str(broker)))}
    for name in SHARED:
        value = getattr(settings, name, None)
        if value:
            told[name] = value
    return told


def _beside(broker: str) -> str:
    return "rpc://" if broker.startswith(("amqp", "pyamqp")) else broker


def _only_a_name(*args: Any, **kwargs: Any) -> None:
    """Stands for a task of ours."""
