"""What a Redis must be to keep messages, looked at once by each process that consumes."""

import logging

from leveret.errors import ImproperlyConfigured
from leveret.links.redis.location import Location
from leveret.links.redis.refusals import Refusal
from leveret.links.redis.scripts import Verb

log = logging.getLogger("leveret.redis")

OLDEST = (6, 2)


class Checks:
    """`look` raises where messages would be lost for sure, and warns where they may be."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._looked = False

    def look(self) -> Verb[None]:
        if self._looked:
            return
        answers = yield [("INFO", "server"), ("INFO", "memory"), ("INFO", "replication"), ("INFO", "persistence")]
        self._looked = True
        # A user who may not ask is not asked again; whoever set the server up that way knows it.
        texts = [answer for answer in answers if type(answer) is not Refusal]
        facts = dict(_lines(b"\n".join(map(_as_bytes, texts)).decode(errors="replace")))
        self._judge(facts)

    def _judge(self, facts: dict[str, str]) -> None:
        where = f"Redis at {self._location.shown}"
        version = tuple(int(part) for part in facts.get("redis_version", "").split(".")[:2] if part.isdigit())
        if version and version < OLDEST:
            raise ImproperlyConfigured(
                f"{where} is too old for a queue: {facts['redis_version']}; 6.2 or newer is needed"
            )
        policy = facts.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise ImproperlyConfigured(
                f"{where} throws keys away when its memory is full (maxmemory-policy {policy}): tasks, and the marks "
                "that stop second runs, would vanish. Set maxmemory-policy noeviction"
            )
        if facts.get("role") == "slave" and facts.get("slave_read_only", "1") == "1":
            raise ImproperlyConfigured(
                f"{where} is a read-only replica: name the master, or let sentinel:// find it (replica-read-only)"
            )
        if facts.get("aof_enabled") == "0":
            log.warning(
                "%s keeps no append-only file: what was sent since its last snapshot is lost when it dies. "
                "Set appendonly yes (docs/how-to/use-redis.md tells what each setting may lose)",
                where,
            )


def _lines(text: str) -> list[tuple[str, str]]:
    return [
        (name, value.strip()) for name, found, value in (line.partition(":") for line in text.splitlines()) if found
    ]


def _as_bytes(answer: object) -> bytes:
    # RESP 3 calls INFO's answer a verbatim string, which the parser may hand over as text.
    return answer.encode() if isinstance(answer, str) else bytes(answer) if isinstance(answer, bytes) else b""
