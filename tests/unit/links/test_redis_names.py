import pytest

from leveret.errors import ImproperlyConfigured
from leveret.links.redis.names import (
    Names,
    checked,
    is_suspect,
    queue_of,
    read_field,
    read_receipt,
    suspects_of,
    write_receipt,
)


def names(*, high_first=True, **transport):
    return Names("", high_first=high_first, transport=transport)


def test_under_our_profile_nine_is_first_and_every_priority_has_a_list():
    ours = names()

    assert len(ours.suffixes) == 10 and ours.suffixes[0] == ""
    assert ours.list("q", ours.on_wire(9)) == "q"
    assert ours.list("q", ours.on_wire(0)) == "q\x06\x169"


def test_beside_celery_zero_is_first_and_the_steps_are_kombus():
    theirs = names(high_first=False)

    assert theirs.suffixes == ("", "\x06\x163", "\x06\x166", "\x06\x169")
    assert [theirs.list("q", theirs.on_wire(p)) for p in (0, 2, 3, 5, 6, 8, 9)] == [
        "q", "q", "q\x06\x163", "q\x06\x163", "q\x06\x166", "q\x06\x166", "q\x06\x169",
    ]  # fmt: skip


@pytest.mark.parametrize("high_first", [True, False])
def test_a_priority_comes_back_as_it_was_sent(high_first):
    found = names(high_first=high_first)

    assert [found.from_wire(found.on_wire(p)) for p in range(1, 10)] == list(range(1, 10))
    assert found.from_wire(found.on_wire(0)) is None, "the usual one is not told"
    assert found.on_wire(255) == found.on_wire(9)
    assert found.on_wire(-1) == found.on_wire(0)


def test_other_steps_may_be_named_as_with_kombu():
    assert names(high_first=False, priority_steps=[0, 5]).suffixes == ("", "\x06\x165")
    for wrong in ([], ["a"], [0, 10], 7):
        with pytest.raises(ImproperlyConfigured, match="priority_steps"):
            names(priority_steps=wrong or [11])


def test_a_receipt_says_whose_hand_over_it_is():
    receipt = write_receipt("session", "12-3", "my queue\x06\x163")

    ticket = read_receipt(receipt)

    assert ticket == ("session", "12-3", "my queue\x06\x163")
    assert ticket.number == 12
    assert read_field("session", ticket.field.encode()) == ticket


def test_suspects_wait_apart_under_the_name_of_their_queue():
    assert is_suspect(suspects_of("q")) and not is_suspect("q")
    assert queue_of(suspects_of("q")) == queue_of("q\x06\x166") == "q"


@pytest.mark.parametrize("name", ["leveret:dead", "unacked", "unacked_index", "_kombu.binding.x", "a\x06\x163"])
def test_no_queue_may_be_called_like_a_key_of_somebody_else(name):
    assert checked("default") == "default"
    with pytest.raises(ImproperlyConfigured, match="no queue may be called"):
        checked(name)


def test_what_is_no_receipt_is_held_by_nobody():
    assert read_receipt("no such thing").number == 0
