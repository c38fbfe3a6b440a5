"""`python -m bench [all|sqlite|rabbitmq|redis|canvas|startup|backlog|mixed|longshort|million|schedules|latency|telling|limits|table]`; without a name: all, as `make bench`."""

import argparse
import signal
import sys

from bench import table
from bench.against import canvas, rabbitmq, redis, sqlite
from bench.against.measurement import Selection
from bench.brokers import ServerMissing
from bench.drills import backlog, latency, limited, longshort, million, mixed, schedules, startup, telling
from bench.raw.load import NoCompiler

WHAT = (
    "all",
    "sqlite",
    "rabbitmq",
    "redis",
    "canvas",
    "startup",
    "backlog",
    "mixed",
    "longshort",
    "million",
    "schedules",
    "latency",
    "telling",
    "limits",
    "table",
)


def main() -> None:
    # Ended from outside, it still stops the servers and nodes it started.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        dispatch(parse())
    except (ServerMissing, NoCompiler) as error:
        sys.exit(str(error))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=WHAT)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peers", nargs="*", default=[], help="only these (huey, flexiq, taskito; celery, dramatiq, taskiq)"
    )
    parser.add_argument(
        "--only", nargs="*", default=[], help="of sqlite, rabbitmq, redis and canvas only these measurements"
    )
    parser.add_argument(
        "--broker",
        default="sqlite",
        help="of mixed, longshort, schedules and limits: sqlite, rabbitmq or redis (private ones), a URL",
    )
    parser.add_argument("--tasks", type=int, default=1_000_000, help="of million")
    parser.add_argument("--long-seconds", type=float, default=60.0, help="of longshort")
    parser.add_argument("--before", help="of limits: the `src` of another checkout, to compare with")
    return parser.parse_args()


def dispatch(options: argparse.Namespace) -> None:
    selection = Selection(rounds=options.rounds, peers=tuple(options.peers), only=tuple(options.only))
    match options.what:
        case "all":
            every = (sqlite, redis, canvas, rabbitmq)
            refuse([name for one in every for name in one.run(selection)])
        case "sqlite":
            refuse(sqlite.run(selection))
        case "rabbitmq":
            refuse(rabbitmq.run(selection))
        case "redis":
            refuse(redis.run(selection))
        case "canvas":
            refuse(canvas.run(selection))
        case "startup":
            startup.run()
        case "backlog":
            backlog.run()
        case "mixed":
            mixed.run(options.broker)
        case "longshort":
            longshort.run(options.broker, options.long_seconds)
        case "million":
            million.run(options.tasks)
        case "schedules":
            schedules.run(options.broker)
        case "latency":
            latency.run(options.rounds)
        case "telling":
            telling.run(options.rounds, options.broker)
        case "limits":
            limited.run(options.rounds, options.broker, options.before)
        case "table":
            print(table.markdown())


def refuse(broken: list[str]) -> None:
    if broken:
        sys.exit(f"not measured: {', '.join(broken)}")


if __name__ == "__main__":
    main()
