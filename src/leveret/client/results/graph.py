"""A small directed graph, with the methods of Celery's."""

from collections.abc import Iterator
from typing import Any, TextIO


class DependencyGraph:
    """Results, and for each those that came from it."""

    def __init__(self) -> None:
        self._edges: dict[Any, list[Any]] = {}

    def add_arc(self, result: Any) -> None:
        self._edges.setdefault(_key(result), [])

    def add_edge(self, parent: Any, child: Any) -> None:
        self._edges.setdefault(_key(parent), []).append(_key(child))

    def edges(self) -> set[Any]:
        """The results that something came from."""
        return {parent for parent, children in self._edges.items() if children}

    def valency_of(self, result: Any) -> int:
        """How many came from it, directly or not, and itself."""
        return 1 + sum(map(self.valency_of, self._edges[_key(result)]))

    def topsort(self) -> list[Any]:
        """Parents before what came from them."""
        order: list[Any] = []
        seen: set[Any] = set()
        for root in self._edges:
            self._visit(root, seen, order)
        return order[::-1]

    def _visit(self, node: Any, seen: set[Any], order: list[Any]) -> None:
        if node in seen:
            return
        seen.add(node)
        for child in self._edges.get(node, ()):
            self._visit(child, seen, order)
        order.append(node)

    def to_dot(self, file: TextIO) -> None:
        """Write it for Graphviz."""
        file.write("digraph dependencies {\n")
        for node, children in self._edges.items():
            file.write(f'  "{node}";\n')
            file.writelines(f'  "{node}" -> "{child}";\n' for child in children)
        file.write("}\n")

    def items(self) -> Any:
        return self._edges.items()

    def __getitem__(self, result: Any) -> list[Any]:
        return self._edges[_key(result)]

    def __contains__(self, result: Any) -> bool:
        return _key(result) in self._edges

    def __iter__(self) -> Iterator[Any]:
        return iter(self._edges)

    def __len__(self) -> int:
        return len(self._edges)

    def __repr__(self) -> str:
        return "\n".join(f"{node}: {', '.join(map(str, children))}" for node, children in self._edges.items())


def _key(result: Any) -> Any:
    """A group is no key, since it may change; its id is."""
    return result if getattr(type(result), "__hash__", None) is not None else result.id
