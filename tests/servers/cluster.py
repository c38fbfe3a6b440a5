"""Three RabbitMQ nodes in one cluster, to kill one and see who leads."""

import time
from types import TracebackType
from typing import Self

from tests.servers.rabbit.remote import ConsoleError, Vhost
from tests.servers.rabbit.site import Site
from tests.servers.rabbitmq import RabbitNode, RabbitOptions


class RabbitCluster:
    """`nodes` are by number: 0, 1, 2. All share a name server, which a node's death leaves alone."""

    def __init__(self, size: int = 3, options: RabbitOptions | None = None) -> None:
        options = options or RabbitOptions()
        self._site = Site(options.plugins, tls=options.tls)
        self.nodes = [RabbitNode(self._site, f"rabbit{number}", options) for number in range(size)]

    def start(self) -> Self:
        """Start all nodes at once, then let the others join the first."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait()
        first = self.nodes[0].address.node
        for node in self.nodes[1:]:
            node.evaluate(
                f"ok = rabbit:stop(), ok = rabbit_mnesia:reset(), ok = rabbit_mnesia:join_cluster('{first}', disc), "
                "ok = rabbit:start().",
                timeout=120,
            )
        return self

    def kill(self, number: int) -> None:
        """Kill -9 one node."""
        self.nodes[number].kill()

    def restart(self, number: int) -> None:
        """Start a node again, after `kill` too; returns when it answers."""
        self.nodes[number].terminate()
        self.nodes[number].launch()
        self.nodes[number].wait()

    def leader(self, queue: str, vhost: str = "/", timeout: float = 30.0) -> int:
        """Tell the number of the living node that leads a queue; waits for the end of an election."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                name = self._living().leader(queue, vhost)
                return next(n for n, node in enumerate(self.nodes) if node.running and node.address.node == name)
            except (ConsoleError, StopIteration):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def vhost(self, name: str | None = None) -> Vhost:
        """Make an empty vhost on all nodes; the URL is one node's, `nodes[n].url_of(name)` the others'."""
        return self._living().vhost(name)

    def stop(self) -> None:
        self._site.close()

    def _living(self) -> RabbitNode:
        return next(node for node in self.nodes if node.running)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
