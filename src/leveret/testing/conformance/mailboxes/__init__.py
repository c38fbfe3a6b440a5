"""The suite every mailbox must pass (`ports.operations.mailbox`).

    from leveret.testing.conformance.mailboxes import *

    @pytest.fixture
    def mailbox_factory(tmp_path):
        return lambda options, clock: MyDriver(Url(f"my://{tmp_path}/x"), options, clock)

Each call of the factory is another process of the same server.
"""

from leveret.testing.conformance.mailboxes.cases import TestMailboxes

__all__ = ["TestMailboxes"]
