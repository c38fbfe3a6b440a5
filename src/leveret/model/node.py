"""Who is alive: nodes hold a lease, their worker processes hold sessions."""

from msgspec import Struct

from leveret.model.delivery import Charge, Receipt, SessionId


class Node(Struct, frozen=True, kw_only=True):
    """One `leveret worker`. `incarnation` differs each start; `boot` and `pid` tell a predecessor that is gone."""

    name: str
    incarnation: str
    boot: str
    pid: int
    queues: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    slots: int = 0
    pool: str = ""
    started: float = 0.0
    version: str = ""
    """Of Leveret, where it tells."""


class Session(Struct, frozen=True, kw_only=True):
    """One worker process of a node."""

    id: SessionId
    node: str
    incarnation: str
    pid: int
    quarantine: bool = False
    """One slot, suspects only, one at a time: whatever it held when it vanished is convicted."""


class Running(Struct, frozen=True, kw_only=True):
    """What a slot page says was running when its process died."""

    id: str
    receipt: Receipt
    attempt: int
    started: float
    deadline: float | None = None
    """Unix time of the hard time limit: the process itself concludes it, its supervisor kills a little later."""


class Reaping(Struct, frozen=True, kw_only=True):
    """The end of one session, told by its supervisor: who is charged; the rest goes back.

    `suspect_others`: the page could not tell who ran (several slots in the process, or a torn record), so
    everything the session held becomes suspect, uncharged.
    """

    session: SessionId
    charged: tuple[tuple[Receipt, Charge], ...] = ()
    suspect_others: bool = False
    suspects: tuple[Receipt, ...] = ()
    """With `suspect_others`: what the page says was running, for brokers that do not know what a session held."""


class Pulse(Struct, frozen=True, kw_only=True):
    """Answer to a node's `beat`."""

    suspects: int = 0
    """Suspects waiting on this node's queues: the supervisor starts its quarantine child."""
    revived: bool = False
    """The lease had been reaped: sessions must register anew."""
    reaped: int = 0
    """Messages that went back to their queues because their node was lost."""
    next_loss: float | None = None
    """Seconds until another node's lease runs out, unless it is renewed: who beats then finds out at once."""


class Testimony(Struct, frozen=True, kw_only=True):
    """What a supervisor knows of one message from its worker processes' deaths."""

    id: str
    charges: tuple[Charge, ...] = ()
    suspect: bool = False
    """It was in a process that died, and nobody could tell which of several was to blame."""
    held_by: str = ""
    """The session in which it still runs, though the broker hands it over again."""
