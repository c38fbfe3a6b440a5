"""What a death means."""

from pathlib import Path

import pytest

from leveret.model.delivery import Charge, Receipt, SessionId
from leveret.model.node import Reaping, Running
from leveret.supervisor.deaths.estate import Death, Estate, OutOfMemoryMeter, reason_of, settle_estate
from leveret.supervisor.slots import PageView

SESSION = SessionId("s")
DEATH = Death(session=SESSION, reason="exit 3", at=50.0)
CHARGE = Charge(reason="exit 3", at=50.0, session="s")


def page(*ids: str, slots: int = 1, torn: int = 0) -> PageView:
    running = tuple(Running(id=id, receipt=Receipt(f"r-{id}"), attempt=0, started=1.0) for id in ids)
    return PageView(pid=1, beats=1, unsettled_since=0.0, hold=False, slots=slots, running=running, torn=torn)


def test_with_one_slot_what_ran_is_charged() -> None:
    assert settle_estate(DEATH, page("a")) == Estate(
        Reaping(session=SESSION, charged=((Receipt("r-a"), CHARGE),)), None, ("a",)
    )


def test_with_several_slots_only_what_ran_becomes_suspect() -> None:
    assert settle_estate(DEATH, page("a", "b", slots=8)) == Estate(
        Reaping(session=SESSION, suspect_others=True, suspects=(Receipt("r-a"), Receipt("r-b"))),
        (Receipt("r-a"), Receipt("r-b")),
        ("a", "b"),
    )


def test_the_calls_of_a_batch_are_suspects_for_nobody_knows_which_it_was() -> None:
    both = (Receipt("r-a"), Receipt("r-b"))

    assert settle_estate(DEATH, page("a", "b")) == Estate(
        Reaping(session=SESSION, suspect_others=True, suspects=both), both, ("a", "b")
    )


@pytest.mark.parametrize("slots", [1, 8])
def test_nothing_ran_so_nobody_is_suspected(slots: int) -> None:
    assert settle_estate(DEATH, page(slots=slots)) == Estate(Reaping(session=SESSION))


@pytest.mark.parametrize("slots", [1, 8])
def test_a_torn_record_makes_everything_suspect(slots: int) -> None:
    assert settle_estate(DEATH, page(slots=slots, torn=1)) == Estate(Reaping(session=SESSION, suspect_others=True))


@pytest.mark.parametrize("slots", [1, 8])
def test_an_orderly_end_charges_nobody(slots: int) -> None:
    death = Death(session=SESSION, reason="", at=50.0, orderly=True)

    assert settle_estate(death, page("a", slots=slots)) == Estate(Reaping(session=SESSION), None, ("a",))


def test_of_several_only_the_overdue_is_charged() -> None:
    death = Death(session=SESSION, reason="time limit", at=50.0, overdue=frozenset({Receipt("r-b")}))
    charge = Charge(reason="time limit", at=50.0, session="s")

    estate = settle_estate(death, page("a", "b", slots=2))

    assert estate == Estate(Reaping(session=SESSION, charged=((Receipt("r-b"), charge),)), None, ("a", "b"))


def test_of_several_overdue_nobody_knows_who_held_up_the_others() -> None:
    death = Death(session=SESSION, reason="time limit", at=50.0, overdue=frozenset({Receipt("r-a"), Receipt("r-b")}))

    estate = settle_estate(death, page("a", "b", "c", slots=3))

    kept = (Receipt("r-a"), Receipt("r-b"), Receipt("r-c"))
    assert estate == Estate(Reaping(session=SESSION, suspect_others=True, suspects=kept), kept, ("a", "b", "c"))


def test_a_child_without_a_session_leaves_nothing() -> None:
    assert settle_estate(Death(session=None, reason="exit 1", at=1.0), page()) is None


@pytest.mark.parametrize(
    ("code", "out_of_memory", "reason"),
    [
        (0, False, "exit 0"),
        (3, True, "exit 3"),
        (-9, False, "signal 9 (SIGKILL)"),
        (-9, True, "oom"),
        (-11, True, "signal 11 (SIGSEGV)"),
        (-250, False, "signal 250"),
        (None, False, "exit unknown"),
    ],
)
def test_reasons_are_readable(code: int | None, out_of_memory: bool, reason: str) -> None:
    assert reason_of(code, out_of_memory=out_of_memory) == reason


@pytest.mark.parametrize("text", ["low 0\noom 1\noom_kill {}\n", "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"])
def test_the_memory_meter_sees_each_kill_once(tmp_path: Path, text: str) -> None:
    counter = tmp_path / "counter"
    counter.write_text(text.format(4))
    meter = OutOfMemoryMeter((counter,))

    counter.write_text(text.format(5))

    assert [meter.rose(), meter.rose()] == [True, False]


def test_a_missing_counter_is_no_kill(tmp_path: Path) -> None:
    assert not OutOfMemoryMeter((tmp_path / "none",)).rose()
