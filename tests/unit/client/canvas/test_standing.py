"""Where a workflow stands, and the results around a result."""

import asyncio
import io
from typing import Any

import pytest

from leveret import GroupResult, chain, chord, group, testing
from leveret.client.groups import result_from_tuple
from leveret.client.results.saving import read_saved
from leveret.client.results.standing import mermaid
from leveret.errors import IncompleteStream


def workflow(tasks: Any) -> Any:
    slow = tasks.add.s(2).set(countdown=30)
    return (tasks.add.s(1, 1) | group(tasks.add.s(1), slow) | tasks.total.s() | tasks.add.s(5)).apply_async()


def test_a_workflow_tells_what_it_waits_for(app: testing.StagedLeveret, tasks: Any) -> None:
    result = workflow(tasks)
    before = str(result.explain()).splitlines()
    app.run_until_idle()
    then = str(result.explain()).splitlines()
    app.advance(60)

    assert before[0].startswith("add[") and "PENDING: no worker consumes queue" in before[0]
    assert "group of 2: 0 done" in before
    assert "group of 2: 1 done" in then
    assert "PENDING: delayed until " in then[3], "asked about what holds the others up"
    assert "(in 30 s)" in then[3]
    assert then[-1].startswith(f"add[{result.id}] PENDING: follows total["), "and why it is not sent itself"
    assert all(line.endswith(("SUCCESS", "2 done")) for line in str(result.explain()).splitlines())


def test_a_flowchart_joins_at_the_body(app: testing.StagedLeveret, tasks: Any) -> None:
    result = workflow(tasks)
    app.advance(60)

    chart = mermaid(result.explain()).splitlines()

    assert chart[0] == "graph TD"
    assert [line.strip() for line in chart if "-->" in line] == [
        "n0 --> n1", "n0 --> n2", "n1 --> n3", "n2 --> n3", "n3 --> n4",
    ]  # fmt: skip


def test_a_large_group_shows_those_that_are_open(app: testing.StagedLeveret, tasks: Any) -> None:
    header = [tasks.add.s(n) for n in range(50)]
    header[33].set(countdown=100)
    result = chord(header, tasks.total.s()).apply_async()
    app.run_until_idle()

    lines = str(result.explain()).splitlines()

    assert lines[0] == "group of 50: 49 done"
    assert "PENDING" in lines[1]
    assert "  ... and 30 more" in lines


def test_the_shape_of_a_workflow_can_be_saved(app: testing.StagedLeveret, tasks: Any) -> None:
    result = workflow(tasks).save()
    app.advance(60)

    again = result_from_tuple(read_saved(app.client, result.id), app)

    assert again.get() == result.get()
    assert str(again.explain()).count("SUCCESS") == 5


def test_a_saved_group_is_restored(app: testing.StagedLeveret, tasks: Any) -> None:
    result = group(tasks.add.s(1), tasks.add.s(1) | tasks.add.s(2)).apply_async()
    result.save()

    restored = GroupResult.restore(result.id, app=app)

    assert restored is not None
    assert restored.get() == [1, 3]
    assert (restored.completed_count(), restored.ready(), restored.successful()) == (2, True, True)
    result.delete()
    assert GroupResult.restore(result.id, app=app) is None


def test_all_members_are_asked_about_at_once(app: testing.StagedLeveret, tasks: Any) -> None:
    result = group(tasks.add.s(n) for n in range(100)).apply_async()
    app.run_until_idle()
    asked: list[int] = []
    backend = app.client.backend()
    honest = backend.get
    app.client.parts.backend.get = lambda ids: asked.append(len(ids)) or honest(ids)

    assert result.completed_count() == 100
    assert asked == [100]


def test_what_a_task_sent_is_collected(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(name="outer")
    def outer(n: int) -> int:
        group(tasks.add.s(k, 1) for k in range(n)).apply_async()
        return n

    result = outer.delay(3)
    app.run_until_idle()

    assert [value for _, value in result.collect()] == [3, [1, 2, 3], 1, 2, 3]
    assert result.get_leaf() == 3
    assert isinstance(result.children[0], GroupResult)
    graph = result.graph
    assert len(graph) == 5
    assert graph.topsort()[0] == result
    graph.to_dot(file := io.StringIO())
    assert file.getvalue().startswith("digraph")


def test_a_tree_that_has_not_ended_says_so(app: testing.StagedLeveret, tasks: Any) -> None:
    result = tasks.add.delay(1)

    with pytest.raises(IncompleteStream):
        list(result.iterdeps())
    assert len(list(result.iterdeps(intermediate=True))) == 1


def test_the_async_twins_of_a_group(app: testing.StagedLeveret, tasks: Any) -> None:
    async def main() -> None:
        result = await group(tasks.add.s(n) for n in range(3)).aapply_async()
        assert not await result.aready()
        assert await result.aget(timeout=5) == [0, 1, 2]
        assert (await result.acompleted_count(), await result.asuccessful()) == (3, True)
        await result.asave()
        await result.aforget()
        assert str(await (await tasks.add.adelay(1)).aexplain()).startswith("add[")

    asyncio.run(main())
    eager = group(tasks.add.s(1)).apply()
    assert asyncio.run(eager.asuccessful())


def test_a_revoked_group_does_not_begin(app: testing.StagedLeveret, tasks: Any) -> None:
    result = group(tasks.add.s(1), chain(tasks.add.s(1), tasks.add.s(2))).apply_async()
    result.revoke()
    app.run_until_idle()

    assert [one.state for one in result] == ["REVOKED", "REVOKED"]
