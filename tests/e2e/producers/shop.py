"""The app whose task every kind of producer sends."""

from leveret import Leveret

app = Leveret("shop")


@app.task(ignore_result=True)
def note(index: int) -> None:
    """Nobody runs it: the test reads what arrived."""


def send(start: int, count: int) -> None:
    for index in range(start, start + count):
        note.delay(index)


async def asend(start: int, count: int) -> None:
    for index in range(start, start + count):
        await note.adelay(index)
