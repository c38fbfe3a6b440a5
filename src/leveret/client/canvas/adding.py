"""`task.add_to_chord`: one more member for the chord that the running task is a member of.

The law: the k-th that a task adds has an id computed from the task's and k, whichever of its runs says so, and the
store counts each id once. So a run that is repeated after a death adds nothing that is there already.
"""

from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from leveret.client import sending
from leveret.client.canvas.composition import NO_JOINS, Composition
from leveret.client.canvas.whole import asubmit_whole, submit_whole
from leveret.client.client import Client
from leveret.client.signature import Signature
from leveret.client.specs import from_spec, to_spec
from leveret.client.tasks.replacing import with_one_value
from leveret.errors import ChordError, ImproperlyConfigured
from leveret.logic.canvas.signatures import hang, kind, parts
from leveret.logic.ids import derive
from leveret.model.message import Addition, Message
from leveret.model.request import Request
from leveret.model.settlement import ADDED, ANY_PLACE
from leveret.model.signature import SignatureSpec
from leveret.ports.backend import BlockingGrowsJoins, GrowsJoins


def add_to_chord(self: Any, sig: Signature[Any], lazy: bool = False) -> Any:
    """Have the chord's body wait for `sig` too, and answer its result; its value follows the header's, in the order of
    adding.

    For tasks in a header, while they run. A group counts as one, whose value is the list of its members'. `lazy` sends
    nothing: it answers the signature, which must be sent then, or the body never comes. Raises ValueError outside of a
    header, and `ChordError` when another run of the task has ended meanwhile.
    """
    client, added = self.app.client, _placed(self, sig)
    if lazy:
        _grow(client, added)
        return _written(sig, added)
    messages, result = _composed(client, added)
    if client.parts.outbox is None:
        # Sent first: a member that arrives uncounted counts itself, and one that is counted but never sent, because its
        # sender died, would be waited for. (Redis counts it in the step that sends it, for Celery's workers.)
        sending.submit(client, messages)
        _grow(client, added)
    else:
        submit_whole(client, added.facts.member, messages, {}, before=lambda: _grow(client, added))
    return sending.adopted(result)


async def aadd_to_chord(self: Any, sig: Signature[Any], lazy: bool = False) -> Any:
    """As `add_to_chord`, on the running loop's connection."""
    client, added = self.app.client, _placed(self, sig)

    def grow() -> Coroutine[Any, Any, None]:
        return _agrow(client, added)

    if lazy:
        await grow()
        return _written(sig, added)
    messages, result = _composed(client, added)
    if client.of_loop().outbox is None:
        await sending.asubmit(client, messages)
        await grow()
    else:
        await asubmit_whole(client, added.facts.member, messages, {}, before=grow)
    return sending.adopted(result)


class _Added(NamedTuple):
    call: Signature[Any]
    facts: Addition
    who: str


def _placed(task: Any, sig: Signature[Any]) -> _Added:
    """`sig` as a member of the running task's chord."""
    request: Request = task.request
    message, app = request.message, task.app
    who = f"{message.task}[{message.id}]"
    body = None if request.called_directly else message.embed.chord
    if body is None or message.group is None or message.embed.chain:
        raise ValueError(
            f"{who} is not a member of a chord: add_to_chord is for a task in a chord's header (of a chain in a header "
            "its last task) while a worker runs it"
        )
    _refuse(app.client, sig, shared=body.chord_size is None, who=who)
    spec, facts = placed(to_spec(sig), message, request.added)
    request.added += 1
    return _Added(Signature.from_dict(from_spec(spec), app=app), facts, who)


def placed(spec: SignatureSpec, message: Message, number: int) -> tuple[SignatureSpec, Addition]:
    """`spec` as the member that the run of `message` adds as its `number`th."""
    body = message.embed.chord
    assert body is not None and message.group is not None
    said: dict[str, Any] = {"chord": body, "group_id": message.group, "group_index": ADDED}
    one = with_one_value(spec)
    if not one.options.get("task_id"):
        said["task_id"] = derive(message.id, "added", message.replaced_task_nesting, number)
    one = hang(one, said)
    return one, Addition(
        join=message.group,
        size=body.chord_size or 0,
        member=str(one.options["task_id"]),
        by=message.id,
        by_index=ANY_PLACE if message.group_index is None else message.group_index,
    )


def _refuse(client: Client, sig: Signature[Any], *, shared: bool, who: str) -> None:
    if not isinstance(sig, Signature):
        raise TypeError(f"add_to_chord takes a signature (task.s(...)), not {sig!r}")
    if "chord" in sig.options:
        raise ImproperlyConfigured(f"{sig!r} is a member of a chord already: {who} cannot add it to its own")
    if kind(to_spec(sig)) == "chain" and not parts(to_spec(sig)):
        raise ImproperlyConfigured(f"{who} cannot add an empty chain to its chord: nothing would take its seat")
    if not client.options.joins:
        raise ImproperlyConfigured(NO_JOINS.format(where=client.options.results_address or "this broker"))
    if shared and not getattr(client.parts.backend, "shares_joins", False):
        raise ImproperlyConfigured(f"the chord of {who} was sent by Celery: in this store it is not counted here")


def _composed(client: Client, added: _Added) -> tuple[Sequence[Message], Any]:
    call = added.call
    if isinstance(call, Composition):
        plan = call.plan(client, (), {}, {})
        first, *others = plan.messages
        return (msgspec.structs.replace(first, adds=added.facts), *others), plan.result
    message = msgspec.structs.replace(call.message(), adds=added.facts)
    return (message,), sending.handle(client, message, {"add_to_parent": False})


def _written(sig: Signature[Any], added: _Added) -> Signature[Any]:
    """The signature to send; where it can be, the very one that was given, as with Celery."""
    if type(sig) is not type(added.call):
        return added.call
    sig.update(added.call)
    return sig


def _grow(client: Client, added: _Added) -> None:
    store = cast(BlockingGrowsJoins, client.backend())
    _check(added, store.grow((added.facts,)))


async def _agrow(client: Client, added: _Added) -> None:
    store = cast(GrowsJoins, client.backend_of_loop())
    _check(added, await store.grow((added.facts,)))


def _check(added: _Added, counted: tuple[bool, ...]) -> None:
    if not counted[0]:
        join = added.facts.join
        raise ChordError(f"another run of {added.who} has ended: this one cannot add anything to its chord {join}")
