from leveret.links.redis.results.records import Keys
from leveret.links.redis.results.watch import FIRST_LOOK, LONGEST_LOOK, Watch

END, START = b'{"status":"SUCCESS"}', b'{"status":"STARTED"}'
FACTS = b"0 T - - - SUCCESS"
CHANNEL = b"celery-task-meta-a"


def watching(*ids: str) -> Watch:
    return Watch(Keys(""), ids or ("a",))


def looked(watch: Watch, *values: bytes | None) -> Watch:
    watch.look()
    watch.saw(values or (None, None) * len(watch.ids))
    return watch


def test_it_looks_for_document_and_facts_of_each():
    assert watching("a", "b").look() == (
        "MGET",
        "celery-task-meta-a",
        "leveret:{celery-task-meta-a}",
        "celery-task-meta-b",
        "leveret:{celery-task-meta-b}",
    )


def test_it_is_over_when_one_had_ended_already():
    watch = looked(watching("a", "b"), None, None, END, FACTS)

    assert watch.over
    assert [record and record.state for record in watch.records] == [None, "SUCCESS"]


def test_the_first_look_is_what_changes_are_measured_by():
    watch = looked(watching(), START, None)
    assert not watch.over

    looked(watch, START, None)
    assert not watch.over

    looked(watch, b'{"status":"PROGRESS"}', None)
    assert watch.over and watch.records[0].state == "PROGRESS"


def test_a_message_with_the_end_is_the_end():
    watch = looked(watching("b", "a"))

    assert not watch.heard(CHANNEL, END)
    assert watch.over and watch.records[1].meta == END


def test_another_message_asks_for_a_look():
    watch = looked(watching())

    assert watch.heard(CHANNEL, START)
    assert not watch.over


def test_what_was_published_before_the_answer_is_in_the_answer():
    watch = watching()
    watch.look()

    assert not watch.heard(CHANNEL, END)
    assert not watch.over
    watch.saw((END, FACTS))
    assert watch.over


def test_a_strangers_channel_is_nothing_to_it():
    watch = looked(watching())

    assert not watch.heard(b"celery-task-meta-x", END)
    assert not watch.over


def test_looks_become_rare_while_messages_come():
    watch = watching()

    assert [watch.pause(True) for _ in range(6)] == [FIRST_LOOK, 1.0, 2.0, 4.0, LONGEST_LOOK, LONGEST_LOOK]
    assert watch.pause(False) == FIRST_LOOK


def test_only_what_has_ended_is_silent():
    watch = looked(watching("a", "b"), END, FACTS, START, None)

    assert watch.silent() == (CHANNEL,)
