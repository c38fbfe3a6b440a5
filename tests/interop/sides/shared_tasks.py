"""The same tasks on a Celery app and on a Leveret app: what may be written alike is written once."""

import json
import os
import time
from types import ModuleType
from typing import Any

from tests.interop.sides.canvas_tasks import define_canvas
from tests.interop.sides.words import OutOfStock, unknown_elsewhere

NOTES = os.environ.get("INTEROP_NOTES", os.devnull)

ERRORS: dict[str, Any] = {
    "ValueError": ValueError,
    "KeyError": KeyError,
    "OSError": OSError,
    "ZeroDivisionError": ZeroDivisionError,
    "OutOfStock": OutOfStock,
    "OnlyHere": unknown_elsewhere,
}
REQUEST = (
    "id", "task", "root_id", "parent_id", "group", "group_index", "retries", "timelimit", "eta", "expires", "origin",
    "ignore_result", "shadow", "correlation_id", "stamps", "stamped_headers", "my_header", "nested",
)  # fmt: skip


def note(**facts: Any) -> None:
    """Leave a line for the test: what a result cannot tell, or nobody could read."""
    line = json.dumps(facts, default=str).encode() + b"\n"
    descriptor = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line)
    os.close(descriptor)


def define(app: Any, side: str, words: ModuleType) -> None:
    """Register everything on `app`; `words` has that side's exceptions."""
    define_plain(app, side)
    define_failing(app, side)
    define_with_state(app, side, words)
    define_canvas(app, side)


def define_plain(app: Any, side: str) -> None:
    @app.task(name="interop.echo")
    def echo(*args: Any, **kwargs: Any) -> Any:
        return [list(args), kwargs]

    @app.task(name="interop.types")
    def types(*args: Any, **kwargs: Any) -> Any:
        return [type(value).__name__ for value in args], {name: type(value).__name__ for name, value in kwargs.items()}

    @app.task(name="interop.same")
    def same(value: Any) -> Any:
        return value

    @app.task(name="interop.add")
    def add(x: Any, y: Any) -> Any:
        return x + y

    @app.task(name="interop.total")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task(name="interop.who")
    def who() -> Any:
        return [side, os.getpid(), time.time()]

    @app.task(name="interop.request", bind=True)
    def request(self: Any) -> Any:
        return {name: getattr(self.request, name, None) for name in REQUEST}

    @app.task(name="interop.delivery", bind=True)
    def delivery(self: Any) -> Any:
        return dict(self.request.delivery_info)

    @app.task(name="interop.note", bind=True)
    def take_note(self: Any, *args: Any, tag: str = "") -> Any:
        seen = self.request
        note(tag=tag, args=args, side=side, id=seen.id, root=seen.root_id, parent=seen.parent_id, at=time.time())
        return tag

    @app.task(name="interop.on_error")
    def on_error(request: Any, error: BaseException, traceback: Any, tag: str = "") -> None:
        note(tag=tag, id=request.id, error=repr(error), traceback=str(traceback), side=side)

    @app.task(name="interop.count", ignore_result=True, bind=True)
    def count(self: Any, number: int, seconds: float = 0.0) -> None:
        time.sleep(seconds)
        note(count=number, side=side, pid=os.getpid(), redelivered=self.request.delivery_info.get("redelivered"))

    @app.task(name="interop.shared", bind=True, max_retries=5)
    def shared(self: Any, number: int, seconds: float, retries: int = 0) -> Any:
        time.sleep(seconds)
        tries = self.request.retries
        note(shared=number, side=side, pid=os.getpid(), tries=tries, at=time.time())
        if tries < retries:
            raise self.retry(countdown=0)
        return [number, side, tries]

    @app.task(name="interop.work", ignore_result=True)
    def work(number: int, seconds: float, tag: str) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        note(tag=tag, number=number, at=time.time())

    @app.task(name="interop.child", bind=True)
    def child(self: Any, x: int) -> Any:
        return app.tasks["interop.add"].delay(x, 1).id

    @app.task(name=f"interop.only.{side}")
    def only() -> str:
        return side


def define_failing(app: Any, side: str) -> None:
    @app.task(name="interop.fail")
    def fail(kind: str, *args: Any) -> None:
        raise ERRORS[kind](*args)

    @app.task(name="interop.fail_oddly")
    def fail_oddly() -> None:
        raise ValueError(object())

    @app.task(name="interop.cause")
    def cause() -> None:
        try:
            int("x")
        except ValueError as error:
            raise RuntimeError("because") from error

    @app.task(name="interop.retry", bind=True, max_retries=5)
    def retry(self: Any, times: int, countdown: float = 0) -> Any:
        if self.request.retries < times:
            raise self.retry(countdown=countdown)
        return [self.request.retries, self.request.id]

    @app.task(name="interop.retried_request", bind=True)
    def retried_request(self: Any) -> Any:
        if not self.request.retries:
            raise self.retry(countdown=0)
        seen = {name: getattr(self.request, name, None) for name in REQUEST}
        return {**seen, "priority": self.request.delivery_info["priority"]}

    @app.task(name="interop.again", bind=True, max_retries=1)
    def again(self: Any, kind: str, *args: Any) -> Any:
        try:
            raise ERRORS[kind](*args)
        except Exception as error:
            raise self.retry(exc=error, countdown=0) from error

    @app.task(name="interop.exhausted", bind=True, max_retries=1)
    def exhausted(self: Any) -> Any:
        raise self.retry(countdown=0)

    @app.task(name="interop.retry_elsewhere", bind=True)
    def retry_elsewhere(self: Any, queue: str, number: int) -> Any:
        if not self.request.retries:
            raise self.retry(queue=queue, countdown=0)
        return number

    @app.task(name="interop.auto", bind=True, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0)
    def auto(self: Any, times: int) -> Any:
        if self.request.retries < times:
            raise OSError("try again")
        return self.request.retries

    @app.task(name="interop.other_arguments", bind=True)
    def other_arguments(self: Any, number: int) -> Any:
        if number < 3:
            raise self.retry(args=(number + 1,), countdown=0)
        return [number, self.request.retries]


def define_with_state(app: Any, side: str, words: ModuleType) -> None:
    @app.task(name="interop.progress", bind=True)
    def progress(self: Any, gate: str) -> Any:
        self.update_state(state="PROGRESS", meta={"done": 3, "of": 10})
        # Longer than a test on a busy machine takes to start a command line or two.
        deadline = time.monotonic() + 60
        while not os.path.exists(gate) and time.monotonic() < deadline:
            time.sleep(0.01)
        return "finished"

    @app.task(name="interop.sleep")
    def sleep(seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    @app.task(name="interop.soft")
    def soft() -> str:
        try:
            for _ in range(500):  # a thread is told between two instructions, not in the middle of a sleep
                time.sleep(0.01)
        except words.SoftTimeLimitExceeded:
            return "warned"
        return "slept"

    @app.task(name="interop.ignore")
    def ignore() -> None:
        raise words.Ignore()

    @app.task(name="interop.reject")
    def reject() -> None:
        raise words.Reject("not mine", requeue=False)

    @app.task(name="interop.started", track_started=True)
    def started(gate: str) -> str:
        return str(progress_gate(gate))

    @app.task(name="interop.silent", ignore_result=True)
    def silent(tag: str) -> str:
        note(tag=tag, side=side)
        return tag


def progress_gate(gate: str) -> bool:
    """Wait until the test lets go."""
    deadline = time.monotonic() + 10
    while not os.path.exists(gate) and time.monotonic() < deadline:
        time.sleep(0.01)
    return os.path.exists(gate)
