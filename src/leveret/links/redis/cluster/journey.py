"""How commands find their nodes, without I/O: which node is asked what, and what its answers mean.

A journey yields legs, each a node and its commands, and is sent what came of each: answers, or the `Lost` that broke
it. A number in the place of legs is a pause, in seconds. Each command is about the keys of one slot.
"""

from collections.abc import Generator, Sequence
from typing import Any

from leveret.links.redis.cluster.slots import Atlas, redirected, slot_of
from leveret.links.redis.conversation import Command
from leveret.links.redis.location import Endpoint
from leveret.links.redis.refusals import Lost, Refusal

Leg = tuple[Endpoint, list[Command]]
Journey = Generator[list[Leg] | float, list[list[Any] | Lost], list[Any]]
ATTEMPTS = 8
"""Redirections that are followed at once. Further ones are those of nodes that send to one another, which ends when the
news of a move has reached both."""
PAUSE_SECONDS, PAUSES = 0.05, 60
"""A task has two keys, and one of them may be missing: while its slot is on its way from one node to another neither of
them answers for both (`TRYAGAIN`). Most moves are over in milliseconds."""


def travel(atlas: Atlas, commands: Sequence[Command]) -> Journey:
    """Answer the answers, in the order of the commands; a redirection that does not end is its command's answer."""
    answers: list[Any] = [None] * len(commands)
    slots = [slot_of(_key(command)) for command in commands]
    places, asked = list(range(len(commands))), dict[int, Endpoint]()
    moved: dict[int, Endpoint] = {}
    attempts, pauses = ATTEMPTS, PAUSES
    while pauses:
        if atlas.stale:
            yield from _survey(atlas)
            # News of a move spread slowly: who was asked for all slots may not have heard of it yet.
            atlas.note(moved)
        legs: dict[Endpoint, list[int]] = {}
        for place in places:
            legs.setdefault(asked.get(place) or _owner(atlas, slots[place]), []).append(place)
        found = yield [(node, _wording(commands, there, asked)) for node, there in legs.items()]
        places, pause, again = [], False, dict[int, Endpoint]()
        for (node, there), told in zip(legs.items(), found, strict=True):
            if isinstance(told, Lost):
                # Its replica may be the master by now.
                atlas.stale = True
                raise told
            for place, answer in zip(there, _behind_asking(told, there, asked), strict=True):
                answers[place] = answer
                code = answer.code if type(answer) is Refusal else ""
                if code == "MOVED":
                    slot, owner = redirected(str(answer), node)
                    moved[slot], atlas.stale = owner, True
                elif code == "ASK":
                    again[place] = redirected(str(answer), node)[1]
                elif code == "TRYAGAIN":
                    pause = True
                elif code == "CLUSTERDOWN":
                    atlas.stale = True
                if code in ("MOVED", "ASK", "TRYAGAIN"):
                    places.append(place)
        asked = again
        if not places:
            break
        if pause or not attempts:
            pauses -= 1
            yield PAUSE_SECONDS
        else:
            attempts -= 1
    return answers


def _survey(atlas: Atlas) -> Generator[list[Leg] | float, list[list[Any] | Lost], None]:
    """Ask for the slots, one node after the other until one knows; what was learnt of single slots before is kept."""
    failures: list[str] = []
    for node in atlas.guides:
        (told,) = yield [(node, [("CLUSTER", "SLOTS")])]
        answer = told if isinstance(told, Lost) else told[0]
        if isinstance(answer, Refusal) and answer.code == "ERR":
            raise answer
        if not isinstance(answer, Lost | Refusal) and answer:
            atlas.learn(answer, node)
            return
        failures.append(str(answer) if answer else f"{node} knows no slots")
    raise Lost("; ".join(failures))


def _owner(atlas: Atlas, slot: int) -> Endpoint:
    node = atlas.owner(slot)
    if node is None:
        atlas.stale = True
        raise Lost(f"no node of the Redis Cluster serves slot {slot}")
    return node


def _key(command: Command) -> str:
    """The first key of a command; the others are in its slot."""
    place = 3 if command[0] in ("EVALSHA", "EVAL") else 1
    return str(command[place])


def _wording(commands: Sequence[Command], places: Sequence[int], asked: dict[int, Endpoint]) -> list[Command]:
    """What to say at a node: whom an `ASK` has sent there says so first."""
    words: list[Command] = []
    for place in places:
        if place in asked:
            words.append(("ASKING",))
        words.append(commands[place])
    return words


def _behind_asking(told: Sequence[Any], places: Sequence[int], asked: dict[int, Endpoint]) -> list[Any]:
    answers = iter(told)
    kept = []
    for place in places:
        if place in asked:
            next(answers)
        kept.append(next(answers))
    return kept
