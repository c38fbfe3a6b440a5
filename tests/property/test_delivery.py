import random

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.logic.delivering import ERROR, NOW, RULES, define, delivery, finished, message

from leveret.logic import retry
from leveret.logic.credit import BATCH_SECONDS, MOST, Credit
from leveret.logic.delivery import Facts, Run, Skip, admit, conclude
from leveret.logic.ids import derive
from leveret.logic.slot import DELIVERY, DeliveryEvent, DeliveryState, IllegalMove, move
from leveret.model.message import Embed
from leveret.model.outcome import Retried, Succeeded
from leveret.model.signature import SignatureSpec
from leveret.model.task import RetryPolicy

specs = st.builds(
    SignatureSpec,
    task=st.sampled_from(["add", "other"]),
    args=st.lists(st.integers(), max_size=2).map(tuple),
    immutable=st.booleans(),
)
several = st.lists(specs, max_size=3).map(tuple)
embeds = st.builds(Embed, callbacks=several, errbacks=several, chain=several)
outcomes = st.one_of(
    st.integers().map(lambda n: Succeeded(n, str(n).encode())),
    st.just(ERROR),
    st.builds(
        Retried,
        delay=st.floats(0, 1e6),
        args=st.none() | st.lists(st.integers(), max_size=2).map(tuple),
    ),
)
messages = st.builds(
    message,
    embed=embeds,
    attempt=st.integers(0, 5),
    derived=st.booleans(),
    ignore_result=st.sampled_from([None, True, False]),
)


@given(messages, outcomes, st.booleans())
def test_a_replay_names_what_the_settlement_named(msg, outcome, dead_letter):
    """A crash after the first of the four steps: whatever was stored leads to the same followers and verdict."""
    definition = define(dead_letter=dead_letter)
    settled = conclude(msg, finished(outcome), definition, RULES, NOW)

    admission = admit(delivery(count=2), msg, Facts(settled.record), definition, RULES, NOW + 5)

    if settled.record is None:
        # Nothing stored means that nothing follows: a second run is all that can happen.
        assert settled.follow == () and isinstance(admission, Run)
    else:
        assert isinstance(admission, Skip)
        assert admission.settlement.follow == settled.follow
        assert admission.settlement.verdict is settled.verdict
        assert admission.settlement.record is None


@given(messages, outcomes)
def test_followers_have_ids_of_their_own_and_are_stopped_at_the_door(msg, outcome):
    follow = conclude(msg, finished(outcome), define(), RULES, NOW).follow

    assert len({(each.id, each.attempt) for each in follow}) == len(follow)
    assert all(each.derived for each in follow)
    assert (msg.id, msg.attempt) not in {(each.id, each.attempt) for each in follow}


@given(st.text(), st.lists(st.text() | st.integers(), max_size=4), st.lists(st.text() | st.integers(), max_size=4))
def test_derived_ids_differ_unless_parent_and_position_agree(parent, one, other):
    same = list(map(str, one)) == list(map(str, other))
    if not any("\x1f" in str(part) for part in (parent, *one, *other)):
        assert (derive(parent, *one) == derive(parent, *other)) is same
    assert len(derive(parent, *one)) == 36


@given(
    st.integers(0, 6) | st.none(),
    st.floats(0, 100),
    st.floats(0, 1000),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_retries_never_exceed_the_policy(limit, factor, most, jitter, dice: random.Random):
    policy = RetryPolicy(
        max_retries=limit, autoretry_for=(Exception,), retry_backoff=factor, retry_backoff_max=most, retry_jitter=jitter
    )
    attempt = 0
    while not retry.exhausted(policy, attempt) and attempt < 50:
        wait = retry.delay(policy, attempt, dice.random())
        assert 0 <= wait <= (most if factor else policy.default_retry_delay)
        attempt += 1
    assert attempt == (50 if limit is None else limit)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("batch"), st.sampled_from("abc"), st.floats(0, 1)),
            st.tuples(st.just("rest"), st.just(""), st.just(0.0)),
        ),
        max_size=60,
    )
)
def test_credit_stays_within_its_bounds(steps):
    credit = Credit()
    for kind, name, runtime in steps:
        before = credit.per_slot
        if kind == "rest":
            credit.rest()
            assert credit.per_slot == 1
            continue
        credit.begin([name])
        size = credit.per_slot
        assert size in (1, before)
        for _ in range(size):
            credit.ran(name, runtime)
        credit.end(size * runtime)
        assert 1 <= credit.per_slot <= min(MOST, credit.ceiling(), size * 2)
        if size * runtime >= BATCH_SECONDS:
            assert credit.per_slot <= size


@given(st.lists(st.sampled_from(list(DeliveryEvent)), max_size=12))
def test_no_order_of_events_settles_a_delivery_that_was_given_back(events):
    state, given_back = DeliveryState.CLAIMED, False
    for event in events:
        try:
            state = move(DELIVERY, state, event)
        except IllegalMove:
            continue
        given_back = given_back or state is DeliveryState.RETURNED
        assert not (given_back and state is DeliveryState.SETTLED)
