"""Which results a group has, kept in the store (`GroupResult.save`)."""

from typing import Any

from leveret.client.client import Client
from leveret.logic.results import read_meta, write_meta
from leveret.model.message import TaskId
from leveret.model.settlement import Record
from leveret.model.state import SUCCESS

PREFIX = "celery-taskset-meta-"
"""Before the id of a group: Celery's key for what it saves, so that no task's id is ever the same."""


def saved_record(client: Client, id: str, written: tuple[Any, ...]) -> Record:
    name = PREFIX + id
    return Record(
        id=TaskId(name),
        attempt=0,
        state="SAVED",
        meta=write_meta(client.codec, id=name, status=SUCCESS, result=written),
        content_type=client.codec.result_serializer.content_type,
        expires_after=client.options.result_expires,
    )


def read_saved(client: Client, id: str) -> Any:
    record = client.backend().get([PREFIX + id])[0]
    return None if record is None else read_meta(record, client.codec).result


def forget_saved(client: Client, id: str) -> None:
    client.backend().forget([PREFIX + id])
