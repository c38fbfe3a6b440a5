from leveret.brokers.amqp.testimony import MOST, Book, merged
from leveret.model.delivery import Charge
from leveret.model.node import Testimony as Told  # pytest would take it for a test

ONE, TWO = Charge(reason="signal 9", at=1.0, session="a"), Charge(reason="oom", at=2.0, session="b")


def test_an_empty_book_knows_nothing() -> None:
    book = Book()

    assert not book
    assert (book.about("1"), book.all(), book.held_by("a"), book.has_suspects) == (None, (), (), False)


def test_charges_add_up_and_the_same_death_counts_once() -> None:
    book = Book()

    book.add((Told(id="1", charges=(ONE,)),))
    book.add((Told(id="1", charges=(ONE, TWO)), Told(id="2", charges=(TWO,))))

    told = book.about("1")
    assert book and told is not None and told.charges == (ONE, TWO)
    assert merged((ONE,), (TWO, ONE)) == (ONE, TWO)


def test_suspicion_stays_and_is_remembered_for_the_whole_node() -> None:
    book = Book()

    book.add((Told(id="1", suspect=True),))
    book.add((Told(id="1", charges=(ONE,)),))

    told = book.about("1")
    assert told is not None and (told.suspect, told.charges) == (True, (ONE,))
    assert book.has_suspects


def test_a_holder_is_the_last_that_was_told_and_can_be_found_by_its_session() -> None:
    book = Book()

    book.add((Told(id="1", held_by="a"), Told(id="2", held_by="a"), Told(id="3", held_by="b")))
    assert book.held_by("a") == ("1", "2")
    book.add((Told(id="1"),))

    assert book.held_by("a") == ("2",)


def test_the_oldest_is_forgotten_when_there_are_too_many_and_what_is_told_again_is_new() -> None:
    book = Book()
    book.add(tuple(Told(id=str(number), charges=(ONE,)) for number in range(MOST)))

    book.add((Told(id="0", charges=(TWO,)), Told(id="new")))

    assert len(book.all()) == MOST
    told = book.about("0")
    assert book.about("1") is None and told is not None and told.charges == (ONE, TWO)


def test_a_new_process_is_told_everything() -> None:
    book, child = Book(), Book()
    book.add((Told(id="1", charges=(ONE,), suspect=True), Told(id="2", held_by="a")))

    child.add(book.all())

    assert child.all() == book.all()
    assert child.has_suspects
