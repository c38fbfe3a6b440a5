"""What follows a task: links, errbacks and chains that one side sends and the other carries on, crossing sides."""

from typing import Any

import pytest
from tests.interop.sides.lines import LINES, Line, tag
from tests.interop.sides.sites import Site


def both_ways(site: Site) -> tuple[Line, Line]:
    """The line to us and the line to Celery that have a store in common, and the whole tree's results there."""
    ours, theirs = (site.line(one) for one in LINES if one.broker == site.kind and one.results == site.usual)
    return ours, theirs


def note(line: Line, mark: str, **options: Any) -> Any:
    return line.signature("interop.note", kwargs={"tag": mark}, **options)


# Links


def test_a_link_gets_the_value(line: Line) -> None:
    result = line.send("interop.add", 1, 2, link=note(line, mark := tag()))

    (seen,) = line.notes.wait(tag=mark)

    assert seen["args"] == [3]
    assert (seen["parent"], seen["root"]) == (result.id, result.id)


def test_every_link_is_followed(line: Line) -> None:
    marks = [tag(), tag(), tag()]
    line.send("interop.add", 1, 2, link=[note(line, mark) for mark in marks])

    for mark in marks:
        assert line.notes.wait(tag=mark)[0]["args"] == [3]


def test_an_immutable_link_gets_nothing(line: Line) -> None:
    link = line.client.signature(
        "interop.note", args=("own",), kwargs={"tag": (mark := tag())}, queue=line.queue, immutable=True
    )
    line.send("interop.add", 1, 2, link=link)

    assert line.notes.wait(tag=mark)[0]["args"] == ["own"]


def test_arguments_of_its_own_stand_behind_the_value(line: Line) -> None:
    link = line.client.signature("interop.note", args=("own",), kwargs={"tag": (mark := tag())}, queue=line.queue)
    line.send("interop.add", 1, 2, link=link)

    assert line.notes.wait(tag=mark)[0]["args"] == [3, "own"]


def test_a_link_of_a_link(line: Line) -> None:
    second = line.client.signature("interop.add", args=(10,), queue=line.queue)
    second.set(link=[note(line, mark := tag())])
    line.send("interop.add", 1, 2, link=second)

    assert line.notes.wait(tag=mark)[0]["args"] == [13]


def test_a_link_with_a_countdown(line: Line) -> None:
    line.send("interop.add", 1, 2, link=note(line, mark := tag(), countdown=1))

    assert line.notes.wait(tag=mark)[0]["args"] == [3]


def test_a_link_after_retries_is_followed_once(line: Line) -> None:
    result = line.send("interop.retry", 2, link=note(line, mark := tag()))

    assert result.get(timeout=20)[0] == 2
    line.notes.wait(tag=mark)
    line.run("interop.add", 1, 1)
    assert len(line.notes.all(tag=mark)) == 1


def test_a_failure_follows_no_link(line: Line) -> None:
    result = line.send("interop.fail", "ValueError", link=note(line, mark := tag()))

    with pytest.raises(ValueError):
        result.get(timeout=20)
    line.run("interop.add", 1, 1)
    assert line.notes.all(tag=mark) == []


# Errbacks


def test_an_errback_gets_the_id(line: Line) -> None:
    result = line.send("interop.fail", "ValueError", link_error=note(line, mark := tag()))

    (seen,) = line.notes.wait(tag=mark)

    assert seen["args"] == [result.id]
    assert (seen["parent"], seen["root"]) == (result.id, result.id)


def test_every_errback_is_followed(line: Line) -> None:
    marks = [tag(), tag()]
    line.send("interop.fail", "KeyError", "k", link_error=[note(line, mark) for mark in marks])

    for mark in marks:
        line.notes.wait(tag=mark)


def test_an_errback_comes_when_retries_are_exhausted_and_only_then(line: Line) -> None:
    line.send("interop.again", "ValueError", "boom", link_error=note(line, mark := tag()))

    line.notes.wait(tag=mark)
    line.run("interop.add", 1, 1)
    assert len(line.notes.all(tag=mark)) == 1


def test_a_success_calls_no_errback(line: Line) -> None:
    line.run("interop.add", 1, 2, link_error=note(line, mark := tag()))

    line.run("interop.add", 1, 1)
    assert line.notes.all(tag=mark) == []


def test_an_errback_that_takes_request_error_and_traceback(line: Line) -> None:
    errback = line.signature("interop.on_error", kwargs={"tag": (mark := tag())})
    result = line.send("interop.fail", "OutOfStock", "pears", 3, link_error=errback)

    (seen,) = line.notes.wait(tag=mark)

    assert seen["id"] == result.id
    assert seen["error"] == "OutOfStock('pears', 3)"
    assert ", in fail" in seen["traceback"]


# Chains


def chain(line: Line, *signatures: Any) -> Any:
    import celery

    import leveret

    return (celery.chain if line.kind.client == "celery" else leveret.chain)(*signatures)


def add(line: Line, *args: Any, **options: Any) -> Any:
    return line.client.signature("interop.add", args=args, queue=line.queue, **options)


def test_a_chain_of_three(line: Line) -> None:
    result = chain(line, add(line, 1, 2), add(line, 10), add(line, 100))()

    assert result.get(timeout=20) == 113
    assert result.parent.get(timeout=20) == 13
    assert result.parent.parent.get(timeout=20) == 3


def test_a_long_chain(line: Line) -> None:
    result = chain(line, add(line, 0, 1), *(add(line, 1) for _ in range(20)))()

    assert result.get(timeout=30) == 21


def test_an_immutable_step_begins_anew(line: Line) -> None:
    result = chain(line, add(line, 1, 2), add(line, 5, 5, immutable=True), add(line, 1))()

    assert result.get(timeout=20) == 11


def test_the_steps_of_a_chain_know_where_they_come_from(line: Line) -> None:
    request = line.client.signature("interop.request", queue=line.queue, immutable=True)
    result = chain(line, add(line, 1, 2), request)()

    seen = result.get(timeout=20)

    assert seen["parent_id"] == seen["root_id"] == result.parent.id


def test_a_chain_ends_at_the_step_that_fails(line: Line) -> None:
    fail = line.client.signature("interop.fail", args=("ValueError", "here"), queue=line.queue, immutable=True)
    result = chain(line, add(line, 1, 2), fail, note(line, mark := tag()))()

    with pytest.raises(ValueError, match="here"):
        result.parent.get(timeout=20)
    line.run("interop.add", 1, 1)
    assert line.notes.all(tag=mark) == []


def test_a_failing_chain_calls_its_errback(line: Line) -> None:
    fail = line.client.signature("interop.fail", args=("ValueError",), queue=line.queue, immutable=True)
    steps = chain(line, add(line, 1, 2), fail, add(line, 1))
    result = steps.apply_async(link_error=note(line, mark := tag()))

    assert line.notes.wait(tag=mark)[0]["args"] == [result.parent.id]


def test_a_chain_whose_step_retries_goes_on(line: Line) -> None:
    retry = line.client.signature("interop.retry", args=(2,), queue=line.queue, immutable=True)
    result = chain(line, add(line, 1, 2), retry, note(line, mark := tag()))()

    assert result.get(timeout=20) == mark
    assert line.notes.all(tag=mark)[0]["args"][0][0] == 2


def test_a_chain_with_a_link_at_its_end(line: Line) -> None:
    chain(line, add(line, 1, 2), add(line, 1)).apply_async(link=note(line, mark := tag()))

    assert line.notes.wait(tag=mark)[0]["args"] == [4]


def test_a_chain_with_a_countdown_in_the_middle(line: Line) -> None:
    late = add(line, 1)
    late.set(countdown=1)
    result = chain(line, add(line, 1, 2), late, add(line, 1))()

    assert result.get(timeout=20) == 5


# Crossing sides


@pytest.mark.parametrize("sender", ["celery", "leveret"])
def test_a_chain_crosses_from_side_to_side(sender: str, shared_site: Site) -> None:
    ours, theirs = both_ways(shared_site)
    line = ours if ours.kind.client == sender else theirs
    queues = [ours.queue, theirs.queue, theirs.queue, ours.queue, ours.queue, theirs.queue]
    marks = [tag() for _ in queues]
    steps = [
        line.client.signature("interop.note", args=(number,), kwargs={"tag": mark}, queue=queue)
        for number, (mark, queue) in enumerate(zip(marks, queues, strict=True))
    ]

    result = chain(line, *steps)()

    assert result.get(timeout=30) == marks[-1]
    seen = [shared_site.notes.all(tag=mark)[0] for mark in marks]
    assert [one["side"] for one in seen] == ["leveret", "celery", "celery", "leveret", "leveret", "celery"]
    assert [one["args"] for one in seen] == [[0], *([mark, number + 1] for number, mark in enumerate(marks[:-1]))]
    assert {one["root"] for one in seen[1:]} == {seen[0]["id"]}
    assert [one["parent"] for one in seen[1:]] == [one["id"] for one in seen[:-1]]


@pytest.mark.parametrize("sender", ["celery", "leveret"])
def test_an_errback_on_the_other_side(sender: str, shared_site: Site) -> None:
    lines = {line.kind.worker: line for line in both_ways(shared_site)}
    for worker, other in (("leveret", "celery"), ("celery", "leveret")):
        client = shared_site.client(sender)
        errback = client.signature("interop.note", kwargs={"tag": (mark := tag())}, queue=lines[other].queue)

        client.send_task("interop.fail", ("ValueError",), queue=lines[worker].queue, link_error=errback)

        assert shared_site.notes.wait(tag=mark)[0]["side"] == other


# Chords: their seats are counted by the workers, in the result store


@pytest.fixture
def chord_line(shared_site: Site) -> Line:
    """The line on which Celery sends and results are documents in Redis, which no other store of ours can stand for."""
    documents = [
        one for one in LINES if (one.broker, one.worker) == (shared_site.kind, "leveret") and one.results != "rpc"
    ]
    return shared_site.line(documents[0])


def test_celerys_chord_runs_here(chord_line: Line) -> None:
    from celery import chord

    line = chord_line
    header = [add(line, number, 1) for number in range(3)]
    result = chord(header)(line.client.signature("interop.total", queue=line.queue))

    assert result.get(timeout=20) == 6
    assert result.parent.get(timeout=20) == [1, 2, 3]


def test_a_chord_whose_member_is_retried_here_is_completed_by_celery(chord_line: Line) -> None:
    """What a member carries is kept: Celery's worker counts it, whoever had the message before."""
    from celery import chord

    line = chord_line
    celery = line.site.line(line.kind._replace(worker="celery", pool="solo"))
    header = [
        line.client.signature("interop.retry_elsewhere", args=(celery.queue, number), queue=line.queue)
        for number in range(3)
    ]
    result = chord(header)(line.client.signature("interop.total", queue=celery.queue))

    assert result.get(timeout=20) == 3


def test_a_group_of_celerys(line: Line) -> None:
    if line.kind.client != "celery":
        pytest.skip("Celery's client sends it")
    from celery import group

    result = group(add(line, number, 1) for number in range(10))()

    assert result.get(timeout=20) == list(range(1, 11))
