"""The results around a result: what it followed, what it sent, what followed it."""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from leveret.client.groups import GroupResult
from leveret.client.loops import running_loop
from leveret.client.results.graph import DependencyGraph
from leveret.client.results.looking import look, looks
from leveret.client.results.saving import saved_record
from leveret.client.results.view import ResultView
from leveret.errors import IncompleteStream

if TYPE_CHECKING:
    from leveret.client.results.standing import Standing


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

    # Where it stands.

    def explain(self) -> "Standing":
        """Why it does not run, or what happened to it: `print(result.explain())`; `.why` has code, text and facts.

        Of a workflow that ends in it, where all of it stands and what holds it up: the parts that this handle was made
        with (by whoever sent it, or `saved()`), else what the store tells.
        """
        if running_loop() is not None:
            raise RuntimeError("explain() would stop this thread's event loop: use `await result.aexplain()`")
        # Imported here: most programs never ask why, and declaring tasks should stay quick.
        from leveret.client.results.standing import all_of, standing, to_ask

        look(list(all_of(self)), least=1)
        return standing(self, {one.id: self._client.explain(one) for one in to_ask(self)})

    async def aexplain(self) -> "Standing":
        """As `explain`, on the running loop; what tasks sent themselves is left out."""
        from leveret.client.results.standing import all_of, standing, to_ask

        await looks(list(all_of(self)), least=1)
        return standing(self, {one.id: await self._client.aexplain(one) for one in to_ask(self)}, ask=False)

    def save(self) -> Self:
        """Keep the shape of its workflow in the store, so that `leveret graph ID` shows all of it anywhere."""
        self._client.backend().store((saved_record(self._client, self.id, self.as_tuple()),))
        return self

    async def asave(self) -> Self:
        await self._client.backend_of_loop().store((saved_record(self._client, self.id, self.as_tuple()),))
        return self

    def as_tuple(self) -> tuple[Any, ...]:
        """Its id and what came before it, as Celery writes it."""
        return ((self.id, None if self._parent is None else self._parent.as_tuple()), None)

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
