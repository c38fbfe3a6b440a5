"""`add_to_chord` on the memory driver: what a body waits for, and what is refused."""

from typing import Any

import pytest

from leveret import chain, chord, group, testing
from leveret.errors import ChordError, ImproperlyConfigured


@pytest.fixture
def adding(app: testing.StagedLeveret, tasks: Any) -> Any:
    """Makes a task that adds what it is given a list of, and answers its own number."""

    def make(*calls: Any, name: str = "adding", **options: Any) -> Any:
        @app.task(name=name, bind=True, **options)
        def adding(self: Any, n: int = 0) -> int:
            for call in calls:
                self.add_to_chord(call)
            return n

        return adding

    return make


def test_the_body_waits_for_what_was_added_and_gets_it_last(tasks: Any, adding: Any) -> None:
    extra = adding(tasks.add.s(20, 1), tasks.add.s(20, 2))

    assert chord([extra.s(1), tasks.add.s(2, 0)], tasks.same.s()).delay().get() == [1, 2, 21, 22]


def test_the_signature_is_left_as_it_was_and_may_be_added_twice(tasks: Any, adding: Any) -> None:
    call = tasks.add.s(5, 5)
    before = dict(call)

    assert chord([adding(call, call).s(1)], tasks.same.s()).delay().get() == [1, 10, 10]
    assert dict(call) == before


def test_what_was_added_may_add(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(bind=True)
    def page(self: Any, n: int) -> int:
        if n < 5:
            self.add_to_chord(page.s(n + 1))
        return n

    assert chord([page.s(0)], tasks.same.s()).delay().get() == [0, 1, 2, 3, 4, 5]


def test_compositions_are_one_member(tasks: Any, adding: Any) -> None:
    add, same = tasks.add, tasks.same
    extra = adding(
        add.s(1, 1) | add.s(1),
        group(add.s(1, 1), add.s(2, 2)),
        chord([add.s(1, 1), add.s(2, 2)], tasks.total.s()),
        add.s(1, 1) | group(add.s(1), add.s(2)),
    )

    assert chord([extra.s(0)], same.s()).delay().get() == [0, 3, [2, 4], 6, [3, 4]]


def test_the_last_task_of_a_chain_in_a_header_may_add(tasks: Any, adding: Any) -> None:
    extra = adding(tasks.add.s(1, 1))

    assert chord([tasks.add.s(3, 4) | extra.s(), tasks.add.s(0, 0)], tasks.same.s()).delay().get() == [7, 0, 2]


def test_one_that_fails_fails_the_body(tasks: Any, adding: Any) -> None:
    result = chord([adding(tasks.fail.s()).s(1), tasks.add.s(1, 1)], tasks.same.s()).delay()

    with pytest.raises(ChordError, match="raised ValueError"):
        result.get()


def test_a_retry_adds_nothing_twice(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(bind=True, default_retry_delay=1)
    def again(self: Any) -> str:
        self.add_to_chord(tasks.add.s(1, self.request.retries))
        if self.request.retries < 2:
            raise self.retry()
        return "done"

    assert chord([again.s()], tasks.same.s()).delay().get() == ["done", 1]


def test_what_takes_the_place_of_a_task_adds_its_own(app: testing.StagedLeveret, tasks: Any, adding: Any) -> None:
    extra = adding(tasks.add.s(2, 2))

    @app.task(bind=True)
    def replaced(self: Any) -> None:
        self.add_to_chord(tasks.add.s(1, 1))
        self.replace(extra.s(7))

    assert chord([replaced.s()], tasks.same.s()).delay().get() == [7, 2, 4]


def test_lazily_added_it_is_sent_by_hand(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(bind=True)
    def lazily(self: Any) -> str:
        call = tasks.add.s(1, 1)
        assert self.add_to_chord(call, lazy=True) is call
        call.delay()
        self.add_to_chord(group(tasks.add.s(2, 2)), lazy=True).delay()
        return "sent"

    assert chord([lazily.s()], tasks.same.s()).delay().get() == ["sent", 2, [4]]


def test_coroutines_add_too(app: testing.StagedLeveret, tasks: Any) -> None:
    @app.task(bind=True)
    async def extra(self: Any) -> int:
        await self.aadd_to_chord(tasks.add.s(1, 1))
        await (await self.aadd_to_chord(tasks.add.s(2, 2), lazy=True)).adelay()
        return 0

    assert chord([extra.s()], tasks.same.s()).delay().get() == [0, 2, 4]


def test_its_result_is_a_child_of_the_task(tasks: Any, adding: Any) -> None:
    result = chord([adding(tasks.add.s(1, 1)).s(1)], tasks.same.s()).delay()

    assert result.get() == [1, 2]
    assert [child.get() for child in result.parent.results[0].children] == [2]


def test_outside_of_a_header_it_is_refused_by_the_tasks_name(tasks: Any, adding: Any) -> None:
    extra = adding(tasks.add.s(1, 1))

    with pytest.raises(ValueError, match=r"adding\[.*\] is not a member of a chord"):
        extra.delay().get()
    with pytest.raises(ValueError, match="adding.* is not a member of a chord"):
        extra(1)
    with pytest.raises(ChordError, match="is not a member of a chord"):  # of a chain only the last step is one
        chord([chain(extra.s(1), tasks.add.s(1))], tasks.same.s()).delay().get()
    with pytest.raises(ValueError, match="is not a member of a chord"):
        chord([tasks.add.s(1, 1)], adding(tasks.add.s(1, 1), name="body").s()).delay().get()


def test_what_is_no_signature_or_sits_elsewhere_is_refused(app: testing.StagedLeveret, tasks: Any) -> None:
    refused: list[Exception] = []

    @app.task(bind=True)
    def trying(self: Any) -> int:
        taken = tasks.add.s(1, 1)
        self.add_to_chord(taken, lazy=True).delay()
        for call in ("add", taken, chain()):
            try:
                self.add_to_chord(call)
            except Exception as error:
                refused.append(error)
        return 0

    assert chord([trying.s()], tasks.same.s()).delay().get() == [0, 2]
    assert list(map(type, refused)) == [TypeError, ImproperlyConfigured, ImproperlyConfigured]


def test_a_run_whose_seat_is_anothers_is_told(app: testing.StagedLeveret, tasks: Any) -> None:
    """It was taken for dead, and its message run by somebody else, who has ended."""
    store = app.client.parts.backend
    grow, store.grow = store.grow, lambda additions: (False,) * len(additions)

    @app.task(bind=True, name="stale")
    def stale(self: Any) -> int:
        self.add_to_chord(tasks.add.s(1, 1))
        return 0

    try:
        with pytest.raises(ChordError, match=r"another run of stale\[.*\] has ended"):
            chord([stale.s()], tasks.same.s()).delay().get()
    finally:
        store.grow = grow
