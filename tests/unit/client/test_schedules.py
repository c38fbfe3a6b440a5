"""From what people write to entries that a scheduler fires without the app, and `app.schedules` on a real store."""

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import celery.schedules
import msgspec
import pytest

from leveret import Leveret, Signature, chain, chord, chunks, clocked, crontab, group, schedule, solar
from leveret.client.schedules.declared import read_catch_up
from leveret.client.schedules.timings import maybe_schedule
from leveret.client.tasks.moments import Moment
from leveret.errors import CallerError, ImproperlyConfigured, NoSuchEntry, NotYet
from leveret.logic.schedules.ticks import fire_of, next_moment, postings
from leveret.model.schedules.entry import CatchUp, Entry, Standing
from leveret.model.schedules.timing import Clocked, Every


@pytest.fixture
def app(tmp_path):
    made = Leveret("tasks", broker=f"sqlite:///{tmp_path}/queue.db", set_as_current=False)

    @made.task(name="add", queue="sums", priority=3)
    def add(x, y=1):
        return x + y

    yield made
    made.close()


def declared(app: Leveret, **item) -> Entry:
    app.conf.beat_schedule = {"a": {"task": "add", "schedule": 30.0, "args": (1,), **item}}
    (entry,) = app.schedules.declared()
    return entry


def message_of(app: Leveret, entry: Entry):
    standing = Standing(entry=entry, revision=1, cursor=0.0, due=0.0)
    (posting, *_) = postings(fire_of(standing, 1_700_000_000.0), 1_700_000_000.5)
    return posting, app.client.codec.decode(posting.encoded, posting.queue)


def test_a_schedule_as_people_write_it_works_unchanged(app) -> None:
    app.conf.beat_schedule = {
        "add-every-30-seconds": {"task": "add", "schedule": 30.0, "args": (16, 16)},
        "add-every-morning": {"task": "add", "schedule": crontab(hour=7, minute=30), "args": [16, 16]},
        "every-three-hours": {"task": "add", "schedule": crontab(minute=0, hour="*/3"), "kwargs": {"x": 1}},
        "elsewhere": {
            "task": "other.task",
            "schedule": timedelta(minutes=5),
            "options": {"queue": "slow", "expires": 15.0, "priority": 9},
            "relative": True,
        },
    }

    entries = {entry.name: entry for entry in app.schedules.declared()}

    assert list(entries) == list(app.conf.beat_schedule)
    posting, message = message_of(app, entries["add-every-30-seconds"])
    assert (message.task, message.args, message.queue, message.priority) == ("add", (16, 16), "sums", 3)
    assert (posting.once, message.derived, message.reply_to, message.id) == (True, True, None, posting.id)
    posting, message = message_of(app, entries["elsewhere"])
    assert (posting.queue, message.priority, posting.expires) == ("slow", 9, 1_700_000_015.5)
    assert message.expires == pytest.approx(1_700_000_015.5)
    assert entries["elsewhere"].timing == Every(seconds=300.0, relative=True)
    assert entries["every-three-hours"].arguments == "x=1"


def test_a_run_tells_its_entry_and_its_moment(app) -> None:
    _, message = message_of(app, declared(app, options={"headers": {"mine": 1}}))

    assert message.headers == {
        "mine": 1,
        "periodic_task_name": "a",
        "periodic_task_moment": "2023-11-14T22:13:20+00:00",
        "celery_beat_task": True,
    }


def test_runs_have_ids_of_their_own_and_every_scheduler_computes_the_same(app) -> None:
    standing = Standing(entry=declared(app), revision=1, cursor=0.0, due=0.0)
    changed = msgspec.structs.replace(standing, revision=2)

    assert fire_of(standing, 1.0).id == fire_of(standing, 1.0).id
    assert len({fire_of(s, moment).id for s in (standing, changed) for moment in (1.0, 2.0)}) == 4


def test_the_same_declaration_makes_the_same_bytes(app) -> None:
    one, other = (msgspec.msgpack.encode(declared(app, options={"queue": "q"})) for _ in range(2))

    assert one == other


def test_entries_cross_a_pipe(app) -> None:
    entry = declared(app, schedule=crontab(minute=5), kwargs={"y": datetime(2020, 1, 1, tzinfo=UTC)})

    assert msgspec.json.decode(msgspec.json.encode(entry), type=Entry).timing == entry.timing


def test_periodic_tasks_are_added_by_hooks_and_by_decoration(app) -> None:
    @app.on_after_configure.connect
    def setup(sender, **kwargs):
        sender.add_periodic_task(10.0, sender.tasks["add"].s(2), name="named", expires=5, timezone="Asia/Seoul")
        sender.add_periodic_task(crontab(minute=1), sender.tasks["add"].s(3, 4))

    @app.task(name="poll", schedule="*/5 * * * *")
    def poll(): ...

    @app.task(name="sweep", schedule={"schedule": 60, "overlap": "skip", "args": ()})
    def sweep(): ...

    app.import_modules()
    entries = {entry.name: entry for entry in app.schedules.declared()}

    assert sorted(entries) == ["add(3, 4)", "named", "poll", "sweep"]
    assert (entries["named"].zone, entries["named"].expires_after) == ("Asia/Seoul", 5.0)
    assert entries["sweep"].overlap == "skip"
    assert message_of(app, entries["named"])[1].args == (2,)


def test_a_chain_has_steps_with_ids_of_each_run(app) -> None:
    add = app.tasks["add"]
    _, message = message_of(app, declared(app, task=chain(add.s(1, 2), add.s(3), app=app), args=()))

    assert message.args == (1, 2)
    assert [(step.task, dict(step.options)) for step in message.embed.chain] == [("add", {})]


def test_a_composition_is_one_message_that_begins_it(app) -> None:
    add = app.tasks["add"]
    whole = chord([add.s(1), add.s(2)], add.s(3), app=app)
    given = {"task": whole, "args": (), "options": {"countdown": 2, "expires": 60}}

    entry = declared(app, **given)
    _, message = message_of(app, entry)

    assert (message.task, message.queue, message.priority) == ("leveret.begin", "sums", 3)
    assert repr(Signature.from_dict(message.kwargs["call"])) == repr(whole)
    assert (entry.delay, entry.expires_after) == (2.0, 60.0)
    assert (entry.task, entry.arguments) == ("celery.chord", "chord([add(1), add(2)], add(3))")
    assert declared(app, **given) == entry, "the same declaration is no change"


def test_a_chain_that_is_not_of_tasks_alone_is_begun_too(app) -> None:
    add = app.tasks["add"]

    for whole in (add.s(1) | group(add.s(1), add.s(2)), group(add.s(1), add.s(2)) | add.s(3), chunks(add, [(1,)], 1)):
        _, message = message_of(app, declared(app, task=whole, args=()))
        assert (message.task, message.queue) == ("leveret.begin", "sums")


def test_a_composition_that_cannot_be_begun_at_each_moment_is_refused(app) -> None:
    add = app.tasks["add"]
    frozen = group(add.s(1).set(task_id="x"), add.s(2), app=app)

    with pytest.raises(ImproperlyConfigured, match="schedule entry 'a': a part of it has an id already"):
        declared(app, task=frozen, args=())
    with pytest.raises(ImproperlyConfigured, match="an empty group cannot be scheduled"):
        declared(app, task=group(app=app), args=())
    with pytest.raises(ImproperlyConfigured, match="too many positional arguments"):
        declared(app, task=group(add.s(1, 2, 3), app=app), args=())
    with pytest.raises(ImproperlyConfigured, match="options name eta"):
        declared(app, task=group(add.s(1), app=app), args=(), options={"eta": datetime.now(UTC)})


def test_a_composition_is_changed_as_a_whole(app) -> None:
    add = app.tasks["add"]
    app.schedules.create("whole", 3600, group(add.s(1), add.s(2), app=app))

    with pytest.raises(ImproperlyConfigured, match="give the whole call anew"):
        app.schedules.change("whole", args=(1,))
    changed = app.schedules.change("whole", task=group(add.s(1), app=app))

    assert (changed.revision, changed.entry.arguments) == (2, "group(add(1))")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"shedule": 1}, r"'shedule' is nothing an entry has; did you mean 'schedule'\?"),
        ({"schedule": None}, "schedule=None is none: seconds, a timedelta, a crontab line"),
        ({"schedule": 0}, r"schedule\(0\): an interval is 0.01 seconds or longer"),
        ({"schedule": "1 2 3"}, "'1 2 3' is no crontab"),
        ({"schedule": celery.schedules.crontab()}, "import it from leveret, not from celery"),
        ({"task": None}, "task=None is none"),
        ({"args": (1, 2, 3)}, r"add\(x, y=1\) too many positional arguments"),
        ({"args": "ab"}, "args='ab' is no list of arguments"),
        ({"options": {"que": "x"}}, "'que' is not an option of a task call; did you mean 'queue'"),
        ({"options": {"eta": datetime.now(UTC)}}, "options name eta: every run has its own"),
        ({"options": {"task_id": "x"}}, "options name task_id"),
        ({"options": {"expires": "soon"}}, "expires='soon' is neither"),
        ({"timezone": "Asia/Soul"}, "timezone='Asia/Soul' is no zone"),
        ({"overlap": "maybe"}, "overlap='maybe' is none: allow or skip"),
        ({"catch_up": "some"}, r"catch_up='some' is none: skip, one, all or all\(25\)"),
        ({"start": "2030-01-02T00:00+00:00", "end": "2030-01-01T00:00+00:00"}, "end=.* is before start="),
        ({"start": 5}, "start=5 is no datetime"),
    ],
)
def test_a_wrong_entry_is_refused_at_the_door_by_its_name(app, item, words) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"schedule entry 'a': .*{words}"):
        declared(app, **item)


def test_what_cannot_be_scheduled_says_what_to_do(app) -> None:
    class BeatLazyFunc: ...

    with pytest.raises(NotYet, match="have the task compute it"):
        declared(app, args=(BeatLazyFunc(),))


def test_catch_up_policies_are_read() -> None:
    assert read_catch_up("all(25)") == read_catch_up("all(max 25)") == read_catch_up(25)
    assert read_catch_up(25) == CatchUp(policy="all", most=25)
    assert read_catch_up(None) == CatchUp(policy="one")
    assert read_catch_up("skip").policy == "skip"


def test_the_deadline_of_celery_bounds_every_policy(app) -> None:
    app.conf.beat_cron_starting_deadline = 120

    assert declared(app).catch_up.within == 120.0


def test_zones_come_from_the_entry_the_crontab_or_the_app(app) -> None:
    assert declared(app).zone == "UTC"
    app.conf.timezone = "Asia/Seoul"
    assert declared(app).zone == "Asia/Seoul"
    assert declared(app, schedule=crontab(timezone="Europe/London")).zone == "Europe/London"
    assert declared(app, schedule=crontab(nowfun=lambda: datetime.now(ZoneInfo("Asia/Tokyo")))).zone == "Asia/Tokyo"
    assert declared(app, schedule=crontab(timezone="Europe/London"), timezone="Asia/Kathmandu").zone == "Asia/Kathmandu"


def test_celerys_reprs_and_equality() -> None:
    theirs = celery.schedules

    for written in (30.0, timedelta(hours=2), 1, 90061):
        assert repr(schedule(written)) == repr(theirs.schedule(written))
    assert repr(crontab(minute="*/5", hour=(7, 9))) == repr(theirs.crontab(minute="*/5", hour=(7, 9)))
    assert repr(solar("sunset", 37.5, 127)) == repr(theirs.solar("sunset", 37.5, 127))
    assert crontab(minute="0,30") == crontab(minute={0, 30}) != crontab(minute=0)
    assert schedule(60) == timedelta(minutes=1) == schedule(timedelta(minutes=1))
    assert maybe_schedule(5) == schedule(5)
    assert maybe_schedule("@daily") == crontab(minute=0, hour=0)


@pytest.mark.parametrize("event", sorted(celery.schedules.solar._all_events))
@pytest.mark.parametrize("place", [(37.57, 126.98), (-33.9, 18.4), (69.6, 18.9)])
def test_the_sun_does_what_it_does_in_celery(event, place) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    theirs = celery.schedules.solar(event, *place, nowfun=lambda: now, app=celery.Celery(set_as_current=False))
    entry = Entry(name="a", task="t", timing=solar(event, *place).timing())

    found = next_moment(entry, now.timestamp())

    assert found == pytest.approx((now + theirs.remaining_estimate(now)).timestamp(), abs=2.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("noon", 0, 0), "solar event 'noon' is none"),
        (("sunset", 91, 0), "latitude 91"),
        (("sunset", 0, -181), "longitude"),
    ],
)
def test_a_place_or_event_that_does_not_exist_is_refused(arguments, words) -> None:
    with pytest.raises(CallerError, match=words):
        solar(*arguments)


def test_a_point_in_time_comes_once() -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    entry = Entry(name="a", task="t", timing=clocked(at).timing())

    assert entry.timing == Clocked(at=at.timestamp())
    assert next_moment(entry, at.timestamp() - 5) == at.timestamp()
    assert next_moment(entry, at.timestamp()) is None


# The store.


def test_entries_are_created_changed_paused_run_and_deleted(app) -> None:
    schedules = app.schedules

    made = schedules.create("nightly", crontab(hour=3, minute=0), "add", args=(1, 2), timezone="Asia/Seoul")
    assert (made.revision, made.entry.zone, made.entry.arguments) == (1, "Asia/Seoul", "1, 2")
    assert [moment.hour for moment in schedules.next("nightly", 3)] == [3, 3, 3]

    changed = schedules.change("nightly", schedule=crontab(hour=4, minute=15))
    assert (changed.revision, changed.entry.zone) == (2, "Asia/Seoul")
    assert changed.entry.postings == made.entry.postings

    changed = schedules.change("nightly", args=(5,), overlap="skip")
    _, message = message_of(app, changed.entry)
    assert (message.args, message.queue, message.priority, changed.entry.overlap) == ((5,), "sums", 3, "skip")
    assert schedules.change("nightly", options={"queue": "other"}).entry.postings[0].queue == "other"

    with pytest.raises(ImproperlyConfigured, match="schedule entry 'nightly': 'shedule' is nothing an entry has"):
        schedules.change("nightly", shedule=5)
    with pytest.raises(ImproperlyConfigured, match="schedule entry 'nightly': .*too many positional"):
        schedules.change("nightly", args=(1, 2, 3))

    schedules.pause("nightly")
    assert schedules.get("nightly").paused
    schedules.resume("nightly")
    assert [standing.entry.name for standing in schedules.list()] == ["nightly"]

    result = schedules.run("nightly")
    (run,) = schedules.get("nightly").runs
    assert (run.id, run.outcome) == (result.id, "by hand")

    schedules.delete("nightly")
    assert schedules.list() == []
    with pytest.raises(NoSuchEntry, match="no schedule entry 'nightly'"):
        schedules.get("nightly")


def test_a_chain_keeps_its_steps_when_its_times_change(app) -> None:
    add = app.tasks["add"]
    made = app.schedules.create("a", 60, chain(add.s(1, 2), add.s(3), app=app))

    assert app.schedules.change("a", schedule=30).entry.postings == made.entry.postings
    with pytest.raises(ImproperlyConfigured, match="something follows its task"):
        app.schedules.change("a", args=(5,))


def test_the_same_on_a_loop(app) -> None:
    async def main() -> None:
        schedules = app.schedules
        await schedules.acreate("a", 60.0, "add", args=(1,))
        await schedules.achange("a", schedule=30)
        await schedules.apause("a")
        await schedules.aresume("a")
        assert len(await schedules.anext("a", 2)) == 2
        result = await schedules.arun("a")
        assert (await schedules.aget("a")).runs[0].id == result.id
        with pytest.raises(ImproperlyConfigured, match=r"write `await app\.schedules\.alist\(\)`"):
            schedules.list()
        assert len(await schedules.alist()) == 1
        await schedules.adelete("a")
        await app.aclose()

    asyncio.run(main())


def test_what_the_code_defines_is_changed_in_the_code(app) -> None:
    app.conf.beat_schedule = {"a": {"task": "add", "schedule": 30.0, "args": (1,)}}

    async def bring() -> None:
        async with app.schedules._open(app.conf.settings) as store:
            await store.sync(app.schedules.source, app.schedules.declared())

    asyncio.run(bring())
    with pytest.raises(ImproperlyConfigured, match="belongs to the code of tasks: change it there"):
        app.schedules.change("a", schedule=5)
    with pytest.raises(ImproperlyConfigured, match="belongs to the code of tasks"):
        app.schedules.delete("a")
    with pytest.raises(ImproperlyConfigured, match="'a' exists"):
        app.schedules.create("a", 5, "add", args=(1,))
    app.schedules.pause("a")
    assert app.schedules.get("a").paused
    app.schedules.delete("a", force=True)
    assert app.schedules.list() == []


def test_each_app_has_entries_of_its_own(app) -> None:
    nameless = Leveret(broker="memory://x", set_as_current=False)

    assert (app.schedules.source, nameless.schedules.source) == ("code of tasks", "code of test_schedules")


def test_a_moment_that_is_over_is_refused(app) -> None:
    with pytest.raises(ImproperlyConfigured, match="is over"):
        app.schedules.create("a", clocked(datetime(2020, 1, 1, tzinfo=UTC)), "add", args=(1,))


def test_a_broker_that_keeps_no_schedule_says_what_to_do() -> None:
    app = Leveret("tasks", broker="amqp://user:secret@localhost", set_as_current=False)

    with pytest.raises(ImproperlyConfigured, match="a schedule needs a store that all schedulers share") as found:
        app.schedules.list()
    assert "secret" not in str(found.value)


# Hooks.


def test_a_hook_that_hangs_is_named(caplog) -> None:
    moment = Moment("on_after_configure", slow_seconds=0.05)

    @moment.connect
    def slow_start(sender, **kwargs):
        time.sleep(0.2)

    with caplog.at_level(logging.WARNING):
        moment.send(None)

    (record,) = caplog.records
    assert "the on_after_configure hook" in record.getMessage()
    assert "slow_start has not returned after 0.05 s" in record.getMessage()


def test_a_quick_hook_leaves_no_word_and_no_thread(caplog) -> None:
    import threading

    before, moment = threading.active_count(), Moment("hook", slow_seconds=0.05)
    moment.connect(lambda sender: None)
    moment.send(None)

    assert (caplog.records, threading.active_count()) == ([], before)
