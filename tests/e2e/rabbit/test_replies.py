"""rabbit-replies: the caller's connection breaks between send and reply, each time. No result is lost."""

import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import ROOT, SEED, keep, size
from tests.e2e.fleet import Fleet
from tests.servers.proxy import Proxy
from tests.servers.rabbit.remote import Rabbit, Vhost

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

CUTS = size(100, 10)
"""Of each face."""

# Sends, says so, waits for the go, and answers with what came: so that each cut falls between send and reply.
CALLER = """
import asyncio, sys, time
from tests.e2e import kill_app
from tests.e2e.mutants import mutate

async def on_loop():
    for line in iter(sys.stdin.readline, ""):
        key, seconds = line.split()
        result = await kill_app.work.adelay(float(seconds), key)
        kill_app.note("confirmed", result.id, key=key)
        print("sent", flush=True)
        print(await result.aget(timeout=float(sys.argv[3])), flush=True)

def on_thread():
    for line in iter(sys.stdin.readline, ""):
        key, seconds = line.split()
        result = kill_app.work.delay(float(seconds), key)
        kill_app.note("confirmed", result.id, key=key)
        print("sent", flush=True)
        print(result.get(timeout=float(sys.argv[3])), flush=True)

mutate(sys.argv[2])
asyncio.run(on_loop()) if sys.argv[1] == "async" else on_thread()
"""


class Caller:
    def __init__(self, face: str, environment: dict[str, str], mutant: str, patience: float) -> None:
        self.face = face
        command = [sys.executable, "-c", CALLER, face, mutant, str(patience)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def send(self, key: str, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{key} {seconds}\n")
        self.process.stdin.flush()
        assert self.answer() == "sent"

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def drill(
    rabbit: Rabbit, vhost: Vhost, folder: Path, cuts: int, mutant: str = "", patience: float = 30.0
) -> dict[str, Any]:
    dice = random.Random(SEED)
    lost, struck, waits = [], 0, []
    with Proxy(rabbit.port) as door, Fleet(folder, vhost.url) as fleet:
        environment = {**fleet.environment, "KILL_URL": rabbit.url_of(vhost.name, port=door.port)}
        fleet.worker("w0", "-c", "2")
        callers = [Caller(face, environment, mutant, patience) for face in ("sync", "async")]
        try:
            for number in range(2 * cuts):
                caller, key = callers[number % 2], f"{number}"
                caller.send(key, dice.uniform(0.05, 0.3))
                # Before the worker takes it up, while it runs, or when the reply is on its way.
                time.sleep(dice.uniform(0.0, 0.2))
                answered = key in fleet.history.of("done")
                began = time.monotonic()
                door.cut()
                struck += not answered
                if caller.answer() != key:
                    lost.append(key)
                    break
                waits.append(time.monotonic() - began)
        finally:
            for caller in callers:
                caller.end()
        codes = [worker.stop() for worker in fleet.workers]
        verdict = fleet.judge()
    return {
        "cuts": 2 * cuts,
        "cuts_between_send_and_reply": struck,
        "answered": len(waits),
        "lost": len(lost),
        "again": verdict.again,
        "slowest_answer": round(max(waits, default=0.0), 2),
        "exit_codes": codes,
    }


def test_a_caller_whose_connection_breaks_gets_its_result_all_the_same(
    rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path
) -> None:
    report = drill(rabbit, rabbit_vhost, tmp_path, CUTS)

    keep("rabbit-replies", report)
    assert report["cuts_between_send_and_reply"] * 2 >= report["cuts"]
    assert (report["answered"], report["lost"]) == (2 * CUTS, 0)
    assert report["again"] == 0
    assert report["slowest_answer"] <= 5.0
    assert report["exit_codes"] == [0]
