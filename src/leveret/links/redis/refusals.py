"""What Redis says when it will not, as our errors: who is to blame and what to do next."""

import re

from leveret.errors import OperationalError

_IN_A_SCRIPT = re.compile(r"ERR Error running script \(call to f_[0-9a-f]{40}\): (?:@\w+: ?\d+: )*-?(?=[A-Z]+ )")


class Refusal(Exception):
    """An error reply, as it came. A value until a verb needs the answer it stands in the place of."""

    def __init__(self, said: str) -> None:
        # Before Redis 7 what a command inside of a script was refused for stands behind where that was.
        super().__init__(_IN_A_SCRIPT.sub("", said, count=1))

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]


class Lost(OperationalError):
    """The connection broke or the server was silent for too long: what was under way is unknown."""


def explain(refusal: Refusal, shown: str) -> OperationalError:
    """Answer our error for one of Redis's; `Lost` for what another connection, or a little later, may bring."""
    said = str(refusal)
    advice = next((advice for sign, advice in _ADVICE.items() if said.startswith(sign)), "")
    kind = Lost if said.startswith(_PASSING) else OperationalError
    return kind(f"Redis at {shown} refused: {said}" + (f". {advice}" if advice else ""))


RIGHTS = (
    "+mget +get +set +del +exists +persist +evalsha +eval +publish +subscribe +unsubscribe +ping +select "
    "+sadd +sismember +zadd +zcard +zrange +rpush +llen +lrange"
)
BROKER_RIGHTS = (
    "+get +mget +set +del +exists +persist +pexpire +incr +incrby +time "
    "+hset +hsetnx +hget +hmget +hgetall +hlen +hkeys +hexists +hdel +hincrby +hscan "
    "+lpush +rpush +rpop +brpop +llen +lindex +lrange +sadd +srem +spop +smembers +sismember "
    "+zadd +zcard +zrem +zrange +zrangebyscore +zremrangebyscore +zrank +zscore +zmscore "
    "+eval +evalsha +publish +subscribe +unsubscribe +ping +select +info +client|tracking +client|caching"
)
"""Of a worker or a client with Redis as broker, results included; `docs/reference/redis-keys.md` says on which keys."""
LEDGER_RIGHTS = (
    "+expire +hset +hsetnx +hget +hgetall +hlen +hdel +hmget +hexists +srem +smembers "
    "+zrem +zscore +zrangebyscore +zremrangebyscore +time"
)
"""What ledger and outbox need besides, where another server is the broker."""
LIMIT_RIGHTS = "+zrank +spop +hincrby +hkeys +pexpire +lpush +rpop +lindex"
"""What limits need besides those, where another server is the broker."""
_CLUSTER = "It is a node of a Redis Cluster: results may be kept there (redis-cluster://), a queue may not"
_ADVICE = {
    "WRONGPASS": "The user or the password in the URL is wrong",
    "NOAUTH": "It wants a password: put it into the URL, like redis://:password@host",
    "NOPERM": f"Grant the user ~<prefix>celery-task* ~<prefix>leveret:* {RIGHTS} &* for results; as a broker it "
    "needs more: docs/reference/redis-keys has the line",
    "OOM": "Its maxmemory is reached: give it more, or let results expire sooner (result_expires)",
    "READONLY": "It is a replica now; the next attempt looks for the master",
    "MISCONF": "It cannot write its snapshot to disk",
    "NOREPLICAS": "Too few replicas follow it (min-replicas-to-write)",
    "LOADING": "It reads its data from disk and will answer soon",
    "MOVED": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "CLUSTERDOWN": "Not all of its slots are served; it waits until they are",
    "ERR This instance has cluster support disabled": "Use redis:// for it",
    "ERR unknown command": "It is too old: Redis 6.0 or newer is needed",
    "NOPROTO": "It does not speak RESP 3: Redis 6.0 or newer is needed",
    "ERR DB index": "It has no such database: see the number at the end of the URL",
    "ERR max number of clients": "Raise its maxclients, or use fewer processes",
}

BROKEN_BY = frozenset(("READONLY", "MASTERDOWN", "LOADING"))
"""After these a new connection may find a better server."""
_PASSING = (*BROKEN_BY, "ERR max number of clients", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS")
