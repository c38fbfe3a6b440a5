"""Every AMQP method that came to a proxy, decoded; and the laws that each connection of ours must keep."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pamqp import frame as codec
from tests.servers.wire.frames import NAMES, Frame
from tests.servers.wire.rules import Direction


@dataclass(frozen=True, slots=True)
class Seen:
    """One method. Names are the specification's: `queue.declare-ok`, and the argument `global`."""

    connection: int
    direction: Direction
    channel: int
    name: str
    arguments: dict[str, Any]


class Recorder:
    """Filled by the proxy's thread, read by the test's. What a rule keeps from going on is recorded too."""

    def __init__(self) -> None:
        # Guards the lists.
        self._changed = threading.Condition()
        self._seen: list[Seen] = []
        self._errors: list[str] = []

    def add(self, connection: int, direction: Direction, frame: Frame) -> None:
        if frame.method is None:
            return
        name = NAMES.get(frame.method, str(frame.method))
        try:
            arguments = _arguments(frame)
        except Exception as error:
            # pamqp checks values by rules of its own; what it refuses is for the test to know, not for the proxy.
            self.complain(f"connection {connection}: {name} {direction.value} cannot be decoded: {error!r}")
        else:
            self._add(Seen(connection, direction, frame.channel, name, arguments))

    def _add(self, seen: Seen) -> None:
        with self._changed:
            self._seen.append(seen)
            self._changed.notify_all()

    def complain(self, error: str) -> None:
        with self._changed:
            self._errors.append(error)
            self._changed.notify_all()

    def methods(self, name: str | None = None, direction: Direction | None = None) -> list[Seen]:
        """List what went by, in order."""
        with self._changed:
            return [seen for seen in self._seen if name in (None, seen.name) and direction in (None, seen.direction)]

    def wait(self, name: str, count: int = 1, timeout: float = 10.0) -> list[Seen]:
        """Wait until so many of a method went by."""
        found = self._until(lambda: len(self.methods(name)) >= count, timeout)
        assert found, f"{len(self.methods(name))} of {count} {name} within {timeout} s"
        return self.methods(name)

    def assert_lawful(self) -> None:
        """Assert that no connection did what RabbitMQ has deprecated or removed."""
        breaches = [f"connection {s.connection}: {breach}" for s in self.methods() for breach in breaches_of(s)]
        assert not breaches + self._errors, "\n".join(breaches + self._errors)

    def _until(self, true: Callable[[], bool], timeout: float) -> bool:
        # The condition's lock may be taken again by the same thread, in methods().
        with self._changed:
            return self._changed.wait_for(true, timeout)


def _arguments(frame: Frame) -> dict[str, Any]:
    decoded = codec.unmarshal(frame.raw)[2]
    # pamqp writes `global_`, as Python needs it.
    return {key.rstrip("_"): value for key, value in dict(decoded).items()}


def breaches_of(seen: Seen) -> list[str]:
    """List the laws a method breaks."""
    if seen.name == "basic.qos" and seen.arguments["global"]:
        return ["basic.qos with global=true: deprecated, and refused for quorum queues"]
    if seen.name == "queue.declare" and not seen.arguments["passive"]:
        return _queue_breaches(seen.arguments)
    return []


def _queue_breaches(declared: dict[str, Any]) -> list[str]:
    queue, arguments = declared["queue"], declared["arguments"] or {}
    mirrored = [key for key in arguments if key.startswith(("x-ha-", "ha-"))]
    breaches = [f"queue {queue!r} declared with {key}: RabbitMQ 4 has no mirrored queues" for key in mirrored]
    if not declared["durable"] and not declared["exclusive"]:
        breaches.append(f"queue {queue!r} is neither durable nor exclusive: deprecated")
    return breaches
