"""What our things are called on a broker, and how a delay becomes a routing key. Pure."""

from leveret.errors import ImproperlyConfigured

PREFIX = "leveret"
LADDER_BITS = 28
"""As kombu's ladder (`kombu/transport/native_delayed_delivery.py`): level n keeps a message for 2 ** n seconds."""
LONGEST_DELAY = (1 << LADDER_BITS) - 1
DELIVERY_EXCHANGE = f"{PREFIX}_celery_delayed_delivery"
SHORT_BITS = 5
"""Of the ladder for delays below one second: level n keeps a message for 2 ** n steps."""
SHORT_STEP_MS = 32
LONGEST_SHORT = ((1 << SHORT_BITS) - 1) * SHORT_STEP_MS / 1000
SHORT_DELIVERY = f"{PREFIX}_delayed_ms_delivery"
UNROUTABLE = f"{PREFIX}.unroutable"
"""Exchange and queue for delayed messages whose queue is gone when they fall due."""
INDEX = f"{PREFIX}.queues"
"""A queue with one message for each queue of ours that has dead letters or may have: without the management plugin
nothing else lists them."""
DEAD_PREFIX = f"{PREFIX}.dead."
SUSPECT_PREFIX = f"{PREFIX}.suspect."
_WILD = frozenset("*#")


def level(number: int) -> str:
    """Exchange and queue of one rung."""
    return f"{PREFIX}_celery_delayed_{number}"


def rung(seconds: int) -> int:
    """The level at which a delay enters: its highest bit."""
    return seconds.bit_length() - 1


def delayed_key(steps: int, queue: str, bits: int = LADDER_BITS) -> str:
    """The routing key that carries a delay down a ladder of so many rungs, highest bit first, and then into the queue.
    A step is a second, or `SHORT_STEP_MS` on the short ladder."""
    return ".".join(f"{steps:0{bits}b}") + f".{queue}"


def arrival_key(queue: str, bits: int = LADDER_BITS) -> str:
    """The binding of a queue to a delivery exchange: exactly the bits before its name, since a name may have dots."""
    return "*." * bits + queue


def rung_keys(number: int, bits: int = LADDER_BITS) -> tuple[str, str]:
    """The bindings at one rung: of what waits here (its bit is 1), and of what goes straight to the next (0)."""
    higher = "*." * (bits - 1 - number)
    return f"{higher}1.#", f"{higher}0.#"


def short_level(number: int) -> str:
    """Exchange and queue of one rung of the short ladder."""
    return f"{PREFIX}_delayed_ms_{SHORT_STEP_MS << number}"


def arrives(queue: str) -> str:
    """What a connection notes when it has bound a queue where the ladder delivers."""
    return f"@{queue}"


def arrives_shortly(queue: str) -> str:
    """The same of the short ladder. Of "" it says that the ladder is there."""
    return f"\x00{queue}"


def dead(queue: str) -> str:
    return DEAD_PREFIX + queue


def suspects(queue: str) -> str:
    return SUSPECT_PREFIX + queue


def check_queue(name: str) -> str:
    """A name a queue can have, with room for our prefixes and a delay's 56 bytes in a short string of 255."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise ImproperlyConfigured(f"queue {name[:60]!r} is no text: {error.reason}") from error
    if not name or size > 190:
        raise ImproperlyConfigured(f"queue {name[:60]!r}: a name has 1 to 190 bytes on RabbitMQ, this one {size}")
    if name.startswith("amq."):
        raise ImproperlyConfigured(f"queue {name!r}: RabbitMQ keeps names that begin with amq. for itself")
    if not _WILD.isdisjoint(name.split(".")):
        raise ImproperlyConfigured(
            f"queue {name!r}: the words * and # between dots stand for other words where delayed messages arrive: it "
            "would get those of other queues"
        )
    return name
