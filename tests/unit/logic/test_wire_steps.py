import json

import msgspec
import pytest
from tests.unit.logic.test_codec import CODEC, make_codec

from leveret.errors import DecodeError
from leveret.logic.wire.steps import LONG, Steps
from leveret.model.delivery import Encoded
from leveret.model.message import Embed, Message, TaskId
from leveret.model.signature import SignatureSpec

STEP = SignatureSpec(task="proj.step", args=(1, "ü"), kwargs={"a": [1.5]}, options={"task_id": "x" * 40})
CHAIN = tuple(msgspec.structs.replace(STEP, args=(place,)) for place in range(30))
BODY = SignatureSpec(task="proj.body")


def long(**embed: object) -> Message:
    return Message(id=TaskId("an-id"), task="proj.add", args=(1,), queue="q", embed=Embed(chain=CHAIN, **embed))


@pytest.mark.parametrize("beside", [{}, {"callbacks": (BODY,), "errbacks": (BODY, BODY)}, {"chord": BODY}])
def test_a_long_chain_is_kept_as_it_came_and_goes_on_the_same(beside: dict[str, object]) -> None:
    sent = CODEC.encode(long(**beside))

    message = CODEC.decode(sent, "q")

    assert type(message.embed.chain) is Steps
    assert message == long(**beside)
    assert json.loads(CODEC.encode(message).body) == json.loads(sent.body)
    shorter = msgspec.structs.replace(message, embed=msgspec.structs.replace(message.embed, chain=CHAIN[:-1]))
    lazily = msgspec.structs.replace(message.embed, chain=message.embed.chain[:-1])
    assert CODEC.decode(CODEC.encode(msgspec.structs.replace(message, embed=lazily)), "q") == shorter


def test_other_serializers_and_short_chains_are_read_at_once() -> None:
    for serializer in ("msgpack", "yaml"):
        codec = make_codec("json", serializer)
        message = codec.decode(codec.encode(long()), "q")
        again = codec.encode(msgspec.structs.replace(message, serializer=serializer))
        assert codec.decode(again, "q").embed == long().embed
    short = msgspec.structs.replace(long(), embed=Embed(chain=CHAIN[:2]))
    assert type(CODEC.decode(CODEC.encode(short), "q").embed.chain) is tuple


NESTED = msgspec.structs.replace(
    STEP, options={"link": [{"task": "proj.a", "args": ['},{"task":']}, {"task": "proj.b", "options": {"chain": []}}]}
)


@pytest.mark.parametrize("spaces", [False, True])
@pytest.mark.parametrize("chord", [False, True])
@pytest.mark.parametrize("last", [STEP, NESTED])
def test_the_last_step_is_found_whatever_looks_like_one(last: SignatureSpec, chord: bool, spaces: bool) -> None:
    embed = Embed(chain=(NESTED, *CHAIN, last), callbacks=(NESTED,), chord=BODY if chord else None)
    encoded = CODEC.encode(msgspec.structs.replace(long(), args=({"chain": [1]},), embed=embed))
    if spaces:
        encoded = msgspec.structs.replace(encoded, body=json.dumps(json.loads(encoded.body)).encode())

    chain = CODEC.decode(encoded, "q").embed.chain

    assert type(chain) is Steps
    left = list(embed.chain)
    while chain:
        assert (len(chain), chain[-1], chain[0]) == (len(left), left[-1], left[0])
        chain = chain[:-1]
        left.pop()
    assert not left


def test_steps_that_stand_in_the_options_of_a_signature_are_written_as_the_list_they_are() -> None:
    """A chord inside a long chain: its body carries the rest."""
    chain = CODEC.decode(CODEC.encode(long()), "q").embed.chain
    member = Embed(chord=msgspec.structs.replace(BODY, options={"chain": chain}))

    again = CODEC.decode(CODEC.encode(msgspec.structs.replace(long(), embed=member)), "q").embed.chord

    assert again is not None
    assert [step["args"] for step in again.options["chain"]] == [list(step.args) for step in CHAIN]


def body(embed: str, args: str = "[1]") -> Encoded:
    data = f"[{args},{{}},{embed}]".encode()
    assert len(data) > LONG
    return Encoded({"task": "proj.add", "id": "an-id"}, data)


def test_a_step_that_is_none_is_found_out_when_it_is_its_turn() -> None:
    message = CODEC.decode(body(f'{{"chain":[{{"task":5}},{json.dumps({"task": "y" * LONG})}]}}'), "q")

    assert message.embed.chain[-1].task == "y" * LONG
    with pytest.raises(DecodeError, match="task's name"):
        message.embed.chain[0]


@pytest.mark.parametrize("place", ["args", "chord", "step"])
def test_depth_is_looked_at_before_anything_is_parsed(place: str) -> None:
    deep = "[" * 20_000 + "]" * 20_000
    step = f'{{"task":"x","args":{deep}}}'
    embed = {"args": '{"chain":[]}', "chord": f'{{"chain":[],"chord":{step}}}', "step": f'{{"chain":[{step}]}}'}[place]

    with pytest.raises(DecodeError, match="nested deeper|recursion"):
        CODEC.decode(body(embed, deep if place == "args" else "[1]"), "q").embed.chain[0]


def test_what_is_no_list_of_steps_is_read_as_before() -> None:
    one = json.dumps({"task": "x" * LONG})

    assert CODEC.decode(body(f'{{"chain":{one}}}'), "q").embed.chain == (SignatureSpec(task="x" * LONG),)
    assert CODEC.decode(body('{"chain":null}', f'["{"x" * LONG}"]'), "q").embed.chain == ()
    with pytest.raises(DecodeError, match="expected a list"):
        CODEC.decode(body('{"chain":7}', f'["{"x" * LONG}"]'), "q")
