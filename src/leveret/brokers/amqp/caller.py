"""The callers' faces: on their own thread, or on their own loop."""

import asyncio
import time

from msgspec.structs import replace

from leveret.brokers.amqp.broker import CAPABILITIES
from leveret.errors import ImproperlyConfigured, OperationalError, PublishFailed, PublishUnknown
from leveret.links.amqp import letters
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.publisher import Nacked, Publisher
from leveret.links.amqp.replies import AsyncReplies, BlockingReplies
from leveret.links.amqp.replybox import ReplyBox, ReplyQueueMoved
from leveret.links.amqp.sender import Sender
from leveret.model.delivery import Claim, Delivery, Posting, Return
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.clock import Clock


class AmqpBlockingBroker:
    """`ports.broker.BlockingBroker`."""

    def __init__(
        self, sender: Sender, replies: BlockingReplies, box: ReplyBox, options: DriverOptions, clock: Clock
    ) -> None:
        self._sender, self._replies, self._box, self._clock = sender, replies, box, clock
        self._mode = options.topology.delivery_mode

    def publish(self, postings: tuple[Posting, ...], *, timeout: float) -> None:
        if not postings:
            return
        began = time.monotonic()
        while True:
            own = self._box.name
            try:
                self._publish(postings, own, began + timeout - time.monotonic())
                return
            except PublishFailed as failed:
                if not worth_another(failed, time.monotonic() - began, timeout):
                    raise
            time.sleep(_PAUSE_SECONDS)
            postings = readdressed(postings, own, self._box.name)

    def _publish(self, postings: tuple[Posting, ...], own: str, timeout: float) -> None:
        now, mode = self._clock.now(), self._mode
        wants_replies = any(posting.encoded.reply_to == own for posting in postings)
        out = [letters.letter(posting, now, mode=mode) for posting in postings]
        self._sender.publish(out, timeout, self._replies.prepare if wants_replies else None)

    def reply_address(self) -> str | None:
        return self._box.name

    def close(self) -> None:
        self._replies.close()


class AmqpCallerBroker:
    """`ports.broker.Broker` of a loop that only sends; it claims nothing."""

    capabilities = CAPABILITIES

    def __init__(
        self, publisher: Publisher, replies: AsyncReplies, box: ReplyBox, options: DriverOptions, clock: Clock
    ) -> None:
        self._publisher, self.replies, self._box, self._clock = publisher, replies, box, clock
        self._mode = options.topology.delivery_mode

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        if not postings:
            return
        now, own = self._clock.now(), self._box.name
        if any(posting.encoded.reply_to == own for posting in postings):
            postings = await self._expect_replies(postings, own)
        await self._publisher.publish([letters.letter(one, now, mode=self._mode) for one in postings])

    async def _expect_replies(self, postings: tuple[Posting, ...], own: str) -> tuple[Posting, ...]:
        """The queue must be there before an answer can come."""
        try:
            try:
                await self.replies.consume()
            except ReplyQueueMoved:
                postings = readdressed(postings, own, self._box.name)
                await self.replies.consume()
        except OperationalError as error:
            raise PublishFailed(f"nothing was sent: {error}") from error
        return postings

    async def publish_within(self, postings: tuple[Posting, ...], timeout: float) -> None:
        """`ports.broker.Punctual`: it knows why it had to wait."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        await self._publish_twice(postings)
                        return
                    except PublishFailed as failed:
                        if not worth_another(failed, loop.time() - began, timeout):
                            raise
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError as error:
            raise PublishUnknown(
                f"{self._publisher.shown} did not confirm {len(postings)} messages within {timeout:.3g} s "
                f"(publish_timeout){self._publisher.doubt(began)}; sending them again with the same ids is safe"
            ) from error

    async def _publish_twice(self, postings: tuple[Posting, ...]) -> None:
        try:
            await self.publish(postings)
        except PublishUnknown as unknown:
            try:
                await self.publish(postings)
            except PublishFailed as failed:
                # That of the second time: the first may be there all the same.
                raise PublishUnknown(f"{unknown}; then {failed}") from failed

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        raise _not_here()

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        raise _not_here()

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        raise _not_here()

    async def bell(self, queues: tuple[str, ...], timeout: float) -> None:
        raise _not_here()

    async def close(self) -> None:
        await self._publisher.close()


def _not_here() -> ImproperlyConfigured:
    return ImproperlyConfigured("this connection only sends: a worker's own claims")


_PAUSE_SECONDS = 0.1
_NACKED_SECONDS = 2.0
"""A quorum queue that several make at once, or whose leader has died, refuses for a moment; a full one for longer."""
_NEVER = (402, 403, 530)
"""The broker's reasons to refuse a login or a virtual host."""


def readdressed(postings: tuple[Posting, ...], old: str, new: str) -> tuple[Posting, ...]:
    """The same with another place for their replies."""
    if old == new:
        return postings
    return tuple(
        replace(one, encoded=replace(one.encoded, reply_to=new)) if one.encoded.reply_to == old else one
        for one in postings
    )


def worth_another(failed: PublishFailed, waited: float, timeout: float) -> bool:
    """Whether the same may be sent again within its deadline: nothing of it is there, and that may pass."""
    if timeout - waited < _PAUSE_SECONDS:
        return False
    return waited < _NACKED_SECONDS if isinstance(failed, Nacked) else unreachable(failed)


def unreachable(failed: PublishFailed) -> bool:
    """Whether nothing was sent because no broker could be reached: one that restarts is back before long, and a
    connection that broke while nobody looked is made anew."""
    error, found = failed.__cause__, False
    while error is not None:
        if isinstance(error, ConnectionLost) and error.code in _NEVER:
            return False
        node_down = isinstance(error, ChannelClosed) and error.home_is_down
        found = found or node_down or isinstance(error, OSError | ConnectionLost)
        error = error.__cause__
    return found
