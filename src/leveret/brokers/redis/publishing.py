"""Postings on their way in: which scripts, with what."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from leveret.links.redis import envelope
from leveret.links.redis.names import Names, checked
from leveret.links.redis.refusals import Lost
from leveret.links.redis.results.records import Keys
from leveret.links.redis.scripts import Call, Verb, good, run, script
from leveret.model.delivery import Posting

AT_ONCE = 250
"""Messages in one run of the script: Redis serves nobody else meanwhile (1 ms)."""

WAIT_MILLISECONDS = 1000
"""Then it is sent again, for as long as the sender has time: perhaps to another master."""

Values = list[str | bytes | int]


class Desk:
    """Turns postings into what `door.lua` reads. `results`: the keys where their outcomes stand. `replicas`: how many
    must have a message before it counts as sent."""

    def __init__(self, names: Names, results: Keys, replicas: int = 0) -> None:
        self.names = names
        self._results = results
        self._replicas = replicas
        self._queues: set[str] = set()
        """Queues that Redis has been told of by this process."""

    def publish(self, postings: Sequence[Posting], now: float) -> Verb[None]:
        """All of it is durable, as far as Redis is, when the verb has ended. Carried out again it adds nothing."""
        calls = [self._call(postings[start : start + AT_ONCE], now) for start in range(0, len(postings), AT_ONCE)]
        yield from self.introduce({posting.queue for posting in postings})
        yield from run(script("publish"), calls)
        if self._replicas:
            answers = yield [("WAIT", self._replicas, WAIT_MILLISECONDS)]
            if good(answers[0]) < self._replicas:
                raise Lost(f"only {answers[0]} of {self._replicas} replicas have it (wait_replicas)")

    def introduce(self, queues: Iterable[str]) -> Verb[None]:
        """Have Redis know the queues' names, for whoever asks for all of them."""
        new = [checked(queue) for queue in queues if queue not in self._queues]
        if new:
            answers = yield [("SADD", self.names.key("leveret:queues"), *new)]
            # Refused (a full memory): said again with the next message. Nobody finds a queue's work by this set.
            if type(answers[0]) is int:
                self._queues.update(new)

    def values(self, postings: Iterable[Posting], now: float) -> Values:
        """What `post` in `door.lua` reads."""
        out: Values = []
        for plain, group in groupby(postings, self._plain_list):
            if plain:
                raws = [envelope.write(one, plain, self._wire(one), now) for one in group]
                out += ("+", plain, len(raws), *raws)
            else:
                for one in group:
                    out += self._guarded(one, now)
        return out

    def _plain_list(self, posting: Posting) -> str:
        """The list of a message that neither waits nor is stopped at the door; else nothing."""
        if posting.once or posting.not_before is not None:
            return ""
        return self.names.list(posting.queue, self._wire(posting))

    def _guarded(self, posting: Posting, now: float) -> Values:
        wire = self._wire(posting)
        target = self.names.list(posting.queue, wire)
        due = "" if posting.not_before is None else repr(float(posting.not_before))
        out: Values = ["?", target, envelope.write(posting, target, wire, now), due]
        if posting.once:
            return [
                *out,
                posting.id,
                posting.attempt,
                self._results.document(posting.id),
                self._results.facts(posting.id),
            ]
        return [*out, "", 0, "", ""]

    def _wire(self, posting: Posting) -> int:
        return self.names.on_wire(posting.priority)

    def _call(self, postings: Sequence[Posting], now: float) -> Call:
        # Ids are fresh for each call, or stand at the door: one that does not names the call.
        plain = next((one for one in postings if not one.once), None)
        name = "" if plain is None else f"{plain.id}:{plain.attempt}:{plain.queue}:{len(postings)}"
        return [], [self.names.prefix, name, *self.values(postings, now)]
