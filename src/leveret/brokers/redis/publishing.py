"""Postings on their way in: which scripts, with what."""

from collections.abc import Iterable, Sequence

from leveret.brokers.redis.kombu.exchanges import Exchanges
from leveret.errors import OperationalError, PublishFailed, PublishUnknown
from leveret.links.redis import envelope
from leveret.links.redis.conversation import Command
from leveret.links.redis.location import Location
from leveret.links.redis.names import LANE, Names, checked
from leveret.links.redis.refusals import Lost, Refusal
from leveret.links.redis.results.records import Keys
from leveret.links.redis.results.verbs import added, begun, opened
from leveret.links.redis.scripts import Call, Verb, good, run, run_together, script
from leveret.model.delivery import Posting

AT_ONCE = 250
"""Messages in one run of the script: Redis serves nobody else meanwhile (1 ms)."""

GROUP = "group"
"""Celery's header of the members of a group."""
WAIT_MILLISECONDS = 1000
"""Then it is sent again, for as long as the sender has time: perhaps to another master."""

LATE_SECONDS = 1.0
"""A master that answers a send so late may have stood still, and another one may have taken its place meanwhile: what
it confirms is lost when the sentinels tell it so, ten seconds later. They are asked who it is, and it is sent again."""

Values = list[str | bytes | int]
_PUBLISH = script("publish")


class Desk:
    """Turns postings into what `door.lua` reads. `results`: the keys where their outcomes stand. `replicas`: how many
    must have a message before it counts as sent."""

    def __init__(self, names: Names, results: Keys, exchanges: Exchanges, replicas: int = 0) -> None:
        self.names = names
        self._results, self._exchanges, self._replicas = results, exchanges, replicas
        self._fanouts = exchanges.fanouts
        self._queues: set[str] = set()
        """Queues that Redis has been told of by this process."""

    def publish(self, postings: Sequence[Posting], now: float) -> Verb[None]:
        """All of it is durable, as far as Redis is, when the verb has ended. Carried out again it adds nothing."""
        if not all(posting.queue for posting in postings):
            postings = yield from self._exchanges.route(postings)
        yield from self.introduce({posting.queue for posting in postings})
        yield from opened(self._results, begun(postings))
        parts = (postings[start : start + AT_ONCE] for start in range(0, len(postings), AT_ONCE))
        calls = (self._call(part, now) for part in parts)
        if len(postings) > AT_ONCE and GROUP in postings[0].encoded.headers:
            # The members of one group: whoever waits for all of them must not wait for some that were never sent.
            yield from run_together(_PUBLISH, calls)
        else:
            yield from run(_PUBLISH, calls)
        if self._replicas:
            # Since Redis 7.2 a connection waits for its own last write, and what was there already has written nothing.
            mark = ("SET", self.names.key("leveret:waited"), "", "EX", 60)
            answers = yield [mark, ("WAIT", self._replicas, WAIT_MILLISECONDS)]
            good(answers[0])
            if good(answers[1]) < self._replicas:
                raise Lost(f"only {answers[1]} of {self._replicas} replicas have it (wait_replicas)")

    def alone(self, postings: Sequence[Posting], now: float) -> Command | None:
        """The one command that publishes a plain call, as `publish` would; None where more is to be asked or told.
        Whatever it is refused for, `publish` is tried next: what has arrived is there once."""
        if len(postings) != 1 or self._replicas:
            return None
        posting = postings[0]
        queue = posting.queue
        if queue not in self._queues or posting.once or posting.not_before is not None:
            return None
        if posting.begins or posting.adds is not None:
            return None
        if posting.exchange and posting.exchange in self._fanouts:
            return None
        names = self.names
        wire = names.on_wire(posting.priority)
        raw, name = envelope.write(posting, wire, round(now, 3)), f"{posting.id}:{posting.attempt}:{queue}:1"
        return (
            "EVALSHA",
            _PUBLISH.sha1,
            0,
            names.prefix,
            name,
            "/" if posting.lane else "+",
            names.place(posting, wire),
            1,
            raw,
        )

    def late(self, location: Location, postings: Sequence[Posting], seconds: float) -> bool:
        """Whether a first confirmation that took so long is worth another one. Of many messages it takes long anyway; a
        replica has seen what it confirms."""
        watched = location.master_name is not None and not self._replicas
        return watched and seconds > LATE_SECONDS and len(postings) <= AT_ONCE

    def introduce(self, queues: Iterable[str]) -> Verb[None]:
        """Have Redis know the queues' names, for whoever asks for all of them."""
        new = [checked(queue) for queue in queues if queue not in self._queues]
        if new:
            answers = yield [("SADD", self.names.key("leveret:queues"), *new), *self._exchanges.bindings(new)]
            # Refused for want of memory: said again with the next message. Nobody finds a queue's work by this.
            full = [answer for answer in answers if type(answer) is Refusal and answer.code == "OOM"]
            for answer in answers if not full else ():
                good(answer)
            if not full:
                self._queues.update(new)

    def values(self, postings: Iterable[Posting], now: float) -> Values:
        """What `post` in `door.lua` reads."""
        out: Values = []
        raws: list[bytes] = []
        place: tuple[str, int, str] | None = None
        name, sent, fanouts = "", round(now, 3), self._fanouts
        forms = envelope.Forms(0, sent)
        for one in postings:
            if one.adds is not None:
                _close(out, name, raws)
                place = None
                out += ("^", *added(self._results, one.adds))
            if one.once or one.not_before is not None or one.exchange in fanouts:
                _close(out, name, raws)
                place = None
                out += self._guarded(one, sent)
                continue
            if place is None or (one.queue, one.priority, one.lane) != place:
                _close(out, name, raws)
                place, wire = (one.queue, one.priority, one.lane), self.names.on_wire(one.priority)
                name, forms = self.names.place(one, wire), envelope.Forms(wire, sent)
            raws.append(forms.write(one))
        _close(out, name, raws)
        return out

    def _guarded(self, posting: Posting, sent: float) -> Values:
        """A message that waits, that is stopped at the door, or that is for whoever listens."""
        wire = self.names.on_wire(posting.priority)
        due = "" if posting.not_before is None else repr(float(posting.not_before))
        raw = envelope.write(posting, wire, sent)
        if posting.exchange in self._fanouts:
            # At once, whatever its time: those who hear it keep it until then, as Celery's workers do.
            return ["!", self._exchanges.channel(posting.exchange, posting.routing_key), raw]
        out: Values = ["?", self.names.place(posting, wire), raw, due]
        if not posting.once:
            return [*out, "", 0, "", ""]
        name = posting.id
        return [*out, name, posting.attempt, self._results.document(name), self._results.facts(name)]

    def _call(self, postings: Sequence[Posting], now: float) -> Call:
        # Ids are fresh for each call, or stand at the door: one that does not names the call.
        plain = next((one for one in postings if not one.once), None)
        name = "" if plain is None else f"{plain.id}:{plain.attempt}:{plain.queue}:{len(postings)}"
        return [], [self.names.prefix, name, *self.values(postings, now)]


def _close(out: Values, name: str, raws: list[bytes]) -> None:
    """End a run of messages that go to one list."""
    if raws:
        out += ("/" if LANE in name else "+", name, len(raws), *raws)
        raws.clear()


def failure(
    error: OperationalError, postings: Sequence[Posting], *, sent: bool, unknown: bool = False
) -> PublishFailed | PublishUnknown:
    """What to say of a publish that ended so. `sent`: there was a connection; then what broke it came after some of it
    may have arrived, and so did a refusal of one part of many. `unknown`: an earlier try may have arrived."""
    if unknown or (sent and (isinstance(error, Lost) or len(postings) > AT_ONCE)):
        return PublishUnknown(f"{error}; sending the same again is safe")
    return PublishFailed(f"nothing was sent: {error}")
