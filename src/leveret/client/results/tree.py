"""The results around a result: what it followed, what it sent, what followed it."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from leveret.client.groups import GroupResult
from leveret.client.results.graph import DependencyGraph
from leveret.client.results.view import ResultView
from leveret.errors import IncompleteStream


class ResultTree(ResultView):
    """The half of `AsyncResult` that walks from result to result."""

    __slots__ = ()

    @property
    def children(self) -> list[Any] | None:
        """The calls the task made itself and what followed it, once it has ended."""
        written = self.written_children()
        return None if written is None else [self.read_tuple(one) for one in written]

    def read_tuple(self, written: Any) -> Any:
        """Read what `as_tuple()` wrote."""
        head, parts = written
        own, above = head if isinstance(head, list | tuple) else (head, None)
        parent = self.read_tuple(above) if above else None
        if parts is not None:
            made = GroupResult(own, [self.read_tuple(part) for part in parts])
            made.follow(parent)
            return made
        result = self._relative(own)
        result.follow(parent)
        return result

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Any, Any]]:
        """(parent, result) of this and of all that came from it, parents first. Raises `IncompleteStream` at a result
        that is not there yet; with `intermediate` it goes on without what came from that."""
        pending: deque[tuple[Any, Any]] = deque([(None, self)])
        while pending:
            parent, result = pending.popleft()
            yield parent, result
            if not result.ready() and not intermediate:
                raise IncompleteStream(f"{result} has not ended yet")
            pending.extend((result, child) for child in result.children or ())

    def collect(self, intermediate: bool = False, **options: Any) -> Iterator[tuple[Any, Any]]:
        """(result, value) of this and of all that came from it, each waited for."""
        pending: deque[Any] = deque([self])
        while pending:
            result = pending.popleft()
            value = result.get(**options) if not intermediate or result.ready() else result.info
            yield result, value
            pending.extend(result.children or ())

    def get_leaf(self) -> Any:
        """The value of the last result of the tree."""
        return [value for _, value in self.collect()][-1]

    @property
    def graph(self) -> DependencyGraph:
        """What came from this result so far, as a graph."""
        return self.build_graph(intermediate=True)

    def build_graph(self, intermediate: bool = False, formatter: Any = None) -> DependencyGraph:
        """As `graph`; raises `IncompleteStream` where something has not ended, unless `intermediate`."""
        made = DependencyGraph()
        for parent, result in self.iterdeps(intermediate=intermediate):
            made.add_arc(result)
            if parent is not None:
                made.add_edge(parent, result)
        return made

    def as_list(self) -> list[str]:
        """Its id and those of all it followed."""
        ids, above = [self.id], self.known_parent
        while above is not None:
            ids.append(above.id)
            above = above.known_parent
        return ids
