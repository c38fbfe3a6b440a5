"""The slot page: what a reader may believe."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from leveret.model.delivery import Receipt
from leveret.model.message import Message, TaskId
from leveret.model.node import Running
from leveret.model.task import TaskDefinition
from leveret.ports.executor import Job, batch_of
from leveret.ports.slots import SlotPage
from leveret.supervisor.deaths.batches import beside
from leveret.supervisor.slots import (
    HEADER_BYTES,
    RECORD_BYTES,
    PageUnreadable,
    RunFolder,
    SlotReader,
    SlotWriter,
    make_page,
    remove_page,
)

DEFINITION = TaskDefinition(name="tasks.add", run=print)


def job(id: str = "a", *, receipt: str = "r", attempt: int = 0, limit: float | None = None) -> Job:
    message = Message(id=TaskId(id), task="tasks.add", attempt=attempt, time_limit=limit)
    return Job(receipt=Receipt(receipt), message=message, definition=DEFINITION)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "page"
    make_page(path, 3)
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[SlotWriter]:
    writer = SlotWriter(path)
    yield writer
    writer.close()


@pytest.fixture
def reader(path: Path) -> Iterator[SlotReader]:
    reader = SlotReader(path)
    yield reader
    reader.close()


def test_a_fresh_page_runs_nothing(writer: SlotWriter, reader: SlotReader) -> None:
    view = reader.view()

    assert (view.running, view.torn, view.beats, view.hold, view.slots) == ((), 0, 0, False, 3)


def test_the_writer_is_a_slot_page(writer: SlotWriter) -> None:
    page: SlotPage = writer

    assert not page.hold


def test_what_runs_is_named_until_it_ends(writer: SlotWriter, reader: SlotReader) -> None:
    writer.begin(1, job("task-1", receipt="17:3", attempt=2, limit=5.0), 100.0)

    assert reader.view().running == (
        Running(id="task-1", receipt=Receipt("17:3"), attempt=2, started=100.0, deadline=105.0),
    )
    writer.end(1)
    assert reader.view().running == ()


def test_slots_are_told_apart(writer: SlotWriter, reader: SlotReader) -> None:
    for slot in range(3):
        writer.begin(slot, job(f"task-{slot}"), float(slot))
    writer.end(1)

    assert [running.id for running in reader.view().running] == ["task-0", "task-2"]


def test_every_call_of_a_batch_is_named_until_it_ends(writer: SlotWriter, reader: SlotReader) -> None:
    writer.begin(0, batch_of(job(f"id-{n}", receipt=f"r-{n}", limit=5.0) for n in range(500)), 10.0)
    writer.begin(1, job("alone"), 11.0)

    running = reader.view().running

    assert [(one.id, one.receipt, one.deadline) for one in running] == [
        *((f"id-{n}", f"r-{n}", 15.0) for n in range(500)),
        ("alone", "r", None),
    ]
    writer.end(0)
    writer.begin(2, job("next"), 12.0)
    assert [one.id for one in reader.view().running] == ["alone", "next"]


@pytest.mark.parametrize("damage", ["gone", "cut", "another's"])
def test_a_batch_whose_calls_cannot_be_read_is_torn(
    path: Path, writer: SlotWriter, reader: SlotReader, damage: str
) -> None:
    file = Path(beside(path, 0))
    writer.begin(0, batch_of([job("old"), job("older")]), 1.0)
    before = file.read_bytes()
    writer.begin(0, batch_of([job("a"), job("b")]), 2.0)
    match damage:
        case "gone":
            file.unlink()
        case "cut":
            file.write_bytes(file.read_bytes()[:-3])
        case _:
            file.write_bytes(before)

    view = reader.view()

    assert (view.running, view.torn) == ((), 1)


def test_a_page_goes_with_what_lies_beside_it(path: Path, writer: SlotWriter) -> None:
    writer.begin(2, batch_of([job("a"), job("b")]), 1.0)

    remove_page(str(path), 3)

    assert not list(path.parent.iterdir())


def test_the_workers_own_time_limit_is_the_default(path: Path, reader: SlotReader) -> None:
    writer = SlotWriter(path, time_limit=30.0)

    writer.begin(0, job(), 100.0)

    assert reader.view().running[0].deadline == 130.0


def test_a_record_cut_short_is_torn(path: Path, writer: SlotWriter, reader: SlotReader) -> None:
    writer.begin(0, job(), 1.0)

    overwrite(path, HEADER_BYTES, b"\x01")

    assert (reader.view().running, reader.view().torn) == ((), 1)


@pytest.mark.parametrize("offset", [8, 12, 16, 20, 60])
def test_a_record_overwritten_by_user_code_is_torn(
    path: Path, writer: SlotWriter, reader: SlotReader, offset: int
) -> None:
    writer.begin(1, job("a" * 36, receipt="b" * 20), 1.0)

    overwrite(path, HEADER_BYTES + RECORD_BYTES + offset, b"\xff\xff\xff\xff")

    assert (reader.view().running, reader.view().torn) == ((), 1)


def test_an_id_too_long_for_the_record_is_unknown_rather_than_cut(writer: SlotWriter, reader: SlotReader) -> None:
    writer.begin(0, job("x" * 1000), 1.0)

    assert (reader.view().running, reader.view().torn) == ((), 1)
    writer.end(0)
    assert reader.view().torn == 0


def test_a_slot_works_again_after_a_torn_record(path: Path, writer: SlotWriter, reader: SlotReader) -> None:
    writer.begin(0, job("x" * 1000), 1.0)
    writer.begin(0, job("short"), 2.0)

    assert [running.id for running in reader.view().running] == ["short"]


def test_beats_and_unsettled_work_are_seen(writer: SlotWriter, reader: SlotReader) -> None:
    writer.beat(0.0)
    writer.beat(12.5)

    assert (reader.view().beats, reader.view().unsettled_since) == (2, 12.5)


def test_hold_reaches_the_runner(writer: SlotWriter, reader: SlotReader) -> None:
    reader.set_hold(True)

    assert writer.hold
    assert reader.view().hold


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"")
    (tmp_path / "other").write_bytes(b"x" * 4096)

    for name in ("short", "other"):
        with pytest.raises(PageUnreadable):
            SlotReader(tmp_path / name)


def test_the_run_folder_is_private_and_goes_with_its_owner(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)

    assert folder.path.stat().st_mode & 0o077 == 0
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_node_left_is_removed_and_a_living_ones_stays(tmp_path: Path) -> None:
    left, alive = tmp_path / "leveret-left", RunFolder(tmp_path)
    left.mkdir()
    (left / "lock").touch()
    (left / "page-1").touch()
    for folder in (left, alive.path):
        os.utime(folder / "lock", (0, 0))

    mine = RunFolder(tmp_path)

    assert set(tmp_path.iterdir()) == {alive.path, mine.path}
    alive.close()
    mine.close()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
