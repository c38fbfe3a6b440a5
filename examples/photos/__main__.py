"""`make demo`: prepare, then run. Kept apart so that Pillow can be installed before anything imports it."""

import argparse
import sys

from examples.photos import prepare


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.photos", description=__doc__)
    parser.add_argument("--photos", metavar="DIR", help="your own photographs instead of the fetched ones")
    options = parser.parse_args()
    prepare.ensure_pillow()
    photos = prepare.photographs(options.photos)
    # Pillow is there only now.
    from examples.photos.show import show

    return show(photos)


if __name__ == "__main__":
    sys.exit(main())
