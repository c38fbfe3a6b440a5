"""rabbit-alarms: the broker runs short of memory, then of disk. A send fails within its deadline and says why; workers
go on acknowledging, which is what frees memory; what cannot be sent waits; and all of it recovers.
"""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import keep, size
from tests.e2e.fleet import Fleet
from tests.servers.rabbitmq import RabbitServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

ALARMS = size(10, 1)
"""Of each kind."""
PUBLISH_TIMEOUT = size(10.0, 2.0)
BACKLOG = 40

KINDS = {
    "memory": (
        "vm_memory_monitor:set_vm_memory_high_watermark(0.0000001).",
        "vm_memory_monitor:set_vm_memory_high_watermark(0.4).",
    ),
    "disk": (
        "rabbit_disk_monitor:set_disk_free_limit(1000000000000000).",
        "rabbit_disk_monitor:set_disk_free_limit(1000000).",
    ),
}


class Alarms:
    def __init__(self, server: RabbitServer, fleet: Fleet) -> None:
        self.server, self.fleet = server, fleet
        self.struck, self.acknowledged, self.recovered = 0, 0, []

    def once(self, kind: str) -> None:
        """Let work pile up behind busy slots, sound the alarm, and see it go on being acknowledged."""
        fleet, (sound, silence) = self.fleet, KINDS[kind]
        fleet.until(lambda: len(fleet.open()) >= BACKLOG, 60.0, lambda: f"only {len(fleet.open())} tasks are open")
        before = fleet.open()
        self.server.evaluate(sound)
        self.struck += bool(before)
        fleet.until(lambda: self._refused(kind), PUBLISH_TIMEOUT * 4, lambda: "no send has failed")
        # Whatever was there goes on to its end, but for those whose result is a message: that is not taken either.
        there = len(before)
        asked = {key for key in fleet.history.of("confirmed") if key.startswith("asking")}
        asking = len(asked - set(fleet.history.of("answer")))
        fleet.until(lambda: self._messages() <= asking, 30.0, lambda: f"{self._messages()} messages are there")
        self.acknowledged += there - self._messages()
        self.server.evaluate(silence)
        began = time.time()
        fleet.until(
            lambda: any(lines[-1].at > began for lines in list(fleet.history.of("confirmed").values())[-20:]), 10.0
        )
        self.recovered.append(time.time() - began)

    def _refused(self, kind: str) -> bool:
        notes = [
            line.note
            for what in ("failed", "unknown")
            for lines in self.fleet.history.of(what).values()
            for line in lines
        ]
        return any(f"low on {kind}" in note for note in notes)

    def _messages(self) -> int:
        """Ready and unacknowledged messages of the task queue, as its leader knows them now."""
        told = self.server.evaluate(
            '{ok, Queue} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"default">>)), '
            "{ok, {_, Count}, _} = ra:local_query(amqqueue:get_pid(Queue), fun rabbit_fifo:query_messages_total/1), "
            "Count."
        )
        return int(told)


def drill(server: RabbitServer, folder: Path, alarms: int, mutant: str = "") -> dict[str, Any]:
    with Fleet(folder, server.url, publish_timeout=PUBLISH_TIMEOUT, result_persistent=True) as fleet:
        for number in range(2):
            fleet.worker(f"w{number}", "-c", "1", mutant=mutant)
        common: dict[str, Any] = {"seconds": (0.02, 0.1), "mutant": mutant}
        fleet.source(name="plain", threads=2, pause=0.01, ignored=True, **common)
        fleet.source(name="asking", face="async", threads=3, pause=0.05, results=True, **common)
        fleet.ready()
        alarm = Alarms(server, fleet)
        for _ in range(alarms):
            for kind in KINDS:
                alarm.once(kind)
        outcome = fleet.outcome()
    notes = {line.note for lines in fleet.history.of("failed").values() for line in lines}
    notes |= {line.note for lines in fleet.history.of("unknown").values() for line in lines}
    return {
        "alarms": alarms * len(KINDS),
        "alarms_that_struck": alarm.struck,
        "acknowledged_under_alarm": alarm.acknowledged,
        "recovered_seconds_max": round(max(alarm.recovered), 2),
        "reasons": sorted(notes)[:8],
        "nameless": sum("low on " not in note for note in notes),
        **outcome,
    }


def test_sends_fail_by_name_and_workers_go_on_acknowledging(own_rabbit: RabbitServer, tmp_path: Path) -> None:
    report = drill(own_rabbit, tmp_path, ALARMS)

    keep("rabbit-alarms", report)
    assert report["alarms_that_struck"] * 2 >= report["alarms"]
    assert report["acknowledged_under_alarm"] >= report["alarms"] * BACKLOG / 2
    assert report["nameless"] == 0
    assert (report["lost"], report["unexpected"], report["missing_results"]) == (0, 0, 0)
    assert report["recovered_seconds_max"] <= 5.0
    assert report["slowest_send"] <= PUBLISH_TIMEOUT + 1.0
    assert set(report["exit_codes"]) == {0}
