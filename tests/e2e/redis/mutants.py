"""What is broken on purpose to prove that the drills on Redis see it; see tests/e2e/mutants.py."""

from collections.abc import Callable
from itertools import count
from typing import Any

from msgspec.structs import replace

from leveret.brokers.redis import claims, reaping
from leveret.brokers.redis.publishing import Desk
from leveret.links.redis import dial, scripts
from leveret.links.redis.location import Location
from leveret.worker import persist
from leveret.worker.consumer import Consumer

Patch = Callable[[Any, str, Any], None]


def _rewrite(patch: Patch, *changes: tuple[str, str]) -> None:
    """Change what scripts say; each change must be found in one of them."""
    right = scripts._read
    texts = [right(name) for name in ("beat", "claim", "commit", "publish")]
    assert all(any(old in text for text in texts) for old, _ in changes), "the scripts have changed"

    def wrong(name: str) -> str:
        text = right(name)
        for old, new in changes:
            text = text.replace(old, new)
        return text

    patch(scripts, "_read", wrong)
    scripts.script.cache_clear()


def nameless(patch: Patch) -> None:
    """A send that is sent again is another send."""
    right = Desk._call

    def wrong(self: Desk, *arguments: Any) -> Any:
        keys, values = right(self, *arguments)
        values[1] = ""
        return keys, values

    patch(Desk, "_call", wrong)


def amnesiac(patch: Patch) -> None:
    """A claim without an answer is another claim, and nobody asks what became of the first."""
    right, numbers = claims.claim, count()

    def wrong(names: Any, request: Any, **options: Any) -> Any:
        return right(names, replace(request, number=next(numbers)), **options)

    async def nothing(self: Consumer) -> None:
        return None

    patch(claims, "claim", wrong)
    patch(Consumer, "reconcile", nothing)


def patient(patch: Patch) -> None:
    """Nobody ends a node that was lost."""

    def nothing(*_: Any) -> Any:
        yield from ()
        return 0

    patch(reaping, "lose_node", nothing)


def unfenced(patch: Patch) -> None:
    """Whoever settles is believed."""
    _rewrite(
        patch,
        ("if redis.call(verb, held, field) == 0 then return 3 end", "redis.call(verb, held, field)"),
        ("if answer ~= 1 then return answer end", ""),
    )


def hasty(patch: Patch) -> None:
    """A lease that ran out has run out, whatever kept its node from renewing it."""
    _rewrite(patch, ("then reap_from = now() + tonumber(lease) end", "then reap_from = 0 end"))


def loyal(patch: Patch) -> None:
    """The sentinels are asked once."""
    right, known = dial.route, []

    def wrong(location: Location) -> Any:
        if location.master_name is not None and known:
            yield from dial._serving(location, known[0])
            return
        path = right(location)
        call = next(path)
        while True:
            known[:] = [call.endpoint]
            try:
                answers = yield call
            except GeneratorExit:
                raise
            except Exception as error:
                call = path.throw(error)
            else:
                try:
                    call = path.send(answers)
                except StopIteration:
                    return

    for module in ("blocking", "loop"):
        patch(__import__(f"leveret.links.redis.{module}", fromlist=["route"]), "route", wrong)


def greedy(patch: Patch) -> None:
    """A settlement begins with what takes memory."""
    _rewrite(
        patch, ("local answers = {}\nlocal asked", "redis.call('SET', P .. 'x', 'y')\nlocal answers = {}\nlocal asked")
    )


def stuck(patch: Patch) -> None:
    """Who has lost Redis once does not ask again."""
    patch(persist, "reconnect_delay", lambda failures, jitter: 3600.0)


REDIS: dict[str, Callable[[Patch], None]] = {
    f"redis-{mutant.__name__}": mutant
    for mutant in (nameless, amnesiac, patient, unfenced, hasty, loyal, greedy, stuck)
}
