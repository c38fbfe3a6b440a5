"""`python -m bench [sqlite|startup|backlog|mixed|table]`; without a name: sqlite, as `make bench`."""

import argparse

from bench import against, table
from bench.drills import backlog, mixed, startup


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="sqlite", choices=["sqlite", "startup", "backlog", "mixed", "table"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=[], help="only these (huey, flexiq, taskito)")
    parser.add_argument(
        "--only", nargs="*", default=[], help=f"of sqlite only these: {', '.join(against.MEASUREMENTS)}"
    )
    options = parser.parse_args()
    match options.what:
        case "sqlite":
            against.sqlite(options.rounds, tuple(options.peers), tuple(options.only))
        case "startup":
            startup.run()
        case "backlog":
            backlog.run()
        case "mixed":
            mixed.run()
        case "table":
            print(table.markdown())


if __name__ == "__main__":
    main()
