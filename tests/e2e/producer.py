"""`python -m tests.e2e.producer PLAN`: sends work and keeps a list of what was confirmed, as the history's lines.

Each call has a key of its own, which travels as an argument: copies of a call have it in common. Ends when its standard
input does, or after `count` calls, and prints its figures.
"""

import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from tests.e2e import kill_app
from tests.e2e.mutants import mutate
from tests.e2e.sending import Figures, Sending

from leveret.errors import BrokerError, PublishUnknown, QueueNotFound, TimeoutError

MOST_AWAITED = 30


class Producer:
    """`_guard` guards the figures and the numbers of the calls."""

    def __init__(self, plan: Sending) -> None:
        self._plan, self._dice = plan, random.Random(f"{plan.seed} {plan.name}")
        self._guard = threading.Lock()
        self._numbers = iter(range(plan.count))
        self.figures = Figures()
        self._ended = threading.Event()

    def run(self) -> Figures:
        threading.Thread(target=self._listen, daemon=True).start()
        if self._plan.face == "async":
            asyncio.run(self._all())
            return self.figures
        threads = [threading.Thread(target=self._send_all) for _ in range(self._plan.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.figures

    def _listen(self) -> None:
        sys.stdin.read()
        self._ended.set()

    def _calls(self) -> Iterator[tuple[str, object, dict[str, object]]]:
        """Key, signature and options of each call."""
        plan, dice = self._plan, self._dice
        while not self._ended.is_set():
            with self._guard:
                number = next(self._numbers, None)
                if number is None:
                    return
                seconds = dice.uniform(*plan.seconds)
                options: dict[str, object] = {"countdown": dice.uniform(0.5, 3.0)} if dice.random() < plan.late else {}
                again = dice.random() < plan.twice
            if plan.ignored:
                options["ignore_result"] = True
            key = f"{plan.name}-{number}"
            task = kill_app.twice if again else kill_app.work
            yield key, task.s(seconds, key), options

    # On threads

    def _send_all(self) -> None:
        waiting = []
        for key, call, options in self._calls():
            began = time.monotonic()
            try:
                result = call.apply_async(**options)
            except (BrokerError, QueueNotFound) as error:
                self._failed(key, error, began)
                time.sleep(0.05)
            else:
                self._sent(key, result.id, began)
                if self._plan.results:
                    waiting.append((key, result))
            if len(waiting) >= MOST_AWAITED:
                self._await(waiting)
            time.sleep(self._plan.pause)
        self._await(waiting)

    def _await(self, waiting: list) -> None:
        for key, result in waiting:
            end = time.monotonic() + self._plan.patience
            while True:
                try:
                    value = result.get(timeout=max(end - time.monotonic(), 0.01))
                except (BrokerError, TimeoutError) as error:
                    if self._asks_again(error, end):
                        continue
                    self._missed(key, error)
                else:
                    self._answered(key, value)
                break
        waiting.clear()

    def _asks_again(self, error: Exception, end: float) -> bool:
        return self._plan.asks_again and isinstance(error, BrokerError) and time.monotonic() < end

    # On a loop

    async def _all(self) -> None:
        calls = self._calls()
        await asyncio.gather(*[self._send_some(calls) for _ in range(self._plan.threads)])

    async def _send_some(self, calls: Iterator) -> None:
        for key, call, options in calls:
            began = time.monotonic()
            try:
                result = await call.aapply_async(**options)
            except (BrokerError, QueueNotFound) as error:
                self._failed(key, error, began)
                await asyncio.sleep(0.05)
                continue
            self._sent(key, result.id, began)
            if self._plan.results:
                await self._await_on_loop(key, result)
            await asyncio.sleep(self._plan.pause)

    async def _await_on_loop(self, key: str, result: Any) -> None:
        end = time.monotonic() + self._plan.patience
        while True:
            try:
                value = await result.aget(timeout=max(end - time.monotonic(), 0.01))
            except (BrokerError, TimeoutError) as error:
                if self._asks_again(error, end):
                    continue
                self._missed(key, error)
            else:
                self._answered(key, value)
            return

    # What came of it

    def _sent(self, key: str, id: str, began: float) -> None:
        kill_app.note("confirmed", id, key=key)
        self._count(began)

    def _failed(self, key: str, error: Exception, began: float) -> None:
        kill_app.note("unknown" if isinstance(error, PublishUnknown) else "failed", "", key=key, note=str(error))
        self._count(began)

    def _count(self, began: float) -> None:
        with self._guard:
            self.figures.sent += 1
            self.figures.slowest_send = max(self.figures.slowest_send, round(time.monotonic() - began, 3))

    def _answered(self, key: str, value: object) -> None:
        kill_app.note("answer", "", key=key)
        with self._guard:
            self.figures.answers += 1
            if value != key:
                self.figures.problems.append(f"{key} was answered with {value!r}")

    def _missed(self, key: str, error: Exception) -> None:
        kill_app.note("missing", "", key=key, note=repr(error))
        with self._guard:
            self.figures.missing += 1
            self.figures.problems.append(f"no result of {key}: {error!r}")


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Sending)
    mutate(plan.mutant)
    figures = Producer(plan).run()
    kill_app.app.close()
    print(json.dumps(msgspec.to_builtins(figures)))


if __name__ == "__main__":
    main()
