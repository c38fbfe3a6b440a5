"""Which nursery children come from now: the forkserver while it can be trusted, spawning otherwise."""

import asyncio

from leveret.errors import LeveretError
from leveret.logic.restart import GiveUp, Streak, Unready, restart
from leveret.model.options import WorkerOptions
from leveret.supervisor.nursery import AppDoesNotImport, Forkserver, ForkserverLost, Launched, Spawner, can_fork
from leveret.supervisor.options import Log, SupervisorOptions
from leveret.supervisor.statuses import Statuses


class GaveUp(LeveretError):
    """Nothing of this node starts, however often it is tried."""


class ChildSource:
    """Owned by the supervisor's loop, but for `fork_early`."""

    def __init__(self, options: SupervisorOptions, statuses: Statuses, log: Log) -> None:
        self._options = options
        self._statuses = statuses
        self._log = log
        self._forkserver: Forkserver | None = None
        self._spawner = Spawner(options.entry)
        self._spawn = options.method == "spawn" or not can_fork()
        self._streak = Streak()
        self._gave_up: GaveUp | None = None
        self._closed = False
        # Guards the replacement of the forkserver: several places ask for children at once.
        self._replacing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def fork_early(self) -> None:
        """Fork the forkserver out of this process. Call before any thread or loop exists."""
        if not self._spawn:
            self._forkserver = Forkserver.fork(self._options.entry, self._options.worker)

    def adopt(self, forkserver: Forkserver) -> None:
        """As `fork_early`, with a forkserver that exists already."""
        if self._spawn:
            forkserver.close()
        else:
            self._forkserver = forkserver

    async def open(self) -> None:
        """Wait for the app's import. Raises `AppDoesNotImport` or `GaveUp`."""
        if self._spawn:
            return
        if self._forkserver is None:
            self._forkserver = Forkserver.start(self._options.entry, self._options.worker)
        self._listen(self._forkserver)
        try:
            await self._trust(self._forkserver)
        except ForkserverLost:
            await self._replace()

    async def launch(self, options: WorkerOptions) -> Launched:
        """Start one process, by way of a new forkserver when the old one is lost."""
        while not self._spawn:
            if self._forkserver is None or self._forkserver.lost:
                await self._replace()
                continue
            try:
                launched = await self._forkserver.launch(options)
            except ForkserverLost:
                continue
            self._streak = Streak()
            return launched
        return await self._spawner.launch(options)

    async def renew(self) -> None:
        """Import the app's present code. Raises `AppDoesNotImport`: then everything stays as it is."""
        if self._options.method == "spawn" or not can_fork():
            return
        fresh = Forkserver.start(self._options.entry, self._options.worker)
        self._listen(fresh)
        try:
            obstacles = await fresh.preloaded()
        except BaseException:
            fresh.close()
            raise
        # The old one's children become ours: we are the subreaper above it.
        old, self._forkserver = self._forkserver, fresh
        if old is not None:
            old.close()
        self._settle(fresh, obstacles)

    def close(self) -> None:
        self._closed = True
        if self._forkserver is not None:
            self._forkserver.close()
        for task in self._tasks:
            task.cancel()

    async def _replace(self) -> None:
        async with self._replacing:
            while not self._closed and not self._spawn and (self._forkserver is None or self._forkserver.lost):
                await self._back_off()
                self._forkserver = Forkserver.start(self._options.entry, self._options.worker)
                self._listen(self._forkserver)
                try:
                    await self._trust(self._forkserver)
                except ForkserverLost:
                    continue

    async def _back_off(self) -> None:
        if self._gave_up is not None:
            raise self._gave_up
        self._streak, decision = restart(self._options.restart, self._streak, Unready())
        if isinstance(decision, GiveUp):
            self._gave_up = GaveUp(f"the process that imports the app died {decision.deaths} times in a row")
            raise self._gave_up
        await asyncio.sleep(decision.delay)

    async def _trust(self, forkserver: Forkserver) -> None:
        self._settle(forkserver, await forkserver.preloaded())

    def _settle(self, forkserver: Forkserver, obstacles: tuple[str, ...]) -> None:
        """With obstacles the forkserver has left already: each child imports the app itself from now on."""
        self._spawn = bool(obstacles)
        if obstacles:
            forkserver.close()
            found = "; ".join(obstacles)
            self._log("warning", "importing the app left what a fork would break: children are spawned", found=found)

    def _listen(self, forkserver: Forkserver) -> None:
        forkserver.listen(self._statuses.tell, lambda: self._lost(forkserver))

    def _lost(self, forkserver: Forkserver) -> None:
        """Start the next one now, so that a child that dies later is replaced at once."""
        if self._closed or self._spawn or forkserver is not self._forkserver:
            return
        self._log("warning", "the forkserver died; its children go on, a new one is started", pid=forkserver.pid)
        task = asyncio.get_running_loop().create_task(self._replace_quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace_quietly(self) -> None:
        try:
            await self._replace()
        except (GaveUp, AppDoesNotImport) as error:
            # Whoever launches next raises it again; the children that live go on.
            self._log("error", "no new forkserver", error=error)
