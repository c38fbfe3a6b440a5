import pytest
from hiredis import ProtocolError

from leveret.links.redis.conversation import INVALIDATED, Conversation
from leveret.links.redis.refusals import Refusal


def test_answers_come_in_the_order_of_the_commands():
    talk = Conversation()
    sent = talk.pack([("GET", "a"), ("GET", b"b")])

    assert sent == b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"
    assert talk.receive(b"$1\r\n1\r\n_\r\n") == ([b"1", None], [])
    assert talk.owed == 0


def test_an_answer_may_come_in_pieces():
    talk = Conversation()
    talk.pack([("GET", "a")])

    assert talk.receive(b"$3\r\nab") == ([], [])
    assert talk.receive(b"c\r\n") == ([b"abc"], [])


def test_messages_come_between_answers():
    talk = Conversation()
    talk.pack([("GET", "a"), ("GET", "b")])

    heard = talk.receive(b"$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n$1\r\n2\r\n")

    assert heard == ([b"1", b"2"], [(b"c", b"hi")])


def confirmed(kind: bytes, channel: bytes) -> bytes:
    return b">3\r\n$%d\r\n%b\r\n$1\r\n%b\r\n:1\r\n" % (len(kind), kind, channel)


def test_a_subscription_is_answered_once_for_all_its_channels():
    talk = Conversation()
    talk.pack([("SUBSCRIBE", "a", "b"), ("GET", "x"), ("UNSUBSCRIBE", "a")])

    assert talk.receive(confirmed(b"subscribe", b"a")) == ([], [])
    assert talk.receive(confirmed(b"subscribe", b"b")) == ([None], [])
    assert talk.receive(b"_\r\n" + confirmed(b"unsubscribe", b"a")) == ([None, None], [])


def test_a_refused_subscription_is_answered_by_the_refusal():
    talk = Conversation()
    talk.pack([("SUBSCRIBE", "a", "b"), ("GET", "x")])

    (refusal, value), _ = talk.receive(b"-NOPERM no channels\r\n$1\r\n1\r\n")

    assert isinstance(refusal, Refusal) and refusal.code == "NOPERM"
    assert value == b"1"


def test_other_pushes_are_passed_over():
    talk = Conversation()

    assert talk.receive(b">2\r\n$21\r\ntracking-redir-broken\r\n:7\r\n") == ([], [])


def test_keys_that_changed_are_told_like_messages():
    talk = Conversation()

    both = b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
    all_of_them = b">2\r\n$10\r\ninvalidate\r\n_\r\n"

    assert talk.receive(both) == ([], [(INVALIDATED, b"a"), (INVALIDATED, b"b")])
    assert talk.receive(all_of_them) == ([], [(INVALIDATED, b"")])


@pytest.mark.parametrize("data", [b"+OK\r\n", confirmed(b"subscribe", b"a"), b"HTTP/1.1 400 Bad Request\r\n"])
def test_what_nobody_asked_for_is_an_error(data):
    with pytest.raises(ProtocolError):
        Conversation().receive(data)


@pytest.mark.parametrize("where", ["@user_script:55: @user_script: 55: -", "@user_script:55: ", ""])
def test_what_redis_6_says_from_inside_a_script_is_what_redis_7_says(where):
    said = "OOM command not allowed when used memory > 'maxmemory'."

    refusal = Refusal(f"ERR Error running script (call to f_{'a0' * 20}): {where}{said}")

    assert (refusal.code, str(refusal)) == ("OOM", said)
