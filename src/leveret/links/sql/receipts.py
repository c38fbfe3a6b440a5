"""Receipts: place in the queue, session, number of the claim, and whether a door stands for the message."""

from typing import NamedTuple

from leveret.model.delivery import Receipt


class Ticket(NamedTuple):
    """What a receipt says. (seq, session, number) fences: the next hand-over of the message has another one."""

    seq: int
    session: int
    number: int
    once: int

    @property
    def hold(self) -> tuple[int, int, int]:
        return (self.seq, self.session, self.number)


NOBODY = Ticket(-1, -1, -1, 0)
"""What a receipt of another broker reads as: nothing holds it."""


def write_receipt(seq: int, session: int, number: int, once: int) -> Receipt:
    return Receipt(f"{seq}:{session}:{number}:{once}")


def read_receipt(receipt: Receipt) -> Ticket:
    try:
        seq, session, number, once = receipt.split(":")
        return Ticket(int(seq), int(session), int(number), int(once))
    except ValueError:
        return NOBODY
