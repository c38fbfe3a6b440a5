"""Celery's compositions on Redis, messages and results. As its manual starts it."""

import time
from typing import Any

import celery
from canvases import main
from celery import Celery
from common import BIN, option

app = Celery("p_canvas_celery", broker=option("broker_url", ""), backend=option("redis_url", ""))


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
    return celery.chord([member.s(index) for index in range(count)])(body.s())


def group(count: int) -> Any:
    return celery.group(member.s(index) for index in range(count)).apply_async()


def chain(count: int) -> Any:
    return celery.chain(add.s(0), *(add.s() for _ in range(count - 1))).apply_async()


def call() -> Any:
    return add.delay(1)


def worker() -> list[str]:
    # Without -l: its default level, WARNING.
    pool = ["-P", option("pool", "prefork"), "-c", option("processes", "2")]
    return [str(BIN / "celery"), "-A", "p_canvas_celery", "worker", *pool]


if __name__ == "__main__":
    main("p_canvas_celery")
