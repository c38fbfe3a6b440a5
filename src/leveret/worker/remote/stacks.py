"""What a slot is doing, line by line."""

import linecache
import sys
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any

from leveret.model.delivery import Receipt
from leveret.ports.executor import Executor

USER_CODE = "call_user_code"
"""The runner's frame around user code: what is above it is ours."""
_OURS = ("leveret/worker/", "leveret/executors/")


def lines_of(executor: Executor, receipt: Receipt) -> list[str]:
    """The innermost line last; empty where the pool does not tell, or the job has just ended."""
    where = getattr(executor, "where", None)
    found = None if where is None else where(receipt)
    if found is None:
        return []
    if isinstance(found, int):
        frame = sys._current_frames().get(found)
        places = [] if frame is None else list(_of_thread(frame))
    else:
        places = list(_of_coroutine(found))
    return [_line(frame, number) for frame, number in places]


def _of_thread(frame: FrameType) -> Iterator[tuple[FrameType, int]]:
    """From the user's outermost frame to the one that runs."""
    frames: list[tuple[FrameType, int]] = []
    walked: FrameType | None = frame
    while walked is not None and walked.f_code.co_name != USER_CODE:
        frames.append((walked, walked.f_lineno))
        walked = walked.f_back
    return reversed(frames)


def _of_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Iterator[tuple[FrameType, int]]:
    """From the task's own coroutine to what it awaits; of one that runs right now, as far as that is seen."""
    waiting: Any = coroutine
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None and not any(part in frame.f_code.co_filename for part in _OURS):
            yield frame, frame.f_lineno
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)


def _line(frame: FrameType, number: int) -> str:
    code = frame.f_code
    text = linecache.getline(code.co_filename, number).strip()
    return f"{code.co_filename}:{number} in {code.co_name}" + (f": {text}" if text else "")
