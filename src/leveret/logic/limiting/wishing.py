"""A sender's word about its unique keys, written into the book."""

from leveret.logic.limiting import unique
from leveret.logic.limiting.book import Book
from leveret.logic.limiting.entering import UNIQUE
from leveret.logic.limiting.states import KeyState
from leveret.model.limiting.gate import Grant, Wish


def wish(book: Book, wished: Wish, pending_seconds: float, now: float) -> Grant:
    state = book.state(UNIQUE, wished.key, KeyState)
    grant, after = unique.wish(state, wished, pending_seconds, book.alive, now)
    book.put(UNIQUE, wished.key, after)
    return grant


def sent(book: Book, wished: Wish, now: float) -> None:
    book.put(UNIQUE, wished.key, unique.sent(book.state(UNIQUE, wished.key, KeyState), wished, now))


def unsent(book: Book, wished: Wish) -> None:
    book.put(UNIQUE, wished.key, unique.unsent(book.state(UNIQUE, wished.key, KeyState), wished))
