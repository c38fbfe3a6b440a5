"""How a case becomes a test: on a loop of its own, on a fresh server, if the driver has what it needs."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, overload

import pytest

from leveret.model.options import DriverOptions
from leveret.testing.conformance.fleet import OPTIONS, DriverFactory
from leveret.testing.conformance.needs import Need, Trait, why_not
from leveret.testing.conformance.rig import Rig

Needs = Need | tuple[Need, ...]
Case = Callable[[Any, Rig], Awaitable[None]]
Test = Callable[[Any, DriverFactory], None]


@overload
def case(function: Case, /) -> Test: ...


@overload
def case(*, needs: Needs = (), options: DriverOptions = OPTIONS) -> Callable[[Case], Test]: ...


def case(function: Case | None = None, /, *, needs: Needs = (), options: DriverOptions = OPTIONS) -> Any:
    """Turn `async def test_x(self, rig)` into a test. `needs` adds to what its class needs (`needs`; a broker, where
    the class does not say); where the driver lacks any of it, the test is skipped with the reason."""
    if function is None:
        return lambda function: _test(function, needs, options)
    return _test(function, needs, options)


def needs_of(cls: type, test: Any) -> tuple[Need, ...]:
    """All that a case of the class needs."""
    return (*getattr(cls, "needs", (Trait.BROKER,)), *test.needs)


def _test(function: Case, needs: Needs, options: DriverOptions) -> Test:
    def test(self: Any, driver_factory: DriverFactory) -> None:
        bound = functools.partial(function, self)
        reason = asyncio.run(_run(bound, needs_of(type(self), test), driver_factory, options))
        if reason:
            pytest.skip(reason)

    functools.update_wrapper(test, function)
    del test.__wrapped__  # type: ignore[attr-defined] # pytest would look through it and ask for a fixture `rig`
    test.needs = needs if isinstance(needs, tuple) else (needs,)  # type: ignore[attr-defined] # read by `needs_of`
    return test


async def _run(
    function: Callable[[Rig], Awaitable[None]], needs: tuple[Need, ...], factory: DriverFactory, options: DriverOptions
) -> str | None:
    """Answer why it was not run."""
    rig: Rig = getattr(factory, "rig", Rig)(factory, options)
    try:
        for need in needs:
            if not rig.has(need):
                return why_not(need)
        await asyncio.wait_for(function(rig), rig.pace.limit)
    finally:
        await rig.close()
    return None
