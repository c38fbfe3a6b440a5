"""RabbitMQ: queues, exchanges, confirms; results as messages where no other store is named."""

import os
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from leveret.brokers.amqp.admin import AmqpAdmin
from leveret.brokers.amqp.broker import CAPABILITIES, AmqpBroker
from leveret.brokers.amqp.caller import AmqpBlockingBroker, AmqpCallerBroker
from leveret.brokers.amqp.leases import AmqpChores, AmqpLeases
from leveret.brokers.amqp.patience import longest_run, refusal, too_long
from leveret.brokers.amqp.pidbox.mailbox import AmqpMailbox
from leveret.brokers.amqp.testimony import Book
from leveret.errors import ImproperlyConfigured
from leveret.links.amqp.address import Failover, addresses
from leveret.links.amqp.events.bus import AmqpBlockingEvents, AmqpEvents
from leveret.links.amqp.looking.examining import examine
from leveret.links.amqp.publisher import Publisher
from leveret.links.amqp.replies import AsyncReplies, BlockingReplies
from leveret.links.amqp.replybox import ReplyBox
from leveret.links.amqp.sender import Sender
from leveret.model.endpoint import Url
from leveret.model.insight.finding import Finding, Needs
from leveret.model.node import Testimony
from leveret.model.options import DriverOptions
from leveret.ports.broker import Broker
from leveret.ports.clock import Clock
from leveret.ports.ledger import Ledger


class AmqpDriver:
    """`ports.driver.BrokerDriver`, `ReplyDriver` and `Witness`. Opens nothing until asked."""

    capabilities = CAPABILITIES

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        name = f"leveret:{os.getpid()}"
        self._failover = Failover(addresses(url, options, name), options.failover, clock.jitter())
        self._options, self._clock = options, clock
        self._book = Book()
        self._box = ReplyBox(clock.new_id, options.result_expires)
        self._sender = Sender(self._failover, options.topology)
        self._replies = BlockingReplies(
            self._sender, self._box, options.publish_timeout, persistent=options.result_persistent
        )
        self._publisher: Publisher | None = None
        self._broker: AmqpBroker | None = None
        self._leases: AmqpLeases | None = None
        self.address = self._failover.shown

    def broker(self, *, inline: bool = True) -> AmqpBroker | AmqpCallerBroker:
        """`inline`: a worker's own, one per driver; a caller's loop gets one for itself."""
        if inline:
            return self._worker_broker()
        publisher = self._new_publisher()
        return AmqpCallerBroker(publisher, self._new_replies(publisher), self._box, self._options, self._clock)

    def _worker_broker(self) -> AmqpBroker:
        if self._broker is None:
            self._broker = AmqpBroker(self._failover, self._worker_publisher(), self._options, self._clock, self._book)
            if hasattr(os, "register_at_fork"):
                # What a task forks must not hold the worker's connections open when the worker dies.
                broker = weakref.ref(self._broker)
                os.register_at_fork(after_in_child=lambda: _disown(broker()))
        return self._broker

    def _worker_publisher(self) -> Publisher:
        if self._publisher is None:
            self._publisher = self._new_publisher()
        return self._publisher

    def _new_publisher(self) -> Publisher:
        return Publisher(self._failover, self._options.topology, self._options.publish_timeout)

    def leases(self) -> AmqpLeases:
        if self._leases is None:
            self._leases = AmqpLeases(self._worker_broker, self._worker_publisher(), self._book)
        return self._leases

    def chores(self) -> AmqpChores:
        return AmqpChores()

    def admin(self) -> AmqpAdmin:
        return AmqpAdmin(self._failover, self._options, self._clock)

    def mailbox(self) -> AmqpMailbox:
        return AmqpMailbox(self._failover, self._options.control, self._clock)

    def blocking(self) -> AmqpBlockingBroker:
        return AmqpBlockingBroker(self._sender, self._replies, self._box, self._options, self._clock)

    def events(self) -> AmqpEvents:
        return AmqpEvents(self._worker_publisher(), self._failover, self._options.events, self._clock.new_id())

    def blocking_events(self) -> AmqpBlockingEvents:
        return AmqpBlockingEvents(self._sender, self._options.events)

    def check_limit(self, task: str, limit: float) -> None:
        """Raises `ImproperlyConfigured` for a task that the broker would take back while it runs."""
        longest = longest_run(self._options.transport)
        if longest is not None and limit > longest:
            raise ImproperlyConfigured(refusal(task, limit, self._options.transport))

    async def examine(self, needs: Needs) -> tuple[Finding, ...]:
        found = await examine(self._failover, self._options, needs)
        longest = longest_run(self._options.transport)
        if longest is None or needs.longest_limit is None or needs.longest_limit <= longest:
            return found
        return (*found, too_long(needs.longest_task, needs.longest_limit, self._options.transport))

    def use(self, ledger: Ledger) -> None:
        """Have a store remember what RabbitMQ does not."""
        self._worker_broker().use(ledger)
        self.leases().ledger = ledger

    # Results as messages

    def replies(self, broker: Broker) -> AsyncReplies:
        """The asynchronous face, on the connection that `broker` (one of this driver's) publishes on."""
        if isinstance(broker, AmqpCallerBroker):
            return broker.replies
        return self._new_replies(self._worker_publisher())

    def _new_replies(self, publisher: Publisher) -> AsyncReplies:
        return AsyncReplies(publisher, self._box, persistent=self._options.result_persistent)

    def blocking_replies(self) -> BlockingReplies:
        return self._replies

    def reply_address(self) -> str:
        return self._box.name

    # Deaths

    def on_socket(self, hold: Callable[[str, Any], None]) -> None:
        """`hold` is told the session and socket of each new consuming connection."""
        self._worker_broker().on_socket = hold

    def testify(self, told: tuple[Testimony, ...]) -> None:
        """A worker process hears what its supervisor knows."""
        self._book.add(told)

    def on_testimony(self, spread: Callable[[tuple[Testimony, ...]], Awaitable[None]]) -> None:
        self.leases().spread = spread

    def known(self) -> tuple[Testimony, ...]:
        """What a supervisor tells a process that is new."""
        return self._book.all()


def _disown(broker: AmqpBroker | None) -> None:
    if broker is not None:
        broker.disown()
