from collections.abc import Iterable

import pytest
from tests.unit.links.amqp.peer import sent

from leveret.brokers.amqp.unsettled import Unsettled
from leveret.links.amqp.protocol.events import Delivered


def holding(tags: Iterable[int], consumer: str = "c") -> Unsettled:
    unsettled = Unsettled()
    unsettled.channel = 3
    unsettled.consumers = {"c": 0}
    for tag in tags:
        unsettled.add(Delivered(3, consumer, tag, False, "", "q", b"\0\0", b""))
    return unsettled


def said(data: bytes) -> list[tuple[str, int, bool]]:
    return [(one.name, one.delivery_tag, one.multiple) for _, one in sent(data)]


@pytest.mark.parametrize(
    ("tags", "frames"),
    [
        ([1], [(1, True)]),
        ([1, 2, 3], [(3, True)]),
        ([3, 1, 2, 2], [(3, True)]),
        ([1, 2, 5], [(2, True), (5, False)]),
        ([2, 4], [(2, False), (4, False)]),
        ([9, 1], [(1, True)]),
        ([9], []),
        ([], []),
    ],
)
def test_one_frame_for_the_prefix_without_a_gap_and_one_for_each_of_the_others(
    tags: list[int], frames: list[tuple[int, bool]]
) -> None:
    unsettled = holding(range(1, 6))

    data = unsettled.acknowledge(tags)

    assert sorted(said(data)) == sorted(("Basic.Ack", tag, multiple) for tag, multiple in frames)
    assert len(unsettled) == 5 - len({*tags} & {1, 2, 3, 4, 5})


def test_what_is_settled_is_settled_once() -> None:
    unsettled = holding([1, 2])

    assert unsettled.refuse([2, 1])
    assert unsettled.acknowledge([1, 2]) == unsettled.refuse([1]) == b""


def test_what_goes_back_goes_back_in_its_order_one_by_one() -> None:
    assert said(holding([1, 2, 3]).refuse([3, 1, 7])) == [("Basic.Nack", 1, False), ("Basic.Nack", 3, False)]


def test_what_is_taken_in_late_is_never_acknowledged_with_what_came_after_it() -> None:
    unsettled = holding([6, 5])

    assert said(unsettled.acknowledge([6])) == [("Basic.Ack", 6, False)]
    assert unsettled.get(5) is not None


def test_present_consumers_know_how_many_are_open() -> None:
    unsettled = holding([1, 2])
    unsettled.add(Delivered(3, "older", 3, False, "", "q", b"\0\0", b""))

    unsettled.acknowledge([1, 3])
    unsettled.refuse([9])

    assert unsettled.consumers == {"c": 1}
