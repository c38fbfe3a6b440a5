"""Compositions between the sides: sent by one, run by the other or by both, read by either."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.interop.canvas.cases import CASES, ON_RABBITMQ, Case
from tests.interop.canvas.fleet import OTHER, Fleet
from tests.interop.canvas.words import read, shape

WAYS = (("celery", "leveret"), ("leveret", "celery"), ("celery", "both"), ("leveret", "both"))


def ways(cases: Sequence[Case]) -> list[Any]:
    return [
        pytest.param(case, sender, runner, id=f"{sender} to {runner}: {case.name}")
        for case in cases
        for sender, runner in WAYS
        if runner in case.runners
    ]


@pytest.mark.parametrize(("case", "sender", "runner"), ways(CASES))
def test_a_composition(case: Case, sender: str, runner: str, fleet: Fleet) -> None:
    run(case, sender, runner, fleet)


@pytest.mark.parametrize(("case", "sender", "runner"), ways([case for case in CASES if case.name in ON_RABBITMQ]))
def test_a_composition_through_rabbitmq(case: Case, sender: str, runner: str, rabbit_fleet: Fleet) -> None:
    # Publishing and the note that the join is over are two steps here: in between a worker of the other side may call
    # its error callback as well (docs/how-to/move-from-celery.md).
    run(case, sender, runner, rabbit_fleet, callers=2 if runner == "both" else 1)


def run(case: Case, sender: str, runner: str, fleet: Fleet, callers: int = 1) -> None:
    words = fleet.words(sender, runner)
    fleet.site.notes.forget()

    ids = shape(case.made(words).apply_async(case.args))

    for reader in (sender, OTHER[sender]):
        value = read(fleet.words(reader, runner).app, ids)
        if isinstance(case.value, tuple):
            assert value[0] == case.value[0]
            assert case.value[1] in value[1]
        else:
            assert value == case.value
    for mark, count in case.notes.items():
        assert count <= len(fleet.site.notes.wait(count, tag=mark)) <= count * callers


@pytest.mark.parametrize("place", ["fleet", "rabbit_fleet"])
def test_error_callbacks_of_the_new_style_are_never_celerys(place: str, request: pytest.FixtureRequest) -> None:
    """Sent by a worker of ours to a queue that both sides consume: Celery's would call the function with a dict."""
    fleet: Fleet = request.getfixturevalue(place)
    ours, both = fleet.words("leveret", "leveret"), fleet.words("leveret", "both")
    fleet.site.notes.forget()

    failed = [
        ours.fail("ValueError", "boom").apply_async(link_error=both.on_error(tag="new style")).id for _ in range(30)
    ]

    told = fleet.site.notes.wait(30, tag="new style")
    assert sorted(one["id"] for one in told) == sorted(failed)
    assert {one["side"] for one in told} == {"leveret"}
    assert {one["error"] for one in told} == {"ValueError('boom')"}
