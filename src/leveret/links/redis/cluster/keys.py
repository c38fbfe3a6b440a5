"""Names of keys of which each task's two are in one slot, whatever its id."""

from collections.abc import Sequence
from functools import cache
from itertools import count

from leveret.errors import ImproperlyConfigured
from leveret.links.redis.cluster.slots import SLOTS, slot_of
from leveret.links.redis.results.records import Keys


class ClusterKeys(Keys):
    """As on a lone Redis, but for facts of ids with a brace in them, which Redis would take for a slot's name."""

    __slots__ = ()

    def __init__(self, prefix: str) -> None:
        if slot_of(f"{prefix}a") != slot_of(f"{prefix}b") and "{" in prefix:
            raise ImproperlyConfigured(f"global_keyprefix {prefix!r}: in a Redis Cluster a brace in it must be closed")
        super().__init__(prefix)

    def facts(self, id: str) -> str:
        usual, document = super().facts(id), self.document(id)
        if "}" not in id or slot_of(usual) == slot_of(document):
            return usual
        return f"{self.prefix}leveret:{{{_names()[slot_of(document)]}}}{document}"

    def pairs(self, ids: Sequence[str]) -> list[str]:
        return [key for name in ids for key in (self.document(name), self.facts(name))]


@cache
def _names() -> dict[int, int]:
    """For each slot a number that hashes to it."""
    names: dict[int, int] = {}
    for number in count():
        names.setdefault(slot_of(str(number)), number)
        if len(names) == SLOTS:
            return names
    raise AssertionError("numbers do not end")
