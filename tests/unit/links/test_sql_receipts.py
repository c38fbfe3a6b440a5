import pytest

from leveret.links.sql.receipts import NOBODY, Ticket, read_receipt, write_receipt


def test_a_receipt_reads_as_it_was_written():
    assert read_receipt(write_receipt(12, 3, 45, 1)) == Ticket(12, 3, 45, 1)


@pytest.mark.parametrize("text", ["", "7", "1:2:3", "a:b:c:d", "1:2:3:4:5", "session/7"])
def test_a_receipt_of_another_broker_is_held_by_nobody(text):
    assert read_receipt(text) == NOBODY
