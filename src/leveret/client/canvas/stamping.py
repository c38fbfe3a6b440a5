"""Stamps: values that a call and what follows it carry as headers of their own (`stamped_headers`, `stamps`).

As in Celery 5.7 (`celery/canvas.py`): a stamp is an option of a signature, and the names of those options that are
stamps stand in its option `stamped_headers`. A visitor decides which stamp each part of a composition gets.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

NAMES = "stamped_headers"
Stamps = dict[str, Any]


class StampingVisitor(ABC):
    """Override what is to be stamped. Each method answers stamps for what it is shown, beside `headers`, which it has.

    An answer may have `stamped_headers`: then only the options named there are stamps.
    """

    @abstractmethod
    def on_signature(self, sig: Any, **headers: Any) -> Stamps: ...

    def on_group_start(self, group: Any, **headers: Any) -> Stamps:
        return {}

    def on_group_end(self, group: Any, **headers: Any) -> None:
        return None

    def on_chain_start(self, chain: Any, **headers: Any) -> Stamps:
        return {}

    def on_chain_end(self, chain: Any, **headers: Any) -> None:
        return None

    def on_chord_header_start(self, sig: Any, **header: Any) -> Stamps:
        """The header is a group."""
        return self.on_group_start(sig.header, **header)

    def on_chord_header_end(self, sig: Any, **header: Any) -> None:
        self.on_group_end(sig.header, **header)

    def on_chord_body(self, sig: Any, **header: Any) -> Stamps:
        return {}

    def on_callback(self, callback: Any, **header: Any) -> Stamps:
        return {}

    def on_errback(self, errback: Any, **header: Any) -> Stamps:
        return {}


def collect(headers: Stamps, visited: Stamps | None, options: Mapping[str, Any], *, append: bool) -> Stamps:
    """The stamps of one part: what comes from above, what its visitor says, what it has. Of two of one name the first
    counts, or with `append` all of them, as a list."""
    found = {name: deepcopy(value) for name, value in headers.items()}
    found.setdefault(NAMES, list(headers))
    if visited is not None:
        said = {**visited}
        said.setdefault(NAMES, list(visited))
        _merge(found, said, append=append)
    names = list(dict.fromkeys([*found[NAMES], *(options.get(NAMES) or ())]))
    found[NAMES] = names
    _merge(found, {name: options[name] for name in names if name in options}, append=append)
    found[NAMES] = list(dict.fromkeys(found[NAMES]))
    return found


def _merge(into: Stamps, more: Mapping[str, Any], *, append: bool) -> None:
    for name, value in more.items():
        have = into.get(name)
        if name not in into:
            into[name] = deepcopy(value)
        elif isinstance(have, dict) and isinstance(value, Mapping):
            _merge(have, value, append=append)
        elif isinstance(have, list) and isinstance(value, list):
            have.extend(value)
        elif append:
            kept = [] if have is None else list(have) if isinstance(have, list | tuple | set) else [have]
            whole = isinstance(value, list) and not isinstance(have, tuple | set | None)
            into[name] = [*kept, *value] if whole else [*kept, value]


def stamp_links(signature: Any, visitor: StampingVisitor | None, append: bool, headers: Stamps) -> None:
    """Stamp what is hung on a signature; not with the signature's own stamps."""
    asked = {"link": visitor and visitor.on_callback, "link_error": visitor and visitor.on_errback}
    for option, ask in asked.items():
        hung = signature.options.get(option)
        if not hung:
            continue
        links = [signature.read(link) for link in ([hung] if isinstance(hung, Mapping) else hung)]
        for link in links:
            given = collect(headers, (ask(link, **headers) or {}) if ask else None, {}, append=append)
            link.stamp(visitor, append, **given)
        signature.options[option] = links
