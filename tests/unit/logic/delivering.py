"""Messages, deliveries and rules for the tests of `admit` and `conclude`."""

from typing import Any

from leveret.logic.codec import Codec, Limits
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.following import Following
from leveret.logic.recording import Rules
from leveret.logic.serializers import Serializers, builtin_serializers
from leveret.model.delivery import Charge, Delivery, Encoded, Receipt
from leveret.model.message import Message, TaskId
from leveret.model.outcome import ErrorInfo, Failed, Finished, Outcome
from leveret.model.task import TaskDefinition

CODEC = Codec(
    Serializers(builtin_serializers()), Compressions(builtin_compressions()), Limits(), accept=frozenset({"json"})
)
NOW = 1_700_000_000.0


class Known(dict[str, TaskDefinition]):
    def find(self, name: str) -> TaskDefinition | None:
        return self.get(name)


def define(name: str = "add", **options: Any) -> TaskDefinition:
    return TaskDefinition(name=name, run=lambda: None, **options)


RULES = Rules(codec=CODEC, following=Following(registry=Known(add=define())), worker="w1@here")
ERROR = Failed(ErrorInfo(type="ValueError", module="builtins", args=("boom",), text="boom"))


def message(**fields: Any) -> Message:
    return Message(id=TaskId("id-1"), task="add", **fields)


def delivery(count: int = 1, reasons: tuple[str, ...] = ()) -> Delivery:
    return Delivery(
        receipt=Receipt("r"),
        queue="default",
        encoded=Encoded({"id": "id-1", "task": "add"}, b"[[], {}, {}]"),
        count=count,
        charges=tuple(Charge(reason=reason, at=NOW) for reason in reasons),
    )


def finished(outcome: Outcome) -> Finished:
    return Finished(outcome, NOW, 0.001)
