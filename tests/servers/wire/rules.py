"""What a proxy does at which frame: decided here, done in proxy.py."""

import enum
import threading
from dataclasses import dataclass, field

from tests.servers.wire.frames import BODY, HEADER, METHODS, WITH_CONTENT, Frame, MethodId
from tests.servers.wire.resp import RespFrame


class Direction(enum.Enum):
    """Which way bytes go."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class Action(enum.Enum):
    """What happens at the frame. Content (header and body) belongs to the method that it follows.

    A cut resets both connections, after all that went before has arrived; no answer to the last of it comes back.
    """

    CUT_BEFORE = "the method does not arrive: reset"
    CUT_AMID = "the method arrives, its content does not: reset"
    CUT_AFTER = "the method and its content arrive: reset"
    DROP_AND_CUT = "the method and its content do not arrive: both sides see an orderly end"
    BLACKHOLE = "from this method on nothing arrives, either way, until the black hole is lifted"


class Step(enum.Enum):
    """What the proxy does with one frame."""

    PASS = "pass on"
    SWALLOW = "do not pass on"
    CUT = "do not pass on; reset"
    PASS_AND_CUT = "pass on; reset"
    END = "do not pass on; end in order"
    HOLD = "start the black hole, then pass on"


class Trigger:
    """Something that happens once; `wait` for it from the test's thread."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._fired = threading.Event()

    @property
    def fired(self) -> bool:
        return self._fired.is_set()

    def fire(self) -> None:
        self._fired.set()

    def wait(self, timeout: float = 10.0) -> None:
        assert self._fired.wait(timeout), f"not within {timeout} s: {self._what}"


class Rule(Trigger):
    """`nth` counts frames of all connections since the rule was made."""

    def __init__(self, direction: Direction, method: str, action: Action, nth: int = 1) -> None:
        super().__init__(f"{method} number {nth} {direction.value}")
        self.direction = direction
        # Of RESP a method is the command's name, or the script's.
        self.method: MethodId | str = METHODS.get(method, method)
        self.action = action
        self._left = nth

    def meets(self, direction: Direction, frame: Frame | RespFrame) -> bool:
        """Count the frame; answers whether it is the one."""
        if self.fired or direction is not self.direction or frame.method != self.method:
            return False
        self._left -= 1
        if self._left == 0:
            self.fire()
        return self.fired


AT_ONCE = {
    Action.CUT_BEFORE: Step.CUT,
    Action.CUT_AMID: Step.PASS_AND_CUT,
    Action.BLACKHOLE: Step.HOLD,
}
# What is done with the method and its content, and at the end of them.
ALONG = {
    Action.CUT_AFTER: (Step.PASS, Step.PASS_AND_CUT),
    Action.DROP_AND_CUT: (Step.SWALLOW, Step.END),
}


@dataclass(slots=True)
class Course:
    """One direction of one connection: follows the content of a method that a rule was for."""

    direction: Direction
    _channel: int | None = field(default=None, init=False)
    _action: Action = field(default=Action.CUT_AFTER, init=False)
    _missing: int | None = field(default=None, init=False)

    def judge(self, frame: Frame | RespFrame, rules: list[Rule]) -> Step:
        """Decide about one frame; the first rule that meets it wins, and all count it."""
        if self._channel is not None:
            return self._follow(frame)
        met = [rule for rule in rules if rule.meets(self.direction, frame)]
        if not met:
            return Step.PASS
        action = met[0].action
        if action in AT_ONCE:
            return AT_ONCE[action]
        during, after = ALONG[action]
        if frame.method not in WITH_CONTENT:
            return after
        self._channel, self._action, self._missing = frame.channel, action, None
        return during

    def _follow(self, frame: Frame | RespFrame) -> Step:
        during, after = ALONG[self._action]
        if isinstance(frame, RespFrame) or frame.channel != self._channel or frame.kind not in (HEADER, BODY):
            return Step.PASS
        self._missing = frame.content_size if frame.kind == HEADER else (self._missing or 0) - frame.content_size
        return during if self._missing else after
