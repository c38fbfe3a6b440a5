"""Whose turn a call is."""

from typing import Any

import pytest
from tests.unit.logic.delivering import CODEC, NOW, Known, define, message

from leveret.errors import ImproperlyConfigured
from leveret.logic.following import Following, again
from leveret.logic.limiting.fairness import lane_name, lane_of_call
from leveret.model.message import LANE, LONGEST_LANE, lane_of
from leveret.model.signature import SignatureSpec


@pytest.mark.parametrize(
    ("key", "lane"), [("acme", "acme"), (7, "7"), (None, ""), ("", ""), (True, "True"), ("ü:ß 1", "ü:ß 1")]
)
def test_a_key_is_its_text(key: Any, lane: str) -> None:
    assert lane_name(key) == lane


@pytest.mark.parametrize("key", ["x" * 129, "a\nb", "\x06\x16:", "\ud800", "\x00", b"\x00" * 200])
def test_what_no_lane_can_be_called_has_one_of_its_own_all_the_same(key: Any) -> None:
    name = lane_name(key)

    assert name.isprintable() and 0 < len(name) <= LONGEST_LANE
    assert name == lane_name(key) != lane_name(f"{key}.")


def test_a_function_that_fails_is_named_with_its_task() -> None:
    definition = define("bill", fair_by=lambda tenant: tenant["name"])

    with pytest.raises(ImproperlyConfigured, match=r"bill: fair_by raised TypeError: .*called with the arguments"):
        lane_of_call(definition, (7,), {}, {})


def test_the_lane_travels_with_a_message_and_all_its_attempts() -> None:
    sent = message(settings={LANE: "acme"})

    posting = CODEC.post(sent)
    arrived = CODEC.decode(posting.encoded, "default")

    assert posting.lane == lane_of(arrived) == CODEC.post(again(arrived, NOW)).lane == "acme"
    assert CODEC.post(message()).lane == ""


@pytest.mark.parametrize("lane", [7, None, ["acme"], "x" * 129, "a\nb", "\x00"])
def test_a_lane_that_a_peer_made_up_is_none(lane: Any) -> None:
    assert lane_of(message(settings={LANE: lane})) == ""


def test_what_follows_has_the_lane_that_its_task_says() -> None:
    rules = Following(registry=Known(bill=define("bill", fair_by=lambda tenant, number: tenant)))

    (follow,) = rules.begin(SignatureSpec(task="bill", args=(7,)), message(), "id-2", ("acme",), NOW)
    (given,) = rules.begin(SignatureSpec(task="mail", options={"fair_key": "tiny"}), message(), "id-3", (), NOW)
    (unknown,) = rules.begin(SignatureSpec(task="mail"), message(settings={LANE: "acme"}), "id-4", (), NOW)

    assert [lane_of(one) for one in (follow, given, unknown)] == ["acme", "tiny", ""]


def test_a_function_that_fails_does_not_stop_what_was_promised() -> None:
    rules = Following(registry=Known(bill=define("bill", fair_by=lambda: 1 / 0)))

    (follow,) = rules.begin(SignatureSpec(task="bill"), message(), "id-2", (), NOW)

    assert (follow.task, lane_of(follow)) == ("bill", "")
