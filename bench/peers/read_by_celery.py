"""Real Celery takes messages off a queue as its worker would: `python read_by_celery.py COUNT`, JSON of their arguments.

Nothing of Leveret is imported here.
"""

import json
import os
import sys
from typing import Any

from celery import Celery
from celery.worker.request import Request
from kombu import Queue

app = Celery("reader", broker=os.environ["BENCH_BROKER_URL"], set_as_current=True)
NAMES = ("p_leveret.add", "p_leveret.note", "p_celery.add")


def main() -> None:
    # Celery refuses a task it has not registered before it looks at the rest.
    for name in NAMES:
        app.task(name=name)(add)
    app.finalize()
    with app.connection_for_read() as connection:
        queue = Queue(os.environ["BENCH_QUEUE"], no_declare=True)(connection.channel())
        print(json.dumps([read(queue) for _ in range(int(sys.argv[1]))]))


def add(number: int, payload: Any) -> None:
    """Never run."""


def read(queue: Queue) -> Any:
    """What `celery.worker.strategy` makes of a message; its arguments are decoded by the request."""
    message = queue.get(no_ack=False, accept=["json"])
    assert message is not None, "the queue is empty"
    request = Request(message, app=app, hostname="reader", headers=message.headers, body=message.body)
    assert message.properties["delivery_mode"] == 2, "a message that does not outlive the broker"
    args, kwargs, embed = request._payload
    assert not kwargs and isinstance(embed, dict)
    return args


if __name__ == "__main__":
    main()
