"""Stamps: the same on each part as with real Celery, and there when the parts run."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import celery
import celery.canvas
import pytest

import leveret
from leveret import testing
from leveret.celery import canvas as ours

THEIRS = celery.Celery("stamps", broker="memory://", set_as_current=False)


@THEIRS.task(name="same")
def same(value: Any) -> Any:
    return value


def visitor_of(module: ModuleType) -> Any:
    class Visitor(module.StampingVisitor):
        """Says of each place what it was called for, with everything it was told."""

        def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
            return {"at": f"signature {sig.args}", "who": ["visitor"]}

        def on_group_start(self, group: Any, **headers: Any) -> dict[str, Any]:
            return {"of_group": len(group.tasks), "hidden": True, "stamped_headers": ["of_group"]}

        def on_chain_start(self, chain: Any, **headers: Any) -> dict[str, Any]:
            return {"of_chain": len(chain.tasks)}

        def on_chord_body(self, sig: Any, **headers: Any) -> dict[str, Any]:
            return {"body": True, "who": "chord"}

        def on_callback(self, callback: Any, **headers: Any) -> dict[str, Any]:
            return {"linked": True}

        def on_errback(self, errback: Any, **headers: Any) -> dict[str, Any]:
            return {"errback": 1, "who": "errback"}

    return Visitor()


def call(task: Any) -> Any:
    return task.s(1)


def linked(task: Any) -> Any:
    made = task.s(1)
    made.link(task.s(2))
    made.link_error(task.s(3))
    return made


def stamped_before(task: Any) -> Any:
    return task.s(1).set(own="own", who="mine", stamped_headers=["own", "who"])


COMPOSITIONS: dict[str, Callable[[Any, Any], Any]] = {
    "call": lambda task, canvas: call(task),
    "linked": lambda task, canvas: linked(task),
    "stamped before": lambda task, canvas: stamped_before(task),
    "chain": lambda task, canvas: canvas.chain(task.s(1), linked(task), task.s(4)),
    "group": lambda task, canvas: canvas.group([stamped_before(task), task.s(2)]),
    "chord": lambda task, canvas: canvas.chord([task.s(1), linked(task)], stamped_before(task)),
    "nested": lambda task, canvas: canvas.chord(
        [canvas.chain(task.s(1), task.s(2)), task.s(3)], canvas.chain(task.s(4))
    ),
}


def stamps(signature: Any) -> Any:
    """All stamps in a signature, as a tree; the order of names says nothing."""
    options = signature["options"]
    names = options.get("stamped_headers") or ()
    # Celery hands one list of names to all parts, so that some have names of others' stamps, without a value.
    found: dict[str, Any] = {name: options[name] for name in sorted(set(names)) if name in options}
    for option in ("link", "link_error"):
        if options.get(option):
            found[f"<{option}>"] = [stamps(one) for one in options[option]]
    for place in ("tasks", "header", "body"):
        part = signature["kwargs"].get(place) if signature.get("subtask_type") else None
        if part is not None:
            inner = part["kwargs"]["tasks"] if place == "header" and isinstance(part, dict) else part
            found[f"<{place}>"] = [stamps(one) for one in inner] if not isinstance(inner, dict) else stamps(inner)
    return found


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("visits", [False, True])
@pytest.mark.parametrize("name", COMPOSITIONS)
def test_every_part_gets_the_stamps_it_has_with_celery(tasks: Any, name: str, visits: bool, append: bool) -> None:
    make = COMPOSITIONS[name]
    mine, theirs = make(tasks.same, leveret), make(same, celery)

    for made, module in ((mine, ours), (theirs, celery.canvas)):
        made.stamp(visitor_of(module) if visits else None, append_stamps=append, who="caller", n=1)

    assert stamps(mine) == stamps(theirs)


def test_stamps_are_there_when_the_parts_run(app: testing.StagedLeveret, tasks: Any) -> None:
    seen: list[Any] = []

    @app.task(bind=True, name="look")
    def look(self: Any, *values: Any) -> None:
        seen.append((values[-1], sorted(self.request.stamped_headers), dict(self.request.stamps)))

    @app.task(bind=True, name="become")
    def become(self: Any, value: Any) -> None:
        self.replace(look.si(value))

    first = leveret.chain(look.si("first"), look.si("second"), become.si("replaced"))
    first.tasks[1].link(look.si("linked"))
    first.stamp(customer=7)
    first.apply_async().get()
    leveret.chord([look.si("member")], look.si("body")).set().apply_async().get()

    found = {name: (names, values) for name, names, values in seen}
    marked = (["customer"], {"customer": 7})
    assert [found[name] for name in ("first", "second", "linked", "replaced")] == [marked] * 4
    assert found["member"] == found["body"] == ([], {})


def test_what_is_stamped_stays_so_whatever_the_sending_says(tasks: Any) -> None:
    one = tasks.same.s(1)
    one.stamp(customer=7)

    assert one.clone(customer=8, priority=3).options == {
        "customer": 7,
        "stamped_headers": ["customer"],
        "priority": 3,
    }
