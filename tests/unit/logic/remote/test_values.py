"""Who is meant, what is revoked, and how values are shown."""

import pytest

from leveret.errors import ImproperlyConfigured
from leveret.logic.codec import Codec, Limits
from leveret.logic.compression import Compressions
from leveret.logic.remote import marks
from leveret.logic.remote.commands import BUILT_IN, KNOWN
from leveret.logic.remote.infos import scheduled
from leveret.logic.remote.matching import is_for
from leveret.logic.remote.plain import plain
from leveret.logic.remote.queues import queue_as_dict
from leveret.logic.serializers import JSON, PICKLE, Serializers
from leveret.model.delivery import Encoded, Place, Whereabouts
from leveret.model.limiting.pace import per_second
from leveret.model.message import Message, TaskId
from leveret.model.queue import Exchange, Queue, binding
from leveret.model.remote.command import Command


@pytest.mark.parametrize(
    ("facts", "meant"),
    [
        ({}, True),
        ({"destination": ("w@x", "v@x")}, True),
        ({"destination": ("v@x",)}, False),
        ({"destination": ("v@x",), "pattern": "w*", "matcher": "glob"}, False),
        ({"pattern": "w*", "matcher": "glob"}, True),
        ({"pattern": "v*", "matcher": "glob"}, False),
        ({"pattern": "w", "matcher": "pcre"}, True),
        ({"pattern": "(", "matcher": "pcre"}, False),
        ({"pattern": "w*" * 200, "matcher": "glob"}, False),
        ({"pattern": "w*", "matcher": "unheard"}, False),
        ({"pattern": "v*"}, True),
    ],
)
def test_a_command_is_for_whom_it_says(facts: dict, meant: bool) -> None:
    assert is_for(Command(method="ping", **facts), "w@x") is meant


def test_a_message_is_revoked_by_its_id_its_group_and_its_stamps() -> None:
    message = Message(id=TaskId("a"), task="t", group="g", stamps={"shop": [1, "2"], "who": "me"})
    headers = {"id": "a", "group": "g", "stamps": {"shop": [1, "2"], "who": "me"}}

    assert set(marks.of_message(message)) == set(marks.of_headers(headers))
    for command, arguments in (
        ("revoke", {"task_id": "a"}),
        ("terminate", {"task_id": ["a", "b"]}),
        ("revoke_group", {"group_id": "g"}),
        ("revoke_by_stamped_headers", {"headers": {"shop": "1"}}),
        ("revoke_by_stamped_headers", {"headers": ["shop=2", "x=y"]}),
        ("revoke_by_stamped_headers", {"headers": {"who": ["me"]}}),
    ):
        assert set(marks.of_command(command, arguments)) & set(marks.of_message(message)), (command, arguments)
    assert marks.of_command("ping", {}) == ()
    assert not set(marks.of_command("revoke_group", {"group_id": "a"})) & set(marks.of_message(message))
    assert marks.ids_among(marks.of_message(message)) == ("a",)
    assert marks.of_headers({}) == ("None",)


def test_a_rate_is_read_as_celery_reads_it() -> None:
    assert [per_second(rate) for rate in ("10/s", "60/m", "3600/h", "5", 2, None, "0")] == [10, 1, 1, 5, 2, 0, 0]
    for wrong in ("often", "5/d"):
        with pytest.raises(ValueError):
            per_second(wrong)


def test_any_value_is_shown_as_json() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    deep: list = []
    for _ in range(100):
        deep = [deep]

    assert plain({"a": (1, {2}), 3: 2**70, "n": float("nan"), "o": object}) == {
        "a": [1, [2]], "3": str(2**70), "n": "nan", "o": repr(object),
    }  # fmt: skip
    assert plain(Odd()).startswith("<Odd: repr failed")
    assert "..." in str(plain(deep))


def test_a_queue_is_described_as_kombu_does() -> None:
    plainly = queue_as_dict(Queue("q"))
    bound = queue_as_dict(Queue("q", bindings=[binding(Exchange("e", "topic"), "a.#")], queue_arguments={"x": 1}))

    assert (plainly["exchange"]["name"], plainly["routing_key"], plainly["bindings"]) == ("q", "q", [])
    assert bound["bindings"][0]["exchange"]["type"] == "topic"
    assert (bound["exchange"]["name"], bound["queue_arguments"]) == ("", {"x": 1})


def test_every_command_of_celerys_is_known() -> None:
    control = pytest.importorskip("celery.worker.control")
    missing = set(control.Panel.data) - set(KNOWN)

    # What needs a library that Celery does not bring either.
    assert missing == {"memdump", "objgraph"}
    for info in BUILT_IN:
        theirs = control.Panel.meta.get(info.name)
        if theirs is not None:
            assert (info.kind, info.alias, info.variadic, info.visible) == (
                theirs.type, theirs.alias, theirs.variadic, theirs.visible,
            ), info.name  # fmt: skip
            assert [name for name, _ in info.args] == [name for name, _ in theirs.args or ()], info.name


def test_an_app_adds_commands_but_replaces_none() -> None:
    from leveret.client.control import custom

    @custom.inspect_command(args=[("n", int)], signature="[N]", alias="two")
    def twice(state: object, n: int = 1) -> int:
        """Double a number."""
        return 2 * n

    try:
        info = custom.find("two")
        assert info is not None
        assert (info.name, info.kind, info.help, info.changes) == ("twice", "inspect", "Double a number.", False)
        with pytest.raises(ImproperlyConfigured, match="already"):
            custom.control_command(name="ping")(twice)
        with pytest.raises(ImproperlyConfigured, match="unexpected keyword"):
            custom.control_command(signatur="x")(twice)
    finally:
        custom.forget("twice")


@pytest.mark.parametrize(
    ("encoded", "args"),
    [
        (Encoded({"id": "a", "task": "t"}, b"[[1, 2], {}, {}]"), [1, 2]),
        (Encoded({"id": "a", "task": "t"}, PICKLE.dumps(([1], {}, {})), PICKLE.content_type, "binary"), "pickle"),
        (Encoded({"id": "a", "task": "t"}, b"not json"), "8 bytes"),
    ],
)
def test_what_is_scheduled_is_told_and_nothing_is_read_that_could_run_code(encoded: Encoded, args: object) -> None:
    codec = Codec(Serializers((JSON, PICKLE)), Compressions(()), Limits(), accept=frozenset({"json"}))
    where = Whereabouts(place=Place.DELAYED, queue="q", due=0.5, encoded=encoded)

    told = scheduled(where, codec, "w@x")

    assert (told["eta"], told["priority"]) == ("1970-01-01T00:00:00.500000+00:00", 6)
    request = told["request"]
    assert (request["id"], request["name"], request["hostname"], request["time_start"]) == ("a", "t", "w@x", None)
    assert request["delivery_info"]["routing_key"] == "q"
    assert request["args"] == args or (isinstance(args, str) and args in request["args"][0])
