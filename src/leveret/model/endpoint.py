"""Addresses with passwords in them: one type, always printed masked."""

import re

# Up to the last @: who forgot to write /, @ or # of a password as %2F, %40 or %23 must not find it in a log.
_PASSWORD = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]*://)(?P<user>[^:@/;]*):(?P<password>[^;]*)@", re.IGNORECASE)


class Url(str):
    """A broker or store URL. `str()` of it connects; `repr` and `masked` never show the password."""

    __slots__ = ()

    @property
    def masked(self) -> str:
        return _PASSWORD.sub(lambda match: f"{match['scheme']}{match['user']}:**@", str(self))

    @property
    def scheme(self) -> str:
        return self.partition(":")[0]

    def __repr__(self) -> str:
        return f"Url({self.masked!r})"

    def __format__(self, spec: str) -> str:
        return format(self.masked, spec)
