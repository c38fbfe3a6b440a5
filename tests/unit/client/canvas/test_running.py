"""Compositions sent and run on the memory driver: what they come to, in any nesting."""

import asyncio
from typing import Any

import pytest

from leveret import Leveret, chain, chord, group, signature, testing
from leveret.errors import ChordError, ImproperlyConfigured, TaskRevokedError


def test_a_body_gets_the_values_in_the_headers_order(tasks: Any) -> None:
    result = chord([tasks.add.s(n, n) for n in range(5)])(tasks.same.s())

    assert result.get() == [0, 2, 4, 6, 8]
    assert result.parent.get() == [0, 2, 4, 6, 8]


def test_an_empty_header_calls_the_body_with_nothing(tasks: Any) -> None:
    assert chord([], tasks.total.s()).delay().get() == 0


def test_groups_in_chains_and_chains_in_groups(tasks: Any) -> None:
    add, total, same = tasks.add, tasks.total, tasks.same

    assert (add.s(1, 1) | group(add.s(1), add.s(2)) | total.s() | add.s(5)).delay().get() == 12
    assert (add.s(1, 1) | group(add.s(1), add.s(2))).delay().get() == [3, 4]
    assert group(add.s(1) | add.s(2), add.s(3)).apply_async((10,)).get() == [13, 13]
    assert (group(add.s(1), add.s(2)) | group(same.s(), total.s())).apply_async((1,)).get() == [[2, 3], 5]
    assert chord([add.s(1, 1) | group(add.s(1), add.s(2)), add.s(4)], same.s()).delay().get() == [[3, 4], 4]
    assert chord([group(add.s(1), add.s(2)), add.s(3)], same.s()).delay().get() == [1, 2, 3]
    assert chord([chord([add.s(1), add.s(2)], total.s()), chain(add.s(1), add.s(2))], same.s()).delay().get() == [3, 3]
    assert chord([chord([add.s(1)], group(same.s(), same.s()))], same.s()).delay().get() == [[[1], [1]]]


def test_arguments_of_a_call_go_to_what_begins(tasks: Any) -> None:
    add, same = tasks.add, tasks.same

    assert chord([add.s(1), add.si(7)], same.s()).apply_async((10,)).get() == [11, 7]
    assert chain(add.s(1), add.s(2)).apply_async((10,)).get() == 13


def test_the_parents_of_a_result_are_what_came_before(tasks: Any) -> None:
    result = (tasks.add.s(1, 1) | group(tasks.add.s(1), tasks.add.s(2)) | tasks.total.s()).delay()

    assert result.get() == 7
    assert result.parent.get() == [3, 4]
    assert result.parent.parent.get() == 2
    assert result.as_list() == [result.id, result.parent.id, result.parent.parent.id]


def test_chunks_map_and_starmap(tasks: Any) -> None:
    assert tasks.add.chunks([(n, n) for n in range(5)], 2).apply_async().get() == [[0, 2], [4, 6], [8]]
    assert tasks.add.map([1, 2]).delay().get() == [1, 2]
    assert tasks.add.starmap([(1, 2), (3, 4)]).delay().get() == [3, 7]
    assert (tasks.add.chunks([(n, n) for n in range(4)], 2).group() | tasks.same.s()).delay().get() == [[0, 2], [4, 6]]


def test_a_group_is_one_publish(app: testing.StagedLeveret, tasks: Any) -> None:
    published: list[int] = []
    broker = app.client.parts.broker
    publish, broker.publish = (
        broker.publish,
        lambda postings, **more: published.append(len(postings)) or publish(postings, **more),
    )

    group(tasks.add.s(n) for n in range(10_000)).apply_async()

    assert published == [10_000]


def test_ids_are_computed_from_the_first(app: testing.StagedLeveret, tasks: Any) -> None:
    made = chord([tasks.add.s(1), tasks.add.s(2)], tasks.total.s())
    made.apply_async(task_id="mine")
    first = [call.message.id for call in app.sent()]
    app.stage.forget_sent()
    made.apply_async(task_id="mine")

    assert [call.message.id for call in app.sent()] == first
    assert app.sent()[0].message.embed.chord.options["task_id"] == "mine"
    app.run_until_idle()
    assert [name for name, _ in tasks.seen] == ["total"], "the second sending was stopped at the door"


def test_a_composition_that_was_frozen_is_sent_under_its_ids(app: testing.StagedLeveret, tasks: Any) -> None:
    made = chord([tasks.add.s(1), tasks.add.s(2) | tasks.add.s(3)], tasks.same.s())
    frozen = made.freeze()
    result = made.apply_async()

    assert (frozen.id, [one.id for one in frozen.parent]) == (result.id, [one.id for one in result.parent])
    assert frozen.get() == [1, 5]


def test_a_part_with_an_id_of_its_own_is_sent_once(app: testing.StagedLeveret, tasks: Any) -> None:
    for _ in range(2):
        group(tasks.add.s(1).set(task_id="mine"), tasks.add.s(2)).apply_async()

    assert [call.message.derived for call in app.sent()] == [True, False] * 2
    assert app.run_until_idle() == 3


def test_a_link_may_be_a_composition(tasks: Any) -> None:
    tasks.add.apply_async((1, 2), link=group(tasks.add.s(1), tasks.add.s(2)) | tasks.total.s()).get()
    tasks.add.apply_async((1, 2)).get()

    assert tasks.seen == [("total", [4, 5])]


def test_ignored_members_pass_their_values_on_all_the_same(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(name="quiet", ignore_result=True)
    def quiet(x: int) -> int:
        return x

    result = chord([quiet.s(1), quiet.s(2)], tasks.same.s()).delay()

    assert result.get() == [1, 2]


# Failures


def test_a_member_that_fails_fails_the_body_at_once_and_once(app: testing.StagedLeveret, tasks: Any) -> None:
    header = [tasks.add.s(1), tasks.fail.s(), tasks.fail.s(), tasks.add.s(1).set(countdown=100)]
    body = tasks.total.s().on_error(tasks.told.s())
    result = chord(header, body | tasks.add.s(1)).delay()

    with pytest.raises(ChordError, match=r"Dependency \S+ raised ValueError\('as planned'\)"):
        result.get()

    assert app.clock.elapsed < 100
    app.advance(200)
    assert [what for what, *_ in tasks.seen] == ["told"]
    assert tasks.seen[0][1] == result.parent.id
    assert (result.state, result.parent.state) == ("FAILURE", "FAILURE")


def test_a_failure_in_a_members_chain_fails_the_body(tasks: Any) -> None:
    result = chord([tasks.add.s(1) | tasks.fail.s() | tasks.add.s(1), tasks.add.s(2)], tasks.total.s()).delay()

    with pytest.raises(ChordError):
        result.get()


def test_a_failure_reaches_the_joins_around_it(app: testing.StagedLeveret, tasks: Any) -> None:
    inner = chord([tasks.fail.s(), tasks.add.s(1)], tasks.total.s().on_error(tasks.told.s()))
    middle = chord([inner, tasks.add.s(1)], tasks.total.s().on_error(tasks.told.s()))
    result = (middle | group(tasks.same.s(), tasks.same.s()) | tasks.total.s().on_error(tasks.told.s())).delay()

    with pytest.raises(ChordError):
        result.get()

    app.run_until_idle()
    assert [what for what, _ in tasks.seen] == ["told", "told"], "errbacks of the two bodies, not of what is behind"


def test_the_rest_of_a_failed_chain_has_failed_too(app: testing.StagedLeveret, tasks: Any) -> None:
    result = chain(tasks.add.s(1), tasks.fail.s(), tasks.add.s(1), tasks.add.s(1)).delay()
    app.run_until_idle()

    other = app.AsyncResult(result.id)

    assert (other.state, result.parent.state) == ("FAILURE", "FAILURE")
    assert repr(other.result) == "ValueError('as planned')"


def test_a_revoked_member_fails_the_body(app: testing.StagedLeveret, tasks: Any) -> None:
    result = chord([tasks.add.s(1), tasks.add.s(2).set(countdown=5)], tasks.total.s()).delay()
    app.run_until_idle()
    result.parent[1].revoke()

    with pytest.raises(ChordError, match="TaskRevokedError"):
        result.get()


def test_a_step_that_is_revoked_before_it_is_sent_ends_the_chain(app: testing.StagedLeveret, tasks: Any) -> None:
    member = chain(tasks.add.s(1), tasks.add.s(2))
    result = chord([member, tasks.add.s(3)], tasks.total.s()).delay()
    result.parent[0].revoke()

    with pytest.raises(ChordError, match="TaskRevokedError"):
        result.get()
    with pytest.raises(TaskRevokedError):
        result.parent[0].get()


def test_a_body_that_is_too_large_has_failed() -> None:
    small = testing.app(message_max_bytes=10_000)

    @small.task(name="same")
    def same(value: Any) -> Any:
        return value

    result = chord([same.s("x" * 7_000), same.s("y" * 7_000)], same.s()).delay()

    with pytest.raises(ChordError, match="could not be sent"):
        result.get()


def test_an_error_callback_may_take_request_error_and_traceback(app: testing.StagedLeveret, tasks: Any) -> None:
    result = tasks.fail.s(1, 2).on_error(tasks.told_all.s(tag="mine")).delay()
    app.run_until_idle()

    (what, id, args, error, traceback, tag) = tasks.seen[0]

    assert (what, id, tuple(args), error, tag) == ("told_all", result.id, (1, 2), "ValueError('as planned')", "mine")
    assert "in fail" in traceback


def test_an_error_callback_nobody_knows_here_gets_the_id(app: testing.StagedLeveret, tasks: Any) -> None:
    tasks.fail.s().on_error(signature("elsewhere")).delay()
    app.run_until_idle()

    assert app.stage._server().counts(())[0].delayed == 1


def test_a_chord_that_takes_too_long_fails(tasks: Any) -> None:
    timed = testing.app(chord_timeout=30)

    @timed.task(name="add")
    def add(x: int) -> int:
        return x

    @timed.task(name="same")
    def same(values: list[int]) -> list[int]:
        return values

    late = chord([add.s(1), add.s(2).set(countdown=60)], same.s()).delay()
    soon = chord([add.s(1), add.s(2).set(countdown=20)], same.s()).delay()
    timed.advance(100)

    assert soon.get() == [1, 2]
    with pytest.raises(ChordError, match=r"not complete within 30\.0 s \(chord_timeout\)"):
        late.get()


def test_a_timeout_longer_than_results_live_is_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="shorter than result_expires"):
        _ = testing.app(chord_timeout=3600, result_expires=60).conf.settings


# Replacing


def test_a_replaced_task_keeps_its_id_and_what_follows(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(name="instead", bind=True)
    def instead(self: Any, x: int) -> int:
        return self.replace(chain(tasks.add.s(x, 1), tasks.add.s(10)))

    result = (tasks.add.s(1, 1) | instead.s() | tasks.add.s(100)).delay()

    assert result.get() == 113
    assert result.parent.get() == 13


def test_a_member_may_be_replaced_by_a_group(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(name="many", bind=True)
    def many(self: Any, n: int) -> list[int]:
        return self.replace(group(tasks.add.s(n, k) for k in range(3)))

    assert many.delay(1).get() == [1, 2, 3]
    assert chord([many.s(1), tasks.add.s(7)], tasks.same.s()).delay().get() == [[1, 2, 3], 7]


def test_what_took_over_may_be_replaced_and_retried_itself(app: testing.StagedLeveret, tasks: Any) -> None:
    tried: list[int] = []

    @app.task(name="flaky", bind=True, max_retries=2)
    def flaky(self: Any, x: int) -> int:
        tried.append(self.request.retries)
        if self.request.retries < 2:
            raise self.retry(countdown=1)
        return x

    @app.task(name="down", bind=True)
    def down(self: Any, n: int) -> Any:
        return self.replace(chain(tasks.add.s(n, 0), down.si(n - 1)) if n else flaky.s(42))

    assert down.delay(3).get() == 42
    assert tried == [0, 1, 2]


def test_a_failure_of_what_took_over_is_the_tasks_own(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(name="doomed", bind=True)
    def doomed(self: Any) -> None:
        self.replace(tasks.fail.s())

    result = doomed.s().on_error(tasks.told.s()).delay()

    with pytest.raises(ValueError, match="as planned"):
        result.get()
    app.run_until_idle()
    assert tasks.seen == [("told", result.id)]


# The twins


def test_the_async_twins(tasks: Any) -> None:
    async def main() -> list[Any]:
        results = [
            await chord([tasks.add.s(1), tasks.add.s(2)], tasks.total.s()).aapply_async(),
            await chain(tasks.add.s(1), tasks.add.s(2)).adelay(),
            await group(tasks.add.s(1), tasks.add.s(2)).aapply_async(),
        ]
        return [await result for result in results]

    assert asyncio.run(main()) == [3, 3, [1, 2]]


def test_here_and_now(app: testing.StagedLeveret, tasks: Any) -> None:
    made = tasks.add.s(1, 1) | group(tasks.add.s(1), tasks.add.s(2)) | tasks.total.s() | tasks.add.s(5)

    assert made.apply().get() == 12
    assert chord([tasks.add.s(1)], tasks.same.s()).apply().get() == [1]


def test_under_always_eager_everything_runs_at_once() -> None:
    eager = testing.app(task_always_eager=True)

    @eager.task(name="add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    @eager.task(name="total")
    async def total(values: list[int]) -> int:
        return sum(values)

    made = chord([add.s(1), add.s(2)], total.s())

    assert made.apply_async().get() == 3
    assert asyncio.run(made.aapply_async()).get() == 3
    assert (add.s(1) | group(add.s(1), add.s(2)) | total.s()).delay().get() == 5


def test_here_and_now_a_task_is_replaced_and_error_callbacks_are_told(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(name="instead", bind=True)
    def instead(self: Any, x: int) -> Any:
        return self.replace(group(tasks.add.s(x, 1), tasks.add.s(x, 2)) | tasks.total.s())

    assert instead.apply((1,)).get() == 5
    assert (tasks.add.s(1) | instead.s() | tasks.add.s(100)).apply().get() == 105
    tasks.fail.s(1).on_error(tasks.told_all.s(tag="here")).on_error(tasks.told.s()).apply()
    told = [one for one in tasks.seen if one[0] != "total"]
    assert [(one[0], one[-1]) for one in told[:1]] == [("told_all", "here")]
    assert told[1][0] == "told"


def test_without_a_store_a_chord_is_refused_at_the_call() -> None:
    pytest.importorskip("pamqp")
    rabbit = Leveret("t", broker="amqp://nobody@nowhere.invalid/", set_as_current=False)

    @rabbit.task(name="add")
    def add(x: int) -> int:
        return x

    for made in (chord([add.s(1), add.s(2)], add.s()), add.s(0) | group(add.s(1), add.s(2)) | add.s(3)):
        with pytest.raises(ImproperlyConfigured, match="set result_backend to one"):
            made.apply_async()


def test_a_chord_without_a_body_is_refused(tasks: Any) -> None:
    with pytest.raises(TypeError, match="without a body"):
        chord([tasks.add.s(1)]).apply_async()


def test_an_empty_chain_is_refused(tasks: Any) -> None:
    with pytest.raises(ValueError, match="empty chain"):
        chain().apply_async()
