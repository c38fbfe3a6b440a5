"""The app of the drill on fairness: each run is one line of a file, `seconds tenant number`."""

import os
import time

from leveret import Leveret

app = Leveret(
    "fair",
    broker=os.environ["REVOKE_BROKER"],
    backend=os.environ.get("REVOKE_RESULTS") or None,
    task_ignore_result=True,
)
_FILE = os.open(os.environ["FAIR_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@app.task(fair_by=lambda tenant, **_: tenant)
def bill(tenant: str, number: int) -> None:
    time.sleep(float(os.environ["FAIR_SECONDS"]))
    os.write(_FILE, f"{time.time():.6f} {tenant} {number}\n".encode())
