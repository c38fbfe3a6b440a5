"""Leveret as its README's first example has it; only where the file lies comes from the environment."""

from typing import Any

from common import BIN, body, main, option

from leveret import Leveret

app = Leveret("p_leveret")


@app.task
def add(x: int, y: Any) -> int:
    body()
    return x + 1


@app.task(ignore_result=True)
def note(x: int, y: Any) -> None:
    body()


def measured() -> Any:
    return add if option("results", "1") == "1" else note


def purge() -> None:
    """The harness gives every run a fresh folder."""


def send(count: int, bulk: bool, payload: Any) -> None:
    task = measured()
    if countdown := option("countdown", ""):
        task = task.options(countdown=float(countdown))
    if not bulk:
        for number in range(count):
            task.delay(number, payload)
        return
    for start in range(0, count, 1000):
        app.send_many([task.s(number, payload) for number in range(start, min(count, start + 1000))])


async def send_async(count: int, payload: Any) -> None:
    for number in range(count):
        await measured().adelay(number, payload)


def call(payload: Any) -> None:
    add.delay(1, payload).get(timeout=20)


def worker() -> list[str]:
    return [
        str(BIN / "leveret"),
        "worker",
        "-A",
        "p_leveret",
        "-P",
        option("pool", "prefork"),
        "-c",
        option("processes", "2"),
    ]


if __name__ == "__main__":
    main("p_leveret")
