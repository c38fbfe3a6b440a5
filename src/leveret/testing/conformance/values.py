"""The messages and records that cases work with."""

from typing import Any

from leveret.model.delivery import Delivery, Encoded, Posting
from leveret.model.message import TaskId
from leveret.model.settlement import Record, Seat
from leveret.model.state import RETRY, REVOKED, SUCCESS

QUEUE = "q"
URGENT = "urgent"
"""The queue of cases about priorities: where queues differ in that, the driver's author has it declared with them."""


def posting(id: str, **options: Any) -> Posting:
    facts = {"queue": QUEUE, "encoded": encoded(id), **options}
    return Posting(id=id, **facts)


def encoded(id: str) -> Encoded:
    return Encoded(
        headers={"lang": "py", "task": "tasks.add", "id": id, "retries": 0, "x": {"deep": [1, None]}},
        body=b'[[1, "\xc3\xa9"], {}, {}]',
        reply_to="somebody",
    )


def success(id: str, attempt: int = 0, **options: Any) -> Record:
    return Record(id=TaskId(id), attempt=attempt, state=SUCCESS, terminal=True, **{"meta": b'{"result": 3}', **options})


def retry(id: str, attempt: int = 0, **options: Any) -> Record:
    return Record(id=TaskId(id), attempt=attempt, state=RETRY, **options)


def tombstone(id: str, attempt: int = 0, **options: Any) -> Record:
    return Record(id=TaskId(id), attempt=attempt, state=SUCCESS, tombstone=True, terminal=True, **options)


def seat(index: int, value: bytes, *, join: str = "j", size: int = 3, **more: Any) -> Seat:
    return Seat(join=join, index=index, size=size, value=value, **more)


def revoked(id: str) -> Record:
    return Record(id=TaskId(id), attempt=0, state=REVOKED, terminal=True)


def ids(deliveries: tuple[Delivery, ...]) -> list[str]:
    return [delivery.encoded.headers["id"] for delivery in deliveries]
