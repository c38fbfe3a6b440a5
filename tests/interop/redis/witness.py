"""What Redis itself saw of each message (`MONITOR`): who has it, from the command on that gave it to them."""

import re
import socket
import threading
from collections import Counter
from enum import Enum

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Holder(Enum):
    """Where a message is. What a Celery worker has popped and not yet recorded is WAITING, as far as Redis knows."""

    WAITING = "waiting"
    OURS = "ours"
    CELERYS = "celery's"
    ENDED = "ended"


class Witness:
    """Reads on a thread of its own, from `with` on. `holders` is for after it: by id, as of the last command."""

    def __init__(self, port: int) -> None:
        self.holders: dict[str, Holder] = {}
        self.ours: set[str] = set()
        """Ids that our claim script has ever handed over."""
        self.taken_away: Counter[str] = Counter()
        """Ids that a Celery worker recorded, or that came back to a list, while one of our sessions held them."""
        self._held: dict[tuple[str, str], str] = {}
        self._unacked: dict[str, str] = {}
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Witness":
        self._socket.sendall(b"MONITOR\r\n")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # What was written before this is heard: the last line is this connection's end.
        self._socket.shutdown(socket.SHUT_WR)
        self._thread.join(30)
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._hear(line)

    def _hear(self, line: str) -> None:
        _, _, command = line.partition("] ")
        words = _QUOTED.findall(command)
        match words[:2]:
            case ["HSET", key] if key.startswith("leveret:held:"):
                for field, raw in zip(words[2::2], words[3::2], strict=True):
                    self._claimed(key, field, raw)
            case ["HDEL", key] if key.startswith("leveret:held:"):
                for field in words[2:]:
                    self._end(self._held.pop((key, field), None))
            case ["DEL", key] if key.startswith("leveret:held:"):
                for place in [place for place in self._held if place[0] == key]:
                    self._end(self._held.pop(place))
            case ["HSET", "unacked"]:
                self._recorded(words[2], words[3])
            case ["HDEL", "unacked"]:
                self._end(self._unacked.pop(words[2], None))
            case ["LPUSH" | "RPUSH", _]:
                for raw in words[2:]:
                    self._pushed(raw)

    def _claimed(self, key: str, field: str, raw: str) -> None:
        found = _ID.search(raw)
        if found:
            self._held[key, field] = found[0]
            self.ours.add(found[0])
            self.holders[found[0]] = Holder.OURS

    def _recorded(self, tag: str, raw: str) -> None:
        found = _ID.search(raw)
        if found:
            self._check(found[0])
            self._unacked[tag] = found[0]
            self.holders[found[0]] = Holder.CELERYS

    def _pushed(self, raw: str) -> None:
        found = _ID.search(raw)
        if found:
            self._check(found[0])
            self.holders[found[0]] = Holder.WAITING

    def _check(self, name: str) -> None:
        if self.holders.get(name) is Holder.OURS:
            self.taken_away[name] += 1

    def _end(self, name: str | None) -> None:
        if name is not None:
            self.holders[name] = Holder.ENDED
