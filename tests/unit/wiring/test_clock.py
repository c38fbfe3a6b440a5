from uuid import UUID

from leveret.wiring.clock import SystemClock


def test_ids_of_one_process_grow_however_many_are_asked_for() -> None:
    clock = SystemClock()

    ids = [clock.new_id(), *clock.new_ids(150), clock.new_id(), *clock.new_ids(1), *clock.new_ids(0)]

    assert len(set(ids)) == 153
    assert all(UUID(id).version == 7 for id in ids)
    milliseconds = [UUID(id).int >> 80 for id in ids]
    assert milliseconds == sorted(milliseconds)
