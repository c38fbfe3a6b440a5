"""What of a Redis server's settings and state will hurt."""

from collections.abc import Iterator, Mapping

from leveret.links.redis.hubs import Hubs
from leveret.links.redis.refusals import Refusal
from leveret.links.redis.scripts import Verb
from leveret.model.insight.finding import ERROR, NOTE, WARNING, Finding, Needs
from leveret.ports.clock import Clock

OLDEST = (6, 2)
SOCKETS_A_PROCESS = 3
"""Of a worker process and its share of the node's: one that claims, one that waits, now and then one that tells."""
NEARLY_FULL, FULL = 0.8, 0.95
SKEW_SECONDS, FAR_SKEW_SECONDS = 1.0, 5.0
LAPSED_SECONDS = 60.0
_SECTIONS = ("server", "memory", "replication", "persistence", "clients")
_SETTINGS = ("timeout", "maxclients", "appendfsync", "maxmemory-policy")

Facts = Mapping[str, str]


async def examine(hubs: Hubs, shown: str, needs: Needs, clock: Clock, leases: tuple[str, str]) -> tuple[Finding, ...]:
    """`leases`: the keys of the leases' set and of the nodes' facts."""
    return await hubs.own().perform(_examine(f"Redis at {shown}", needs, clock, leases))


def _examine(where: str, needs: Needs, clock: Clock, leases: tuple[str, str]) -> Verb[tuple[Finding, ...]]:
    before = clock.now()
    asked = yield [("TIME",)]
    after = clock.now()
    infos = yield [("INFO", section) for section in _SECTIONS]
    settings = yield [("CONFIG", "GET", name) for name in _SETTINGS]
    facts = {**_info(infos), **_config(settings)}
    found = [finding for check in _CHECKS for finding in check(where, facts, needs)]
    skew = _skew(asked[0], before, after)
    if abs(skew) > SKEW_SECONDS:
        found.append(_wrong_clock(where, skew))
    lapsed = yield [("ZRANGEBYSCORE", leases[0], "-inf", repr(after + skew - LAPSED_SECONDS))]
    return (*found, *((_stuck(where, len(lapsed[0])),) if isinstance(lapsed[0], list) and lapsed[0] else ()))


def _text(answer: object) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def _info(answers: list[object]) -> dict[str, str]:
    """A user who may not ask is told nothing of it."""
    lines = "\n".join(_text(answer) for answer in answers if not isinstance(answer, Refusal)).splitlines()
    return {name: value.strip() for name, found, value in (line.partition(":") for line in lines) if found}


def _config(answers: list[object]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for answer in answers:
        if isinstance(answer, Mapping):
            facts.update({f"config {_text(name)}": _text(value) for name, value in answer.items()})
        elif isinstance(answer, list):
            facts.update({f"config {_text(n)}": _text(v) for n, v in zip(answer[::2], answer[1::2], strict=True)})
    return facts


def _skew(answer: object, before: float, after: float) -> float:
    """Seconds by which the server is ahead."""
    if not isinstance(answer, list):
        return 0.0
    server = int(answer[0]) + int(answer[1]) / 1e6
    return server - after if server > after else min(0.0, server - before)


def _wrong_clock(where: str, skew: float) -> Finding:
    return Finding(
        severity=ERROR if abs(skew) > FAR_SKEW_SECONDS else WARNING,
        check="clock-skew",
        where=where,
        text=f"its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's: "
        "countdowns, limits and expiries are off by as much",
        change="run chrony or systemd-timesyncd on both machines",
    )


def _stuck(where: str, number: int) -> Finding:
    return Finding(
        severity=ERROR,
        check="stuck-session",
        where=where,
        text=f"the lease of {number} nodes ran out and nobody has given back what they held: no other node is alive",
        change="leveret worker  # any node gives it back within seconds",
    )


def version(where: str, facts: Facts, needs: Needs) -> Iterator[Finding]:
    parts = tuple(int(part) for part in facts.get("redis_version", "").split(".")[:2] if part.isdigit())
    if parts and parts < OLDEST and "valkey_version" not in facts:
        yield Finding(
            severity=ERROR,
            check="server-old",
            where=where,
            text=f"it is {facts['redis_version']}: 6.2 or newer is needed",
            change="update Redis, or take Valkey",
        )


def eviction(where: str, facts: Facts, needs: Needs) -> Iterator[Finding]:
    policy = facts.get("maxmemory_policy") or facts.get("config maxmemory-policy") or "noeviction"
    if policy != "noeviction":
        what = "results and limits" if needs.results_only else "tasks, and the marks that stop second runs,"
        yield Finding(
            severity=ERROR,
            check="eviction",
            where=where,
            text=f"it throws keys away when its memory is full: {what} would vanish",
            change=f"maxmemory-policy noeviction  # is {policy}",
        )


def persistence(where: str, facts: Facts, needs: Needs) -> Iterator[Finding]:
    if facts.get("aof_enabled") == "0":
        yield Finding(
            severity=WARNING,
            check="no-append-only-file",
            where=where,
            text="what was written since its last snapshot is lost when it dies",
            change="appendonly yes  # is no",
        )
    elif facts.get("config appendfsync") == "no":
        yield Finding(
            severity=WARNING,
            check="no-sync",
            where=where,
            text="it leaves it to the system when its file is written: half a minute may be lost",
            change="appendfsync everysec  # is no",
        )
    for field, what in (("aof_last_write_status", "append-only file"), ("rdb_last_bgsave_status", "last snapshot")):
        if facts.get(field) == "err":
            yield Finding(
                severity=ERROR,
                check="cannot-write",
                where=where,
                text=f"it could not write its {what}: it may refuse every command that changes anything",
                change="free its disk, look into its log",
            )


def memory(where: str, facts: Facts, needs: Needs) -> Iterator[Finding]:
    used, most = _number(facts, "used_memory"), _number(facts, "maxmemory")
    setting, limit = ("maxmemory", most) if most else ("the machine's memory", _number(facts, "total_system_memory"))
    if used and limit and used > NEARLY_FULL * limit:
        yield Finding(
            severity=ERROR if used > FULL * limit else WARNING,
            check="memory",
            where=where,
            text=f"it uses {used >> 20} of {limit >> 20} MiB ({setting}): when it is full, no task can be sent",
            change="raise maxmemory, or let results expire sooner (result_expires)",
        )


def role(where: str, facts: Facts, needs: Needs) -> Iterator[Finding]:
    if facts.get("role") == "slave":
        master = f"{facts.get('master_host', '?')}:{facts.get('master_port', '?')}"
        url = "result_backend" if needs.results_only else "broker_url"
        yield Finding(
            severity=ERROR,
            check="replica",
            where=where,
            text="it is a replica: what is written here is refused, or lost",
            change=f'{url} = "redis://{master}/0"  # or sentinel://',
        )


def clients(where: str, facts: Facts, needs: Needs) -> Iterator[Finding]:
    idle = facts.get("config timeout", "0")
    if idle != "0":
        yield Finding(
            severity=WARNING,
            check="idle-timeout",
            where=where,
            text=f"it closes connections that say nothing for {idle} s: workers that wait connect again and again",
            change=f"timeout 0  # is {idle}",
        )
    most = _number(facts, "config maxclients") or _number(facts, "maxclients")
    now = _number(facts, "connected_clients")
    wanted = needs.processes * SOCKETS_A_PROCESS
    if most and max(now, wanted) > NEARLY_FULL * most:
        yield Finding(
            severity=WARNING,
            check="connections",
            where=where,
            text=f"{now} clients are connected and {needs.processes} worker processes need about {wanted} sockets, of "
            f"{most} that it takes",
            change=f"maxclients {max(10_000, wanted * 4)}  # is {most}",
        )


def databases(where: str, facts: Facts, needs: Needs) -> Iterator[Finding]:
    if facts.get("redis_mode") == "cluster" and not needs.results_only:
        yield Finding(
            severity=NOTE, check="cluster", where=where, text="one node of a cluster", change="use it for results only"
        )


def _number(facts: Facts, name: str) -> int:
    value = facts.get(name, "")
    return int(value) if value.isdigit() else 0


_CHECKS = (version, eviction, persistence, memory, role, clients, databases)
