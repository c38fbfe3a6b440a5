from bookshop.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "odd"]  # noqa: F405
# Django's default turns off every logger that this does not name.
LOGGING = {"version": 1, "disable_existing_loggers": True, "handlers": {}, "root": {"level": "WARNING"}}
LEVERET_RESULT_EXPIRES = 60
