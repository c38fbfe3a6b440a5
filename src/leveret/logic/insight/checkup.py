"""What is wrong with queues, nodes, tasks and settings together. Each check is one function; what is one server's own
is looked at by its driver (`ports.operations.examined`)."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from leveret.logic.insight.moments import span
from leveret.model.insight.finding import ERROR, NOTE, WARNING, Finding, Household

LONG_LINE = 10_000
OVERDUE_SECONDS = 60.0
MANY_DEAD = 10
"""Dead letters within an hour that are no accident any more."""
FEW_FILES = 1024
AHEAD_SECONDS = 2.0
DISCARDED = ("celery.", "leveret.")


def check_up(house: Household) -> tuple[Finding, ...]:
    return tuple(finding for check in _CHECKS for finding in check(house))


def no_node(house: Household) -> Iterator[Finding]:
    if house.nodes_known and not house.nodes:
        waiting = sum(count.ready for count in house.counts)
        yield Finding(
            severity=ERROR if waiting else WARNING,
            check="no-node",
            where=house.address,
            text="no node is alive" + (f", and {waiting} messages wait" if waiting else ""),
            change="leveret worker -A <app>",
        )


def unserved(house: Household) -> Iterator[Finding]:
    """Queues in which something waits for nobody."""
    if house.nodes_known and not house.nodes:
        return
    served = _served(house)
    for count in house.counts:
        if count.ready and count.queue not in served and not count.consumers:
            oldest = "" if count.oldest is None else f", the oldest for {span(house.now - count.oldest)}"
            yield Finding(
                severity=ERROR,
                check="queue-without-consumer",
                where=f"queue {count.queue}",
                text=f"{count.ready} messages wait{oldest}, and no node consumes it",
                change=f"leveret worker -Q {count.queue}",
            )


def unrouted(house: Household) -> Iterator[Finding]:
    """Queues that this app sends to, before anything waits there."""
    if house.nodes_known and not house.nodes:
        return
    served = _served(house)
    busy = {count.queue for count in house.counts if count.ready and not count.consumers}
    consumed = {count.queue for count in house.counts if count.consumers}
    for queue in house.routed:
        if queue not in served and queue not in busy and queue not in consumed:
            yield Finding(
                severity=WARNING,
                check="routed-queue-without-consumer",
                where=f"queue {queue}",
                text="tasks of this app are routed to it, and no node consumes it",
                change=f"leveret worker -Q {queue}",
            )


def _served(house: Household) -> set[str]:
    return {queue for node in house.nodes for queue in node.queues}


def unknown_tasks(house: Household) -> Iterator[Finding]:
    known: dict[str, set[str]] = {}
    for node in house.nodes:
        for queue in node.queues:
            known.setdefault(queue, set()).update(node.tasks)
    met = Counter((queue, task) for queue, task in house.waiting if queue in known and task not in known[queue])
    for (queue, task), number in sorted(met.items()):
        if not task.startswith(DISCARDED):
            yield Finding(
                severity=ERROR,
                check="unknown-task",
                where=f"queue {queue}",
                text=f"{number} messages for task {task!r} wait, and no node that consumes it has that task: they "
                "become dead letters after 15 minutes",
                change=f"add the module that defines {task} to include= (or -I), and restart the nodes of {queue}",
            )


def differing_nodes(house: Household) -> Iterator[Finding]:
    """Nodes of one queue that do not know the same tasks: two apps of one name, or a deployment that has got stuck."""
    for queue in sorted(_served(house)):
        nodes = [node for node in house.nodes if queue in node.queues]
        common = set[str].intersection(*(set(node.tasks) for node in nodes))
        for node in nodes:
            missing = {task for other in nodes for task in other.tasks} - set(node.tasks)
            if missing and not common:
                yield Finding(
                    severity=WARNING,
                    check="two-apps",
                    where=f"queue {queue}",
                    text=f"its nodes ({_some(one.name for one in nodes)}) have no task in common: two apps share it",
                    change="give each app a queue of its own: task_default_queue = '<app>'",
                )
                break
            if missing:
                yield Finding(
                    severity=WARNING,
                    check="nodes-differ",
                    where=f"node {node.name}",
                    text=f"it consumes queue {queue} and lacks tasks that others there have: {_some(missing)}",
                    change=f"deploy the same code to all nodes of {queue}, or give those tasks a queue of their own",
                )
    versions = sorted({node.version for node in house.nodes if node.version})
    if len(versions) > 1:
        yield Finding(
            severity=WARNING,
            check="versions-differ",
            where="nodes",
            text=f"nodes run {' and '.join(versions)}",
            change=f"pip install leveret=={versions[-1]} everywhere",
        )


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def silent_nodes(house: Household) -> Iterator[Finding]:
    for name in house.silent:
        yield Finding(
            severity=WARNING,
            check="node-silent",
            where=f"node {name}",
            text="its lease is alive, and it does not answer: it hangs, or worker_enable_remote_control is off",
            change=f"leveret inspect ping -d {name}; leveret inspect stack -d {name}",
        )


def clocks(house: Household) -> Iterator[Finding]:
    for node in house.nodes:
        if node.started > house.now + AHEAD_SECONDS:
            yield Finding(
                severity=WARNING,
                check="clock-skew",
                where=f"node {node.name}",
                text=f"it says it started {span(node.started - house.now)} from now: its clock is wrong, or this "
                "machine's",
                change="run chrony or systemd-timesyncd on every machine",
            )


def dead_letters(house: Household) -> Iterator[Finding]:
    total = sum(count.dead for count in house.counts)
    if house.dead_lately >= MANY_DEAD:
        yield Finding(
            severity=WARNING,
            check="dead-letters",
            where=house.address,
            text=f"{house.dead_lately} messages became dead letters within the last hour ({total} in all)",
            change="leveret dead list",
        )
    elif total:
        yield Finding(
            severity=NOTE,
            check="dead-letters",
            where=house.address,
            text=f"{total} dead letters",
            change="leveret dead list",
        )


def schedule(house: Household) -> Iterator[Finding]:
    late = [
        entry
        for entry in house.schedule
        if not entry.paused and entry.due is not None and entry.due < house.now - OVERDUE_SECONDS
    ]
    if late:
        first = min(late, key=lambda entry: entry.due or 0.0)
        since = f" since {span(house.now - first.due)}" if first.due else ""
        yield Finding(
            severity=ERROR,
            check="schedule-without-scheduler",
            where=f"entry {first.name}",
            text=f"{len(late)} entries of the schedule are due{since}, and nobody fires them",
            change="leveret worker (without --no-beat), or leveret beat",
        )


def results(house: Household) -> Iterator[Finding]:
    if house.stores_results and not house.results_expire:
        yield Finding(
            severity=WARNING,
            check="results-never-expire",
            where=house.results_address or house.address,
            text="results are kept for ever: the store grows with every task",
            change="result_expires = 86400  # seconds",
        )


def limits(house: Household) -> Iterator[Finding]:
    if house.limited and not house.keeps_limits:
        yield Finding(
            severity=ERROR,
            check="limits-without-store",
            where=house.address,
            text=f"{_some(house.limited)} are declared with limits for the whole cluster, and nothing here keeps them",
            change='result_backend = "redis://host/1"',
        )
    for line in house.lines:
        if line.waiting >= LONG_LINE:
            yield Finding(
                severity=WARNING,
                check="long-line",
                where=f"limit {line.key}",
                text=f"{line.waiting} messages wait for this {line.bound} limit",
                change="raise the limit, send less, or let what waits expire (expires=)",
            )


def settings(house: Household) -> Iterator[Finding]:
    for remark in house.remarks:
        name = remark.partition(" ")[0]
        yield Finding(severity=NOTE, check="setting", where=f"setting {name}", text=remark, change=f"leave {name} out")


def open_files(house: Household) -> Iterator[Finding]:
    if house.open_files is not None and house.open_files < FEW_FILES:
        yield Finding(
            severity=WARNING,
            check="open-files",
            where="this machine",
            text=f"a process may open {house.open_files} files: a node needs a few for each worker process, a "
            "sender one for each connection",
            change="ulimit -n 65536, or LimitNOFILE=65536 in the unit",
        )


_CHECKS: tuple[Callable[[Household], Iterator[Finding]], ...] = (
    no_node,
    unserved,
    unrouted,
    unknown_tasks,
    differing_nodes,
    silent_nodes,
    clocks,
    dead_letters,
    schedule,
    results,
    limits,
    settings,
    open_files,
)
