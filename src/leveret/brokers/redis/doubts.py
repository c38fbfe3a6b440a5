"""Settlements whose answer was lost, and that are settled again: the fence then refuses them for their own outcome."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from leveret.brokers.redis.endings import Endings
from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.scripts import Verb
from leveret.model.delivery import Receipt
from leveret.model.settlement import Commitment, Committed, Record, Stale

Answers = tuple[Committed | Stale, ...]


class Doubts:
    """Of one process. A refusal of what stands there as we would have written it is no refusal: it was done the first
    time, or as much of it as that; whoever took the last seat of a join goes on from there, and hears so."""

    def __init__(self, results: Verbs, endings: Endings) -> None:
        self._results, self._endings = results, endings
        self._receipts: set[Receipt] = set()

    def __bool__(self) -> bool:
        return bool(self._receipts)

    def add(self, commitments: Iterable[Commitment]) -> None:
        self._receipts.update(commitment.receipt for commitment in commitments)

    def resolve(
        self, commitments: Sequence[Commitment], answers: Answers, raws: Mapping[Receipt, bytes], now: float
    ) -> Verb[Answers]:
        doubtful = {
            place: commitment.record
            for place, (commitment, answer) in enumerate(zip(commitments, answers, strict=True))
            if isinstance(answer, Stale) and commitment.receipt in self._receipts and commitment.record is not None
        }
        resolved = list(answers)
        if doubtful:
            found = yield from self._results.get([record.id for record in doubtful.values()])
            for (place, record), there in zip(doubtful.items(), found, strict=True):
                if _same(record, there):
                    resolved[place] = yield from self._go_on(commitments[place], raws, now)
        self._receipts.difference_update([commitment.receipt for commitment in commitments])
        return tuple(resolved)

    def _go_on(self, commitment: Commitment, raws: Mapping[Receipt, bytes], now: float) -> Verb[Committed]:
        if commitment.seat is None and not commitment.also:
            return Committed()
        (answer,) = yield from self._endings.commit((replace(commitment, record=None),), raws, now)
        if isinstance(answer, Committed):
            return answer
        if commitment.seat is None:
            return Committed()
        (joined,) = yield from self._results.arrive((commitment.seat,))
        return Committed(joined)


def _same(record: Record, there: Record | None) -> bool:
    return there is not None and (there.attempt, there.state, there.meta) == (record.attempt, record.state, record.meta)
