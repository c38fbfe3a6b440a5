import os

from bookshop.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "odd"]  # noqa: F405
# Django's default turns off every logger that this does not name.
LOGGING = {"version": 1, "disable_existing_loggers": True, "handlers": {}, "root": {"level": "WARNING"}}
LEVERET_RESULT_EXPIRES = 60

if "ODD_POOL" in os.environ:
    # A pool has threads and sockets, which a fork would break.
    DATABASES["default"].update(CONN_MAX_AGE=0, OPTIONS={"pool": {"min_size": 0, "max_size": 2}})  # noqa: F405
