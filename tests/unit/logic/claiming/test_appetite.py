from leveret.logic.claiming.appetite import MOST, Appetite


def test_a_claim_grows_while_nothing_of_it_needs_a_slot() -> None:
    appetite, claims = Appetite(), []

    for _ in range(10):
        claims.append(appetite.wanted(1))
        appetite.took(claims[-1], 0)

    assert claims == [1, 2, 4, 8, 16, 32, 64, 128, MOST, MOST]


def test_the_first_that_needs_a_slot_ends_it() -> None:
    appetite = Appetite()
    appetite.took(64, 0)
    appetite.took(128, 1)

    assert appetite.wanted(2) == 2


def test_no_more_than_there_is_room_for_and_nothing_where_no_slot_asks() -> None:
    appetite = Appetite()
    appetite.took(64, 0)
    appetite.room = 30

    assert appetite.wanted(1) == 30
    assert appetite.wanted(50) == 50
    assert appetite.wanted(0) == 0


def test_in_quarantine_it_stays_as_it_was() -> None:
    appetite = Appetite(0)
    appetite.took(1, 0)

    assert appetite.wanted(1) == 1
