"""How a server is looked at for settings that will hurt."""

from typing import Protocol

from leveret.model.insight.finding import Finding, Needs


class Examined(Protocol):
    """Declared by a driver whose server can be asked what it is set to. Nothing is changed."""

    async def examine(self, needs: Needs) -> tuple[Finding, ...]:
        """What was found; nothing on a healthy server. Raises `BrokerError` where it cannot be reached."""
        ...
