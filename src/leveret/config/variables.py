"""Names of our environment variables. Nothing is imported here: the command line reads it at every start."""

PREFIX = "LEVERET_"
CONFIG_MODULE = "LEVERET_CONFIG_MODULE"
"""A settings module that every app of the process reads (`leveret --config`)."""
APP = "LEVERET_APP"
NOT_SETTINGS = (
    APP,
    CONFIG_MODULE,
    "LEVERET_CHANNEL",
    "LEVERET_CHAOS",
    "LEVERET_BENCH_",
    "LEVERET_DEMO_",
    "LEVERET_TEST_",
    "LEVERET__",
)
"""Beginnings of our variables that are no settings."""
