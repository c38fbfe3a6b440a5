"""Leveret's compositions; where the broker lies comes from the environment."""

import time
from typing import Any

from canvases import main
from common import BIN, option

import leveret
from leveret import Leveret

app = Leveret("p_canvas_leveret")


@app.task
def member(index: int) -> float:
    return time.time()


@app.task
def body(ended: list[float]) -> tuple[int, float]:
    return len(ended), time.time() - max(ended)


@app.task
def add(total: int) -> int:
    return total + 1


def chord(count: int) -> Any:
    return leveret.chord([member.s(index) for index in range(count)])(body.s())


def group(count: int) -> Any:
    return leveret.group(member.s(index) for index in range(count)).apply_async()


def chain(count: int) -> Any:
    return leveret.chain(add.s(0), *(add.s() for _ in range(count - 1))).apply_async()


def call() -> Any:
    return add.delay(1)


def worker() -> list[str]:
    pool = ["-P", option("pool", "prefork"), "-c", option("processes", "2")]
    return [str(BIN / "leveret"), "worker", "-A", "p_canvas_leveret", *pool]


if __name__ == "__main__":
    main("p_canvas_leveret")
