import msgspec
import pytest
from tests.unit.logic.delivering import CODEC, ERROR, NOW, RULES, define, delivery, finished, message

from leveret.logic.delivery import (
    PLAIN,
    Facts,
    Run,
    Skip,
    admit,
    conclude,
    needs_lookup,
    undecodable,
)
from leveret.logic.following import again
from leveret.logic.results import read_meta
from leveret.model.delivery import Verdict
from leveret.model.message import Embed, tries
from leveret.model.outcome import (
    Cancelled,
    Finished,
    Ignored,
    Rejected,
    Replaced,
    Retried,
    Snoozed,
    Succeeded,
    Unstarted,
)
from leveret.model.settlement import Record
from leveret.model.signature import SignatureSpec

SUCCESS = Succeeded(3, b"3")
LINKS = Embed(
    callbacks=(SignatureSpec(task="add", args=(1,)), SignatureSpec(task="add", args=(9,), immutable=True)),
    errbacks=(SignatureSpec(task="add"),),
    chain=(SignatureSpec(task="add", args=("last",)), SignatureSpec(task="add", args=("next",))),
)


def end(outcome, msg=None, **options):
    return conclude(msg or message(), finished(outcome), define(**options), RULES, NOW)


def admitted(msg=None, facts=PLAIN, definition=None, **how):
    return admit(delivery(**how), msg or message(), facts, definition or define(), RULES, NOW)


# conclude


def test_a_success_is_stored_and_acknowledged():
    settlement = end(SUCCESS, message(reply_to="bell"))

    assert settlement.verdict is Verdict.ACK and settlement.follow == ()
    assert (settlement.record.state, settlement.record.terminal, settlement.record.reply_to) == (
        "SUCCESS",
        True,
        "bell",
    )
    assert settlement.record.expires_after == 86_400.0
    assert read_meta(settlement.record).result == 3


def test_an_exhausted_failure_is_a_stored_result_and_an_acknowledgement():
    settlement = end(ERROR)

    assert settlement.verdict is Verdict.ACK
    assert read_meta(settlement.record).error.args == ("boom",)


def test_a_failed_dead_letter_task_is_stored_and_parked():
    settlement = end(ERROR, dead_letter=True)

    assert (settlement.verdict, settlement.reason) == (Verdict.REJECT, "failed: ValueError: boom")
    assert settlement.record.state == "FAILURE"


def test_a_retry_is_the_same_id_one_attempt_later():
    outcome = Retried(delay=7.0, error=ERROR.error, args=(4,), options={"queue": "slow", "priority": 3})

    settlement = end(outcome, message(attempt=2, args=(1,), kwargs={"k": 1}))

    (again,) = settlement.follow
    assert (again.id, again.attempt, again.not_before, again.derived) == ("id-1", 3, NOW + 7, True)
    assert (again.args, again.kwargs, again.queue, again.priority) == ((4,), {"k": 1}, "slow", 3)
    assert (settlement.record.state, settlement.record.terminal) == ("RETRY", False)
    assert (settlement.record.attempt, settlement.record.not_before) == (2, NOW + 7)


def test_snooze_requeue_and_hold_give_back_without_a_record():
    snoozed, requeued, held = end(Snoozed(5.0)), end(Rejected("no", True)), end(Unstarted())

    assert (snoozed.verdict, snoozed.delay, snoozed.counted) == (Verdict.RELEASE, 5.0, False)
    assert (requeued.verdict, requeued.counted) == (Verdict.RELEASE, True)
    assert (held.verdict, held.counted) == (Verdict.RELEASE, False)
    assert snoozed.record is requeued.record is held.record is None


def test_ignore_leaves_nothing_cancel_is_revoked_reject_is_parked():
    ignored, cancelled, rejected = end(Ignored()), end(Cancelled("enough")), end(Rejected("no"))

    assert (ignored.verdict, ignored.record, ignored.follow) == (Verdict.ACK, None, ())
    assert (cancelled.verdict, cancelled.record.state) == (Verdict.ACK, "REVOKED")
    assert read_meta(cancelled.record).error.args == ("enough",)
    assert (rejected.verdict, rejected.record.state) == (Verdict.REJECT, "FAILURE")


def test_callbacks_get_the_value_and_the_chain_carries_the_rest():
    first, immutable, step = end(SUCCESS, message(embed=LINKS)).follow

    assert (first.args, immutable.args, step.args) == ((3, 1), (9,), (3, "next"))
    assert [spec.args for spec in step.embed.chain] == [("last",)]
    assert {m.parent_id for m in (first, immutable, step)} == {m.root_id for m in (first, step)} == {"id-1"}
    assert len({m.id for m in (first, immutable, step)}) == 3
    assert all(m.derived for m in (first, immutable, step))


def test_error_callbacks_get_the_id_and_nothing_else_follows_a_failure():
    (errback,) = end(ERROR, message(embed=LINKS)).follow

    assert errback.args == ("id-1",)


def test_a_signatures_own_id_and_options_are_kept():
    spec = SignatureSpec(
        task="add",
        options={
            "task_id": "mine",
            "countdown": 5,
            "queue": "q",
            "expires": 60,
            "link": [{"task": "add", "args": [1]}],
        },
    )

    (follow,) = end(SUCCESS, message(embed=Embed(callbacks=(spec,)))).follow

    assert (follow.id, follow.not_before, follow.queue, follow.expires) == ("mine", NOW + 5, "q", NOW + 60)
    assert follow.embed.callbacks[0].args == (1,)


def test_a_plain_ignored_task_leaves_nothing():
    assert end(SUCCESS, ignore_result=True).record is None
    assert end(ERROR, ignore_result=True).record is None


def test_ignore_result_of_the_call_beats_the_tasks():
    assert end(SUCCESS, message(ignore_result=True)).record is None
    assert end(SUCCESS, message(ignore_result=False), ignore_result=True).record.state == "SUCCESS"


def test_errors_of_ignored_tasks_are_stored_where_asked():
    assert end(ERROR, ignore_result=True, store_errors_even_if_ignored=True).record.state == "FAILURE"


def test_an_ignored_task_with_a_computed_id_or_a_follower_leaves_a_tombstone():
    derived = end(SUCCESS, message(derived=True), ignore_result=True).record
    followed = end(SUCCESS, message(embed=LINKS), ignore_result=True).record
    retried = end(Retried(delay=1.0), ignore_result=True).record
    failed = end(ERROR, message(embed=LINKS), ignore_result=True).record

    assert (derived.tombstone, derived.terminal, derived.meta, derived.expires_after) == (True, True, b"", 86_400.0)
    assert (followed.tombstone, followed.terminal) == (True, True)
    assert (retried.tombstone, retried.terminal, retried.state) == (True, False, "RETRY")
    assert (failed.tombstone, failed.state) == (True, "FAILURE")


def test_result_expires_of_the_call_beats_the_tasks():
    assert end(SUCCESS, result_expires=60.0).record.expires_after == 60.0
    assert end(SUCCESS, message(settings={"result_expires": 5.0}), result_expires=60.0).record.expires_after == 5.0


# admit


def test_the_store_is_asked_only_where_it_may_know_something():
    assert not needs_lookup(delivery(), message())
    assert needs_lookup(delivery(count=2), message())
    assert needs_lookup(delivery(reasons=("signal 9",)), message())
    assert needs_lookup(delivery(), message(derived=True))


def test_a_fresh_message_runs():
    assert admitted() == Run(message())


def test_what_is_handed_over_early_waits_in_the_broker_and_is_not_counted():
    settlement = admitted(message(not_before=NOW + 7.5)).settlement

    assert (settlement.verdict, settlement.delay, settlement.counted) == (Verdict.RELEASE, 7.5, False)
    assert settlement.record is None
    assert isinstance(admitted(message(not_before=NOW)), Run)
    assert admitted(message(not_before=NOW + 7, expires=NOW - 1)).settlement.record.state == "REVOKED"


def test_expired_and_revoked_end_as_revoked_without_followers():
    expired = admitted(message(expires=NOW - 1, embed=LINKS)).settlement
    revoked = admitted(facts=Facts(revoked=True)).settlement

    assert (expired.verdict, expired.record.state, expired.follow) == (Verdict.ACK, "REVOKED", ())
    assert read_meta(expired.record).error == msgspec.structs.replace(
        read_meta(expired.record).error, type="TaskRevokedError", args=("expired",)
    )
    assert read_meta(revoked.record).error.args == ("revoked",)


def test_three_charges_park_the_message_store_the_failure_and_call_back():
    reasons = ("signal 9", "exit 3", "oom")
    assert isinstance(admitted(reasons=reasons[:2]), Run)

    settlement = admitted(message(embed=LINKS), reasons=reasons).settlement

    assert (settlement.verdict, settlement.reason) == (Verdict.REJECT, "3 lost processes: signal 9, exit 3, oom")
    assert read_meta(settlement.record).error.type == "WorkerLostError"
    assert [follow.args for follow in settlement.follow] == [("id-1",)]


def test_a_time_limit_verdict_convicts_at_once():
    settlement = admitted(reasons=("time limit",)).settlement

    assert settlement.verdict is Verdict.REJECT
    assert read_meta(settlement.record).error.type == "TimeLimitExceeded"


def test_reject_on_worker_lost_false_fails_at_the_first_lost_process():
    settlement = admitted(definition=define(reject_on_worker_lost=False), reasons=("signal 9",)).settlement

    assert (settlement.verdict, settlement.record.state) == (Verdict.ACK, "FAILURE")


def test_an_unknown_task_rests_and_is_parked_after_fifteen_minutes():
    def unknown(count):
        return admit(delivery(count=count), message(), PLAIN, None, RULES, NOW).settlement

    assert [(s.verdict, s.delay, s.counted) for s in map(unknown, (1, 30))] == [(Verdict.RELEASE, 30.0, True)] * 2
    parked = unknown(31)
    assert parked.verdict is Verdict.REJECT and "unknown task 'add'" in parked.reason
    assert read_meta(parked.record).error.type == "NotRegistered"


def test_an_undecodable_message_is_parked_with_its_reason():
    settlement = undecodable(delivery(), ValueError("no JSON"))

    assert (settlement.verdict, settlement.reason, settlement.id) == (Verdict.REJECT, "undecodable: no JSON", "id-1")


def test_a_stored_success_is_replayed_with_the_same_followers():
    msg = message(embed=LINKS)
    original = end(SUCCESS, msg)

    replay = admitted(msg, Facts(original.record), count=2).settlement

    assert (replay.verdict, replay.record, replay.follow) == (Verdict.ACK, None, original.follow)


def test_a_tombstone_replays_what_needs_the_value():
    msg = message(embed=LINKS, ignore_result=True)
    original = end(SUCCESS, msg)
    assert original.record.tombstone

    assert admitted(msg, Facts(original.record), count=2).settlement.follow == original.follow


def test_a_stored_failure_is_replayed_with_its_error_callbacks():
    msg = message(embed=LINKS)
    original = end(ERROR, msg)

    replay = admitted(msg, Facts(original.record), count=2).settlement

    assert (replay.verdict, replay.record, replay.follow) == (Verdict.ACK, None, original.follow)


def test_a_stored_rejection_is_replayed_without_error_callbacks():
    """They are not for rejections; found by the workflows of seed 2631."""
    for ignored in (None, True):
        msg = message(embed=LINKS, ignore_result=ignored, derived=True)
        original = end(Rejected("no"), msg)

        replay = admitted(msg, Facts(original.record), count=2).settlement

        assert (replay.verdict, replay.reason, replay.follow) == (Verdict.REJECT, "rejected: no", ())


def test_a_stored_replacement_is_replayed_with_the_same_ids():
    spec = SignatureSpec(task="add", options={"task_id": "id-1", "retries": 1})
    original = end(Replaced(spec))

    replay = admitted(facts=Facts(original.record), count=2).settlement

    assert original.record.tombstone and not original.record.terminal
    assert [(one.id, one.attempt) for one in original.follow] == [("id-1", 1)]
    assert replay.follow == original.follow


def test_the_tries_of_what_took_over_begin_anew():
    (follow,) = end(Replaced(SignatureSpec(task="add", options={"task_id": "id-1", "retries": 3}))).follow

    assert (follow.attempt, tries(follow)) == (3, 0)
    assert tries(CODEC.decode(CODEC.encode(again(follow, NOW)), "q")) == 1


def test_a_stored_retry_is_replayed_with_the_arguments_it_asked_for():
    original = end(Retried(delay=7.0, args=(8,)), message(args=(1,)))

    replay = admitted(message(args=(1,)), Facts(original.record), count=2).settlement

    assert replay.follow == original.follow and replay.record is None
    assert CODEC.post(replay.follow[0]).once


def test_a_copy_of_an_attempt_that_is_over_is_dropped_and_a_later_one_runs():
    stored = Record(id="id-1", attempt=1, state="RETRY", not_before=NOW)

    assert admitted(message(attempt=0), Facts(stored)).settlement.follow == ()
    assert isinstance(admitted(message(attempt=2), Facts(stored)), Run)


def test_progress_of_the_same_attempt_does_not_stop_a_second_run():
    stored = Record(id="id-1", attempt=0, state="PROGRESS", meta=b"{}")

    assert isinstance(admitted(facts=Facts(stored), count=2), Run)


def test_a_stored_outcome_comes_before_charges_and_expiry():
    record = end(SUCCESS).record

    replay = admitted(message(expires=NOW - 1), Facts(record), reasons=("a", "b", "c"))

    assert isinstance(replay, Skip) and replay.settlement.verdict is Verdict.ACK


@pytest.mark.parametrize("outcome", [Succeeded(3, b"3"), ERROR])
def test_what_a_run_sent_stands_in_its_result_document(outcome):
    child = (("child", None), None)
    ended = Finished(outcome, NOW, 0.001, (child,))

    record = conclude(message(), ended, define(), RULES, NOW).record

    assert record is not None
    assert [entry[0][0] for entry in read_meta(record, CODEC).children] == ["child"]


def test_a_suspect_whose_task_refuses_second_runs_fails_like_the_guilty():
    suspect = msgspec.structs.replace(delivery(count=2), suspect=True)

    admission = admit(suspect, message(), PLAIN, define(reject_on_worker_lost=False), RULES, NOW)

    assert isinstance(admission, Skip)
    assert read_meta(admission.settlement.record, CODEC).error.type == "WorkerLostError"
    assert isinstance(admit(suspect, message(), PLAIN, define(), RULES, NOW), Run)
