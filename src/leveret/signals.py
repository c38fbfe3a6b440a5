"""Signals under Celery's names: functions that are called where something happens (`signals.task_prerun.connect(f)`).

What a receiver raises is logged and changes nothing. A signal that nobody listens to costs a look at a tuple.
"""

import inspect
import logging
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterable
from typing import Any

log = logging.getLogger("leveret.signals")

Receiver = Callable[..., Any]
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Signal:
    """`receivers` is replaced whenever it changes, never changed; `_guard` guards replacing it."""

    def __init__(
        self, providing_args: Iterable[str] | None = None, use_caching: bool = False, name: str | None = None
    ) -> None:
        self.name = name
        self.providing_args = set(providing_args or ())
        self.receivers: tuple[tuple[tuple[Hashable, Hashable], Any], ...] = ()
        self._guard = threading.Lock()

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        """`connect(receiver, sender=None, weak=True, dispatch_uid=None, retry=False)`, or as a decorator, with or
        without these options. `sender`: only what it sends. `weak`: the receiver may be forgotten once nobody else
        holds it. `dispatch_uid`: connected once under it. `retry`: called again until it does not raise."""
        if args and callable(args[0]):
            return self._connect(args[0], *args[1:], **kwargs)
        return lambda receiver: self._connect(receiver, *args, **kwargs)

    def _connect(
        self,
        receiver: Receiver,
        sender: Any = None,
        weak: bool = True,
        dispatch_uid: Hashable = None,
        retry: bool = False,
    ) -> Receiver:
        if not _takes_keywords(receiver):
            raise ValueError("Signal receiver must accept keyword arguments.")
        key = _key(receiver, sender, dispatch_uid)
        called: Any = receiver
        if retry:
            called = _until_it_does_not_raise(receiver)
        elif weak:
            kind = weakref.WeakMethod if hasattr(receiver, "__func__") else weakref.ref
            called = kind(receiver)
        with self._guard:
            alive = tuple(one for one in self.receivers if _called(one[1]) is not None)
            if all(known != key for known, _ in alive):
                alive += ((key, called),)
            self.receivers = alive
        return receiver

    def disconnect(
        self, receiver: Receiver | None = None, sender: Any = None, weak: bool | None = None, dispatch_uid: Any = None
    ) -> bool:
        """Whether it was connected."""
        key = _key(receiver, sender, dispatch_uid)
        with self._guard:
            left = tuple(one for one in self.receivers if one[0] != key)
            found = len(left) != len(self.receivers)
            self.receivers = left
        return found

    def has_listeners(self, sender: Any = None) -> bool:
        return bool(self.live(sender))

    def live(self, sender: Any) -> list[Receiver]:
        """Those that hear what `sender` sends."""
        if not self.receivers:
            return []
        mine = _id(sender)
        heard = [one for key, one in self.receivers if key[1] is None or key[1] == mine]
        return [receiver for one in heard if (receiver := _called(one)) is not None]

    def send(self, sender: Any, **named: Any) -> list[tuple[Receiver, Any]]:
        """Call every receiver; answers each with what it answered, or raised."""
        responses: list[tuple[Receiver, Any]] = []
        for receiver in self.live(sender):
            try:
                response = receiver(signal=self, sender=sender, **named)
            except Exception as error:
                log.exception("Signal handler %r raised: %r", receiver, error)
                response = error
            responses.append((receiver, response))
        return responses

    send_robust = send

    def __repr__(self) -> str:
        return f"<Signal: {self.name} providing_args={self.providing_args!r}>"


def _id(target: Any) -> Hashable:
    if target is None or isinstance(target, str | bytes):
        return target
    if hasattr(target, "__func__"):
        return (id(target.__self__), id(target.__func__))
    # A task is found by its name: what `shared_task` answers stands for the same task of each app.
    name = getattr(target, "name", None) if hasattr(target, "apply_async") else None
    return ("task", name) if name else id(target)


def _key(receiver: Any, sender: Any, dispatch_uid: Hashable) -> tuple[Hashable, Hashable]:
    return (dispatch_uid if dispatch_uid else _id(receiver), _id(sender))


def _called(receiver: Any) -> Receiver | None:
    found: Receiver | None = receiver() if isinstance(receiver, weakref.ReferenceType) else receiver
    return found


def _takes_keywords(receiver: Receiver) -> bool:
    if not callable(receiver):
        raise TypeError(f"a receiver is called, and {receiver!r} cannot be")
    try:
        parameters = inspect.signature(receiver).parameters.values()
    except (TypeError, ValueError):
        return True
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _until_it_does_not_raise(receiver: Receiver) -> Receiver:
    def repeated(*args: Any, **kwargs: Any) -> Any:
        pause = _FIRST_PAUSE
        while True:
            try:
                return receiver(*args, **kwargs)
            except Exception as error:
                log.error("signal receiver %r failed, again in %g s: %r", receiver, pause, error)
                time.sleep(pause)
                pause = min(pause + 1.0, _LONGEST_PAUSE)

    return repeated


def _signal(name: str, *arguments: str) -> Signal:
    return Signal(arguments, name=name)


before_task_publish = _signal(
    "before_task_publish", "body", "exchange", "routing_key", "headers", "properties", "declare", "retry_policy"
)
after_task_publish = _signal("after_task_publish", "body", "exchange", "routing_key", "headers")
task_received = _signal("task_received", "request")
task_prerun = _signal("task_prerun", "task_id", "task", "args", "kwargs", "request")
task_postrun = _signal("task_postrun", "task_id", "task", "args", "kwargs", "retval", "state")
task_success = _signal("task_success", "result", "runtime")
task_retry = _signal("task_retry", "request", "reason", "einfo")
task_failure = _signal("task_failure", "task_id", "exception", "args", "kwargs", "traceback", "einfo")
task_internal_error = _signal(
    "task_internal_error", "task_id", "args", "kwargs", "request", "exception", "traceback", "einfo"
)
task_revoked = _signal("task_revoked", "request", "terminated", "signum", "expired")
task_rejected = _signal("task_rejected", "message", "exc")
task_unknown = _signal("task_unknown", "message", "exc", "name", "id")
task_sent = _signal("task_sent", "task_id", "task", "args", "kwargs", "eta", "taskset")
celeryd_init = _signal("celeryd_init", "instance", "conf", "options")
celeryd_after_setup = _signal("celeryd_after_setup", "instance", "conf")
import_modules = _signal("import_modules")
worker_init = _signal("worker_init")
worker_before_create_process = _signal("worker_before_create_process")
worker_process_init = _signal("worker_process_init")
worker_process_shutdown = _signal("worker_process_shutdown", "pid", "exitcode")
worker_ready = _signal("worker_ready")
worker_shutdown = _signal("worker_shutdown")
worker_shutting_down = _signal("worker_shutting_down", "sig", "how", "exitcode")
heartbeat_sent = _signal("heartbeat_sent")
setup_logging = _signal("setup_logging", "loglevel", "logfile", "format", "colorize")
after_setup_logger = _signal("after_setup_logger", "logger", "loglevel", "logfile", "format", "colorize")
after_setup_task_logger = _signal("after_setup_task_logger", "logger", "loglevel", "logfile", "format", "colorize")
beat_init = _signal("beat_init")
beat_embedded_init = _signal("beat_embedded_init")
eventlet_pool_started = _signal("eventlet_pool_started")
eventlet_pool_preshutdown = _signal("eventlet_pool_preshutdown")
eventlet_pool_postshutdown = _signal("eventlet_pool_postshutdown")
eventlet_pool_apply = _signal("eventlet_pool_apply", "target", "args", "kwargs")
user_preload_options = _signal("user_preload_options", "app", "options")
