"""Settlements whose answer was lost, and that are settled again: the fence then refuses them for their own outcome."""

from collections.abc import Iterable, Sequence

from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.scripts import Verb
from leveret.model.delivery import Receipt
from leveret.model.settlement import Commitment, Committed, Record, Stale

Answers = tuple[Committed | Stale, ...]


class Doubts:
    """Of one process. A refusal of what stands there as we would have written it is no refusal: it was done the first
    time, and whoever took the last seat of a join has to hear so."""

    def __init__(self, results: Verbs) -> None:
        self._results = results
        self._receipts: set[Receipt] = set()

    def __bool__(self) -> bool:
        return bool(self._receipts)

    def add(self, commitments: Iterable[Commitment]) -> None:
        self._receipts.update(commitment.receipt for commitment in commitments)

    def resolve(self, commitments: Sequence[Commitment], answers: Answers) -> Verb[Answers]:
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
                    resolved[place] = yield from self._done(commitments[place])
        self._receipts.difference_update([commitment.receipt for commitment in commitments])
        return tuple(resolved)

    def _done(self, commitment: Commitment) -> Verb[Committed]:
        if commitment.seat is None:
            return Committed()
        (joined,) = yield from self._results.arrive((commitment.seat,))
        return Committed(joined)


def _same(record: Record, there: Record | None) -> bool:
    return there is not None and (there.attempt, there.state, there.meta) == (record.attempt, record.state, record.meta)
