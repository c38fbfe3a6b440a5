"""What a mailbox must do."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol
from uuid import uuid4

from leveret.model.options import DriverOptions
from leveret.model.remote.command import Parcel
from leveret.ports.clock import Clock
from leveret.ports.driver import Steerable
from leveret.ports.operations.mailbox import Mailbox

PATIENCE = 5.0


class MailboxFactory(Protocol):
    def __call__(self, options: DriverOptions, clock: Clock) -> Steerable: ...


class _Clock:
    """The machine's: a mailbox waits for others' processes."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def jitter(self) -> float:
        return 0.5

    def new_id(self) -> str:
        return str(uuid4())

    def new_ids(self, count: int) -> list[str]:
        return [self.new_id() for _ in range(count)]


class Rig:
    """Two processes that are steered, and one that steers."""

    def __init__(self, factory: MailboxFactory) -> None:
        clock = _Clock()
        self.asker, self.one, self.other = (factory(DriverOptions(), clock).mailbox() for _ in range(3))

    @asynccontextmanager
    async def heard(self, mailbox: Mailbox, node: str) -> AsyncIterator["Heard"]:
        """A node that listens; open when it hears."""
        heard = Heard()
        listening = asyncio.ensure_future(mailbox.listen(node, heard.hear))
        try:
            async with asyncio.timeout(PATIENCE):
                while not heard.parcels:
                    await self.asker.broadcast((parcel(b'"are you there"'),))
                    with suppress(TimeoutError):
                        await asyncio.wait_for(heard.news.wait(), 0.05)
            await heard.quiet()
            heard.parcels.clear()
            yield heard
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def close(self) -> None:
        for mailbox in (self.asker, self.one, self.other):
            await mailbox.close()


class Heard:
    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.news = asyncio.Event()

    def hear(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)
        self.news.set()

    async def quiet(self) -> None:
        """Nothing more comes of what was sent before."""
        while True:
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), 0.1)
            except TimeoutError:
                return

    async def until(self, count: int) -> list[Parcel]:
        async with asyncio.timeout(PATIENCE):
            while len(self.parcels) < count:
                self.news.clear()
                await self.news.wait()
        return self.parcels


Case = Callable[[Any, Rig], Awaitable[None]]


def case(function: Case) -> Callable[[Any, MailboxFactory], None]:
    """Turn `async def test_x(self, rig)` into a test."""

    def test(self: Any, mailbox_factory: MailboxFactory) -> None:
        asyncio.run(_run(functools.partial(function, self), mailbox_factory))

    functools.update_wrapper(test, function)
    del test.__wrapped__  # type: ignore[attr-defined] # pytest would look through it and ask for a fixture `rig`
    return test


async def _run(function: Callable[[Rig], Awaitable[None]], factory: MailboxFactory) -> None:
    rig = Rig(factory)
    try:
        await asyncio.wait_for(function(rig), 30)
    finally:
        await rig.close()


def parcel(body: bytes = b'{"a": 1}', **headers: Any) -> Parcel:
    return Parcel(body=body, headers=headers)


class TestMailboxes:
    @case
    async def test_a_command_reaches_every_node_that_listens(self, rig: Rig) -> None:
        async with rig.heard(rig.one, "a@x") as one, rig.heard(rig.other, "b@x") as other:
            await one.quiet()
            one.parcels.clear()
            sent = (parcel(clock=7, expires=0.5, word="wört"), parcel(b'{"b": "\xc3\xbc"}'))

            await rig.asker.broadcast(sent)

            assert [plain(found) for found in await one.until(2)] == list(map(plain, sent))
            assert [plain(found) for found in await other.until(2)] == list(map(plain, sent))

    @case
    async def test_an_answer_reaches_whoever_asked_and_nobody_else(self, rig: Rig) -> None:
        async with rig.asker.inbox() as inbox, rig.other.inbox() as others:
            await rig.one.answer(inbox.address, (parcel(ticket="t"), parcel(b"2")))

            found: tuple[Parcel, ...] = ()
            while len(found) < 2:
                found += await inbox.take(PATIENCE)
            assert sorted(one.body for one in found) == [b"2", b'{"a": 1}']
            assert {one.headers.get("ticket") for one in found} == {"t", None}
            assert await others.take(0.05) == ()

    @case
    async def test_nobody_answers_and_the_time_is_over(self, rig: Rig) -> None:
        async with rig.asker.inbox() as inbox:
            began = time.monotonic()

            assert await inbox.take(0.1) == ()

            assert 0.09 <= time.monotonic() - began < 2.0

    @case
    async def test_an_answer_to_somebody_who_is_gone_harms_nobody(self, rig: Rig) -> None:
        async with rig.asker.inbox() as inbox:
            address = inbox.address

        await rig.one.answer(address, (parcel(),))

        async with rig.asker.inbox() as inbox:
            await rig.one.answer(inbox.address, (parcel(b"3"),))
            assert [found.body for found in await inbox.take(PATIENCE)] == [b"3"]

    @case
    async def test_what_was_said_before_somebody_listened_is_not_heard(self, rig: Rig) -> None:
        await rig.asker.broadcast((parcel(b'"early"'),))

        async with rig.heard(rig.one, "a@x") as heard:
            await rig.asker.broadcast((parcel(b'"late"'),))

            assert [found.body for found in await heard.until(1)] == [b'"late"']


def plain(parcel: Parcel) -> tuple[bytes, dict[str, Any]]:
    return parcel.body, dict(parcel.headers)
