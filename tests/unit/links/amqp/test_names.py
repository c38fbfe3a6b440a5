import pytest
from kombu.transport import native_delayed_delivery as kombus

from leveret.errors import ImproperlyConfigured
from leveret.links.amqp import names

SHORT = names.SHORT_BITS


@pytest.mark.parametrize("seconds", [1, 2, 3, 59, 60, 4095, 86_400, names.LONGEST_DELAY - 1, names.LONGEST_DELAY])
@pytest.mark.parametrize("queue", ["celery", "photos.resize.high", "q" * 190])
def test_a_delay_is_kombus_routing_key(seconds: int, queue: str) -> None:
    assert names.delayed_key(seconds, queue) == kombus.calculate_routing_key(seconds, queue)


def test_the_ladder_has_kombus_levels_and_names_under_a_prefix_of_its_own() -> None:
    assert names.LADDER_BITS == kombus.MAX_NUMBER_OF_BITS_TO_USE
    assert names.level(names.LADDER_BITS - 1) == kombus.level_name(kombus.MAX_LEVEL, names.PREFIX)
    assert kombus._celery_delayed_delivery_exchange(names.PREFIX) == names.DELIVERY_EXCHANGE


@pytest.mark.parametrize(("seconds", "level"), [(1, 0), (2, 1), (3, 1), (4, 2), (1023, 9), (names.LONGEST_DELAY, 27)])
def test_a_delay_enters_at_its_highest_bit(seconds: int, level: int) -> None:
    assert names.rung(seconds) == level


def matches(pattern: str, key: str) -> bool:
    """A topic exchange's rule: `*` is one word, `#` any number of them."""

    def words(left: list[str], right: list[str]) -> bool:
        if not left:
            return not right
        if left[0] == "#":
            return any(words(left[1:], right[at:]) for at in range(len(right) + 1))
        return bool(right) and left[0] in ("*", right[0]) and words(left[1:], right[1:])

    return words(pattern.split("."), key.split("."))


@pytest.mark.parametrize("seconds", [1, 5, 6, 1000, 86_399])
def test_a_message_waits_on_exactly_the_rungs_of_its_bits_and_arrives(seconds: int) -> None:
    key = names.delayed_key(seconds, "photos.high")
    waited, level = 0, names.rung(seconds)

    while level >= 0:
        waits, passes = matches(names.rung_keys(level)[0], key), matches(names.rung_keys(level)[1], key)
        assert waits != passes
        waited += waits << level
        level -= 1

    assert waited == seconds
    assert matches(names.arrival_key("photos.high"), key)


@pytest.mark.parametrize("steps", [1, 2, 5, 16, 30, 31])
def test_a_short_delay_waits_on_exactly_the_rungs_of_its_bits_and_arrives(steps: int) -> None:
    key = names.delayed_key(steps, "photos.high", SHORT)
    waited, level = 0, names.rung(steps)

    while level >= 0:
        waits, passes = matches(names.rung_keys(level, SHORT)[0], key), matches(names.rung_keys(level, SHORT)[1], key)
        assert waits != passes
        waited += waits << level
        level -= 1

    assert waited == steps
    assert matches(names.arrival_key("photos.high", SHORT), key)
    assert not matches(names.arrival_key("high", SHORT), key) and not matches(names.arrival_key("photos.high"), key)


@pytest.mark.parametrize("other", ["high", "photos", "photos.high.more", "a.photos.high", "photos.low"])
def test_it_arrives_in_no_other_queue(other: str) -> None:
    assert not matches(names.arrival_key(other), names.delayed_key(5, "photos.high"))


@pytest.mark.parametrize("name", ["a", "q" * 190, "é" * 95, "a b/c:d@e", "a.b", "a*b", "#1", "amqp"])
def test_names_a_queue_can_have(name: str) -> None:
    assert names.check_queue(name) == name


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "1 to 190 bytes"),
        ("q" * 191, "this one 191"),
        ("é" * 96, "this one 192"),
        ("amq.gen-1", "begin with amq."),
        ("photos.*", "stand for other words"),
        ("#", "stand for other words"),
        ("a.#.b", "stand for other words"),
        ("\ud800", "no text"),
    ],
)
def test_names_it_cannot_have(name: str, complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=complaint):
        names.check_queue(name)


@pytest.mark.parametrize("queue", ["q" * 190, "é" * 95])
def test_every_name_of_ours_fits_a_short_string_however_long_the_queues(queue: str) -> None:
    for name in (
        names.dead(queue),
        names.suspects(queue),
        names.delayed_key(names.LONGEST_DELAY, queue),
        names.arrival_key(queue),
    ):
        assert len(name.encode()) <= 255
