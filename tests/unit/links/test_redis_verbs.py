"""Verbs against a scripted server: what they ask, and what they make of the answers."""

from hashlib import sha1

import pytest

from leveret.links.redis.refusals import Refusal
from leveret.links.redis.results.records import Keys
from leveret.links.redis.results.verbs import ACQUITTALS, AT_ONCE, LOOKED_UP, Verbs
from leveret.links.redis.rights import Channels
from leveret.model.options import DriverOptions
from leveret.model.settlement import ANY_PLACE, Seat
from leveret.testing.conformance.values import success

STORED, REFUSED, UNREADABLE = 1, 0, 2


def verbs(**options) -> Verbs:
    return Verbs(Keys(""), DriverOptions(**options), Channels("redis://here"), lambda: 0.0)


class Play:
    """Drives a verb with the answers given, and keeps what it asked."""

    def __init__(self, verb, *answers):
        self.asked = []
        try:
            commands = next(verb)
            for answer in answers:
                self.asked.append(list(commands))
                commands = verb.send(answer)
            self.asked.append(list(commands))
            self.value = None
        except StopIteration as stop:
            self.value = stop.value


def test_a_batch_is_one_script_run():
    play = Play(verbs().store((success("a"), success("b"))), [[STORED, REFUSED, 0]])

    assert play.value == (True, False)
    ((command,),) = play.asked
    assert (command[0], command[2]) == ("EVALSHA", 4)
    assert command[3:7] == (
        "celery-task-meta-a",
        "leveret:{celery-task-meta-a}",
        "celery-task-meta-b",
        "leveret:{celery-task-meta-b}",
    )
    assert command[7:9] == ("1", ""), "to be published; no document acquitted"


def test_a_large_batch_is_several_runs_in_one_round_trip():
    records = tuple(success(f"{n}") for n in range(AT_ONCE + 2))

    play = Play(verbs().store(records), [[STORED] * AT_ONCE + [0], [REFUSED, STORED, 0]])

    assert play.value == (True,) * AT_ONCE + (False, True)
    assert [command[2] for command in play.asked[0]] == [2 * AT_ONCE, 4]


def test_a_server_that_does_not_know_the_script_is_told_it():
    play = Play(verbs().store((success("a"),)), [Refusal("NOSCRIPT No matching script")], [[STORED, 0]])

    assert play.value == (True,)
    ((known,), (full,)) = play.asked
    assert full[0] == "EVAL" and sha1(full[1].encode()).hexdigest() == known[1]
    assert full[2:] == known[2:]


def test_any_other_refusal_is_raised():
    with pytest.raises(Refusal, match="OOM"):
        Play(verbs().store((success("a"),)), [Refusal("OOM command not allowed")])


def test_a_document_only_python_can_read_is_read_here():
    unclear = [[UNREADABLE, STORED, UNREADABLE, 0]]
    documents = [[b"\x00celery-compressed\x00x\x00"], [b"status: SUCCESS\n"]]
    records = (success("a"), success("b"), success("c"))

    play = Play(verbs().store(records), unclear, documents, [[STORED, 0]])

    assert play.value == (True, True, False), "c has ended, a has not"
    assert play.asked[1] == [("MGET", "celery-task-meta-a"), ("MGET", "celery-task-meta-c")]
    ((again,),) = play.asked[2:]
    assert again[3:5] == ("celery-task-meta-a", "leveret:{celery-task-meta-a}")
    assert again[6] == sha1(documents[0][0]).hexdigest(), "only this document is acquitted"


def test_a_document_that_never_stays_the_same_is_left_alone():
    rounds = [[[UNREADABLE, 0]]]
    for n in range(ACQUITTALS):
        rounds += [[[b"%d" % n]], [[UNREADABLE, 0]]]

    assert Play(verbs().store((success("a"),)), *rounds).value == (False,)


def test_when_publishing_is_not_allowed_it_is_not_tried_for_a_while(caplog):
    store = verbs()
    Play(store.store((success("a"),)), [[STORED, 1]])

    play = Play(store.store((success("b"),)), [[STORED, 1]])

    assert play.asked[0][0][5] == "0"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "&*" in caplog.text


def test_many_ids_are_several_looks_in_one_round_trip():
    ids = [str(n) for n in range(LOOKED_UP + 1)]
    document = b'{"status":"SUCCESS"}'

    play = Play(verbs().get(ids), [[None] * 2 * LOOKED_UP, [document, None]])

    assert [record and record.id for record in play.value] == [None] * LOOKED_UP + [ids[-1]]


def test_what_the_script_says_of_seats():
    seats = tuple(Seat(join="j", id=f"m{n}", index=n, size=4, value=b"v%d" % n) for n in range(4))

    play = Play(verbs().arrive(seats), [[[b"open"], [b"closed"], [b"over"], [b"complete", b"shape", [b"a", b"b"]]]])

    assert [(joined.complete, joined.over) for joined in play.value] == [
        (False, False),
        (False, False),
        (False, True),
        (True, False),
    ]
    assert (play.value[3].values, play.value[3].shape) == ((b"a", b"b"), b"shape")


@pytest.mark.parametrize(("transport", "said"), [({}, "1"), ({"result_chord_ordered": False}, "0")])
def test_a_seat_is_told_as_celery_tells_it(transport, said):
    seats = (
        Seat(join="j", id="m", index=3, size=2, value=b"v"),
        Seat(join="k", id="n", index=ANY_PLACE, size=0, value=b"w", failed=True),
    )

    play = Play(verbs(result_transport=transport).arrive(seats), [[[b"open"], [b"open"]]])

    script_keys, words = play.asked[0][0][3:5], play.asked[0][0][5:]
    assert script_keys == ("celery-taskset-meta-j", "celery-taskset-meta-k")
    assert words == (said, "m", 3, 2, b"v", 0, "n", "+inf", 0, b"w", 1)


@pytest.mark.parametrize(
    "verb", [lambda v: v.store(()), lambda v: v.arrive(()), lambda v: v.get(()), lambda v: v.forget(())]
)
def test_nothing_asks_nothing(verb):
    play = Play(verb(verbs()))

    assert play.asked == []
    assert play.value in ((), None)
