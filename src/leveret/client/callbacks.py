"""What may be hung on a signature: callbacks for its value, error callbacks for its failure; and stamps on it all."""

from collections.abc import Mapping
from typing import Any, Self

from leveret.client.canvas.stamping import StampingVisitor, collect, stamp_links


class Callbacks(dict[str, Any]):
    """The half of `Signature` that keeps what it is told: `link`, `link_error`, stamps."""

    @property
    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.setdefault("options", {})
        return options

    def __json__(self) -> dict[str, Any]:
        """What Celery's JSON encoder asks for."""
        return dict(self)

    def set_immutable(self, immutable: bool) -> None:
        self["immutable"] = immutable

    def link(self, callback: Any) -> Any:
        """Have `callback` called with the value; answers it, so that links can be strung."""
        return self.append_to_list_option("link", callback)

    def link_error(self, errback: Any) -> Any:
        """Have `errback` called when the task fails for good."""
        return self.append_to_list_option("link_error", errback)

    def on_error(self, errback: Any) -> Self:
        """As `link_error`, answering itself."""
        self.link_error(errback)
        return self

    def append_to_list_option(self, key: str, signature: Any) -> Any:
        hung = self.options.get(key) or []
        hung = list(hung) if isinstance(hung, list | tuple) else [hung]
        if signature not in hung:
            hung.append(signature)
        self.options[key] = hung
        return signature

    def flatten_links(self) -> list[Any]:
        """Itself, what is linked to it, what is linked to that."""
        hung = self.options.get("link") or ()
        links = [hung] if isinstance(hung, Mapping) else hung
        return [self, *(one for link in links for one in self.read(link).flatten_links())]

    def stamp(self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any) -> Any:
        """Have it, and what is linked to it, carry headers of their own: those given, and those a visitor says."""
        stamp_links(self, visitor, append_stamps, headers)
        visited = None if visitor is None else visitor.on_signature(self, **headers) or {}
        self.options.update(collect(headers, visited, self.options, append=append_stamps))
        return self

    def stamp_links(self, visitor: StampingVisitor | None, append_stamps: bool = False, **headers: Any) -> None:
        """Stamp only what is linked to it."""
        stamp_links(self, visitor, append_stamps, headers)

    def read(self, written: Any) -> Any:
        """Read a signature that is kept in this one."""
        raise NotImplementedError
