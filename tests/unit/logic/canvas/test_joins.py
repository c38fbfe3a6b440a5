"""Who takes a seat, what the last one sets free, and what a failure means to others."""

import json
from dataclasses import replace

import pytest
from tests.unit.logic.delivering import CODEC, NOW, Known, define

from leveret.logic.canvas import joins
from leveret.logic.following import Following
from leveret.logic.recording import Rules
from leveret.model.message import Embed, Message, TaskId
from leveret.model.outcome import ErrorInfo
from leveret.model.settlement import ANY_PLACE, NOTHING, Joined
from leveret.model.signature import SignatureSpec
from leveret.model.state import FAILURE

RULES = Rules(codec=CODEC, following=Following(registry=Known(add=define())))
ERROR = ErrorInfo(type="ValueError", module="builtins", args=("boom",), text="boom")
OUTER = SignatureSpec(task="outer", options={"task_id": "O", "link_error": [{"task": "eb2"}]}, chord_size=3)
BODY = SignatureSpec(
    task="body",
    options={
        "task_id": "B", "link_error": [{"task": "eb"}], "chain": [{"task": "last", "options": {"task_id": "L",
        "chord": OUTER, "group_id": "J2", "group_index": 1}}],
    },
    chord_size=2,
)  # fmt: skip


def member(index=0, **embed):
    return Message(id=TaskId(f"m{index}"), task="add", group="J", group_index=index, embed=Embed(chord=BODY, **embed))


def test_the_last_seat_sets_the_body_free_and_the_others_nothing():
    seat = joins.seat(member(1), b"2", RULES, NOW)

    assert (seat.join, seat.id, seat.index, seat.size, seat.failed) == ("J", "m1", 1, 2, False)
    assert seat.value == b'[1,"m1","SUCCESS",2]'
    assert seat.release(Joined(join="J", complete=False)) == NOTHING
    (posting,) = seat.release(Joined(join="J", complete=True, values=(part("m0", 1), seat.value))).follow
    assert (posting.id, posting.once) == ("B", True)
    assert json.loads(posting.encoded.body)[0] == [[1, 2]]


def part(name, value, state="SUCCESS"):
    """As Celery's json serializer writes it."""
    return json.dumps([1, name, state, value]).encode()


def test_a_member_that_failed_on_a_celery_worker_is_found_by_whoever_is_last():
    raised = {"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"}
    values = (part("m0", 1), part("m1", raised, "FAILURE"))

    told = joins.seat(member(0), b"1", RULES, NOW).release(Joined(join="J", complete=True, values=values))

    assert [record.id for record in told.records] == ["B", "L"]
    assert json.loads(told.records[0].meta)["result"]["exc_message"] == ["Dependency m1 raised ValueError('boom')"]
    assert [posting.encoded.headers["task"] for posting in told.follow] == ["eb"]


def test_the_body_gets_the_lists_that_celerys_client_described():
    """A header with a group at the end of a chain: [a, chain(b, group(c, d))]."""
    shape = json.dumps({"result": [["J", None], [[["m0", None], None], [["G", None], [[["c", None], None], [["d", None],
    None]]]]]}).encode()  # fmt: skip
    values = (part("m0", 1), part("c", 2), part("d", 3))
    seat = joins.seat(member(0), b"1", RULES, NOW)

    (shaped,) = seat.release(Joined(join="J", complete=True, values=values, shape=shape)).follow
    (flat,) = seat.release(Joined(join="J", complete=True, values=values[:2], shape=shape)).follow

    assert json.loads(shaped.encoded.body)[0] == [[1, [2, 3]]]
    assert json.loads(flat.encoded.body)[0] == [[1, 2]]


@pytest.mark.parametrize("known", ["over", "claimed"])
def test_a_failure_changes_nothing_where_others_have_seen_to_it(known):
    joined = Joined(join="J", complete=False, **{known: True})

    assert joins.failed_seat(member(), ERROR, RULES, NOW).release(joined) == NOTHING


def test_a_failure_sets_the_body_free_where_its_seat_was_taken_before():
    """A second run of a member that has succeeded on a Celery worker: its first value counts."""
    joined = Joined(join="J", complete=True, values=(part("m0", 1), part("m1", 2)))

    (body,) = joins.failed_seat(member(), ERROR, RULES, NOW).release(joined).follow

    assert body.id == "B"


def test_seats_of_celerys_chords_are_counted_where_the_store_knows_their_size():
    unsized = Message(id=TaskId("m"), task="add", group="J", embed=Embed(chord=SignatureSpec(task="b")))

    seat = joins.seat(unsized, b"1", replace(RULES, sizes_known=True), NOW)

    assert (seat.size, seat.index) == (0, ANY_PLACE)


def test_a_member_of_a_chain_has_no_seat_before_the_last_step():
    step = SignatureSpec(task="next")

    assert joins.seat(member(chain=(step,)), b"1", RULES, NOW) is None


def test_a_seat_nobody_can_count_is_not_taken():
    unsized = Message(id=TaskId("m"), task="add", group="J", group_index=0, embed=Embed(chord=SignatureSpec(task="b")))
    unjoined = Rules(codec=CODEC, following=RULES.following, joins=False)

    assert joins.seat(unsized, b"1", RULES, NOW) is None
    assert joins.seat(member(), b"1", unjoined, NOW) is None


def test_a_failed_seat_fails_the_body_its_chain_and_the_join_around_it():
    seat = joins.failed_seat(member(), ERROR, RULES, NOW)
    told = seat.release(Joined(join="J", complete=False))

    assert seat.failed
    assert [(record.id, record.state) for record in told.records] == [("B", FAILURE), ("L", FAILURE)]
    assert [posting.encoded.headers["task"] for posting in told.follow] == ["eb"]
    (outer,) = told.seats
    assert (outer.join, outer.index, outer.failed) == ("J2", 1, True)
    further = outer.release(Joined(join="J2", complete=False))
    assert [record.id for record in further.records] == ["O"]
    assert [posting.encoded.headers["task"] for posting in further.follow] == ["eb2"]


def test_what_is_told_twice_has_the_same_ids():
    once, again = (
        joins.failed_seat(member(index), ERROR, RULES, NOW).release(Joined(join="J", complete=False))
        for index in (0, 1)
    )

    assert [posting.id for posting in once.follow] == [posting.id for posting in again.follow]
    assert all(posting.once for posting in once.follow)


def test_a_chain_of_a_thousand_steps_fails_without_recursion():
    steps = tuple(SignatureSpec(task="add", options={"task_id": f"s{n}"}) for n in range(1000))
    first = Message(id=TaskId("first"), task="add", embed=Embed(chain=steps))

    told = joins.aftermath(first, ERROR, FAILURE, RULES, NOW)

    assert len(told.records) == 1000
