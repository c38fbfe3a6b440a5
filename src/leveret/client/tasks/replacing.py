"""`task.replace`: another signature takes the running task's place, its id and all that was to follow it."""

from typing import Any, NoReturn

from leveret.client.signature import Signature
from leveret.client.specs import to_spec
from leveret.errors import Ignore, ImproperlyConfigured
from leveret.logic.canvas.plan import ACCUMULATE, freeze
from leveret.logic.canvas.signatures import ends_in_group, followed, hang, kind, parts
from leveret.logic.ids import derive
from leveret.model.message import Message
from leveret.model.signature import SignatureSpec


def replace(self: Any, sig: Signature[Any]) -> NoReturn:
    """End this run and have `sig` run in its place: whoever waits for this task gets what `sig` comes to.

    Nothing of the task after it is run; `return self.replace(...)` reads well. In a function that was called directly
    it is refused.
    """
    request = self.request
    if request.called_directly:
        raise RuntimeError(f"{self.name} was called as a function: there is no message that could be replaced")
    if "chord" in sig.options:
        raise ImproperlyConfigured("a signature that takes the place of a task cannot be a member of a chord already")
    signal = Ignore("replaced by another task")
    signal.replacement = taking_over(to_spec(sig), request.message)
    raise signal


def taking_over(spec: SignatureSpec, message: Message) -> SignatureSpec:
    """`spec` under the message's id, with everything that was to follow the message behind it."""
    if kind(spec) == "chain" and not parts(spec):
        raise ImproperlyConfigured("an empty chain cannot take the place of a task")
    embed = message.embed
    said: dict[str, Any] = {
        "task_id": message.id,
        "chain": tuple(embed.chain) or None,
        "chord": embed.chord,
        "group_id": message.group,
        "group_index": message.group_index,
        "reply_to": message.reply_to,
        "replaced_task_nesting": message.replaced_task_nesting + 1,
        # (id, attempt) names one run, and the attempts of this id are used up to here.
        "retries": message.attempt + 1,
    }
    if message.stamped_headers and not spec.options.get("stamped_headers"):
        said |= {"stamped_headers": list(message.stamped_headers), **message.stamps}
    hung = {"link": embed.callbacks, "link_error": embed.errbacks}
    said |= {name: value for name, value in hung.items() if value}
    taking = hang(with_one_value(spec), {name: value for name, value in said.items() if value is not None})
    later = {"reply_to": message.reply_to} if message.reply_to else {}
    # Not of the id alone: what took over once may be replaced itself.
    return freeze(taking, message.id, later, derive(message.id, "replaced", message.attempt))


def with_one_value(spec: SignatureSpec) -> SignatureSpec:
    """A task has one result: the values of a group are gathered into one."""
    return followed(spec, SignatureSpec(task=ACCUMULATE, kwargs={"index": 0})) if ends_in_group(spec) else spec
