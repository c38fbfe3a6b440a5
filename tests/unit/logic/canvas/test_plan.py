"""Compositions as data: which calls begin one, which ids they have, what they carry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leveret.logic.canvas.plan import (
    ACCUMULATE,
    CHORD_TIMEOUT,
    PLAINLY,
    UNSENT,
    How,
    freeze,
    join_of,
    needs_join,
    results,
    start,
)
from leveret.logic.canvas.signatures import chord_of, kind, parts
from leveret.model.signature import SignatureSpec


def call(name, **options):
    return SignatureSpec(task=name, options=options)


def chain(*steps, **options):
    return SignatureSpec(task="celery.chain", kwargs={"tasks": steps}, options=options, subtask_type="chain")


def group(*members, **options):
    return SignatureSpec(task="celery.group", kwargs={"tasks": members}, options=options, subtask_type="group")


def chord(header, body):
    return SignatureSpec(
        task="celery.chord", kwargs={"header": tuple(header), "body": body, "kwargs": {}}, subtask_type="chord"
    )


def begun(spec, *lead, how=PLAINLY):
    return list(start(freeze(spec, "root"), lead, how=how))


def test_a_chain_begins_with_its_first_step_which_carries_the_rest():
    (first,) = begun(chain(call("a"), chain(call("b"), call("c"))), 1)

    assert (first.task, first.args) == ("a", (1,))
    assert [step.task for step in first.options["chain"]] == ["c", "b"], "reversed, as on the wire"
    assert first.options["chain"][0].options["task_id"] == "root", "a chain's result is its last step's"


def test_a_group_begins_with_all_its_members_nested_ones_laid_flat():
    calls = begun(group(call("a"), group(call("b"), chain()), call("c")))

    assert [one.task for one in calls] == ["a", "b", "c"]
    assert [one.options["group_index"] for one in calls] == [0, 1, 2]
    assert {one.options["group_id"] for one in calls} == {"root"}


def test_a_chord_begins_with_its_header_which_carries_the_body():
    calls = begun(chord([call("a"), chain(call("b"), call("c"))], call("body")))

    body = calls[0].options["chord"]
    assert (body.task, body.options["task_id"], body.chord_size) == ("body", "root", 2)
    assert [one.task for one in calls] == ["a", "b"]
    assert "chord" not in calls[1].options, "the seat is the last step's"
    assert calls[1].options["chain"][0].options["chord"] == body
    assert calls[1].options["chain"][0].options["group_index"] == 1


def test_what_stands_behind_a_chord_stands_behind_its_body():
    (first, _) = begun(chain(group(call("a"), call("b")), call("body"), call("last")))

    body = first.options["chord"]
    assert body.task == "body"
    assert [step.task for step in body.options["chain"]] == ["last"]


def test_a_chord_in_a_header_hands_its_seat_to_its_body():
    calls = begun(chord([chord([call("a")], call("inner")), call("b")], call("outer")))

    inner = calls[0].options["chord"]
    assert (inner.task, inner.options["chord"].task, inner.options["group_index"]) == ("inner", "outer", 0)
    assert calls[0].options["group_id"] != inner.options["group_id"]


def test_the_values_of_a_group_that_is_waited_for_are_gathered():
    calls = begun(chord([chain(call("a"), group(call("b"), call("c"))), call("d")], call("body")))

    (group_step,) = calls[0].options["chain"]
    later = list(start(group_step, (1,)))
    assert [one.task for one in later] == ["b", "c"]
    assert later[0].options["chord"].task == ACCUMULATE
    assert later[0].options["chord"].options["chord"].task == "body"


def test_an_empty_header_begins_with_the_body():
    (body,) = begun(chord([], call("body")))

    assert (body.task, body.args) == ("body", ([],))


def test_without_headers_a_composition_begins_where_its_fate_is_told():
    spec = chain(group(call("a"), call("b")), call("body"), call("last"))

    (heir,) = begun(spec, how=UNSENT)

    assert (heir.task, heir.options["chain"][0].options["task_id"]) == ("body", "root")


def test_a_chord_with_a_timeout_is_watched():
    watch, *header = begun(chord([call("a"), call("b")], call("body")), how=How(timeout=5.0))

    assert (watch.task, watch.options["countdown"], len(header)) == (CHORD_TIMEOUT, 5.0, 2)
    assert watch.options["chord"].chord_size == 2


def test_what_begins_now_is_noted_with_its_size():
    how = How(begun=[])

    begun(chord([chord([call("a"), call("b")], call("inner")), call("c")], call("outer")), how=how)

    assert [header.size for header in how.begun] == [2, 2]
    assert len({header.join for header in how.begun}) == 2
    begun(chain(call("a"), group(call("b"), call("c")), call("d")), how=(later := How(begun=[])))
    assert later.begun == []


def test_a_member_that_ends_in_a_group_takes_one_seat_on_a_celery_worker_too():
    """The group is a chord already when it travels: with Celery each of its members would be one of the header's."""
    ends = group(call("b"), call("c"))
    inner = chord([call("d")], ends)

    first, second = begun(chord([chain(call("a"), ends), inner], call("body")))

    (step,) = first.options["chain"]
    body = second.options["chord"]
    for one in (step, body):
        assert kind(one) == "chord"
        assert [part.task for part in parts(one)] == ["b", "c"]
        assert one.kwargs["body"].task == ACCUMULATE
        assert one.kwargs["body"].options["chord"].chord_size == 2


def test_the_members_of_a_group_of_celerys_have_their_own_seats():
    """As its client freezes the group at the end of a member's chain: the body says no size."""
    body = call("body", task_id="B")
    seats = ({"task_id": f"m{place}", "group_id": "outer", "group_index": place, "chord": body} for place in (0, 1))
    sent = group(*(call("a", **seat) for seat in seats), task_id="inner", group_id="outer", group_index=3, chord=body)

    calls = begun(sent, 1)

    assert [(one.task, one.args) for one in calls] == [("a", (1,)), ("a", (1,))]
    assert [(one.options["group_id"], one.options["group_index"]) for one in calls] == [("outer", 0), ("outer", 1)]
    assert {one.options["chord"].task for one in calls} == {"body"}


def test_an_empty_chain_is_refused():
    with pytest.raises(ValueError, match="empty chain"):
        freeze(chain(), "root")


def test_which_need_a_join():
    assert needs_join(freeze(chain(group(call("a"), call("b")), call("c")), "i"))
    assert needs_join(group(chain(call("a"), chord([call("b")], call("c")))))
    assert not needs_join(freeze(chain(call("a"), group(call("b"), call("c"))), "i"))


def test_celerys_frozen_signatures_keep_their_ids():
    frozen = freeze(
        SignatureSpec(
            task="celery.chord",
            kwargs={"header": group(call("a", task_id="A"), task_id="G"), "body": call("b", task_id="B")},
            options={"task_id": "G"},
            subtask_type="chord",
        ),
        "other",
    )

    assert join_of(frozen) == "G"
    assert [one.options["task_id"] for one in start(frozen)] == ["A"]
    assert [one.options["task_id"] for one in results(frozen)] == ["B"]


def trees():
    leaves = st.sampled_from("abc").map(call)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda steps: chain(*steps)),
            st.lists(inner, min_size=1, max_size=3).map(lambda members: group(*members)),
            st.tuples(st.lists(inner, max_size=3), inner).map(lambda both: chord(*both)),
        ),
        max_leaves=12,
    )


def ids(spec):
    match kind(spec):
        case "chain":
            return [one for step in parts(spec) for one in ids(step)]
        case "group":
            return [f"group {spec.options['task_id']}", *(one for member in parts(spec) for one in ids(member))]
        case "chord":
            header = [one for member in parts(spec) for one in ids(member)]
            return [f"group {join_of(spec)}", *header, *ids(spec.kwargs["body"])]
    return [spec.options["task_id"]]


@given(trees())
def test_no_two_results_have_one_id_and_freezing_again_changes_nothing(spec):
    frozen = freeze(spec, "root")

    assert len(ids(frozen)) == len(set(ids(frozen)))
    assert ids(freeze(frozen, "other")) == ids(frozen)
    assert ids(freeze(spec, "root")) == ids(frozen)


def test_a_group_and_a_step_are_a_chord():
    made = chord_of(group(call("a"), call("b")), call("c"))

    assert [one.task for one in parts(made)] == ["a", "b"]
