"""A broker and a store that are both one in-process server."""

from leveret.backends.memory import MemoryBackendDriver
from leveret.brokers.memory import MemoryDriver


class MoonBroker(MemoryDriver):
    """`moon://name`."""


class MoonStore(MemoryBackendDriver):
    """`moon://name` as a store."""
