import errno
from collections.abc import Callable
from dataclasses import replace

import pytest

from leveret.errors import OperationalError
from leveret.links.redis.dial import broken, route, unreachable
from leveret.links.redis.location import Endpoint, Location, Login, Tcp
from leveret.links.redis.refusals import Lost, Refusal

SERVER, MASTER = Tcp("server", 6379), Tcp("master", 7000)
PLAIN = Location(endpoints=(SERVER,), shown="redis://server")
FLEET = Location(
    endpoints=(Tcp("s1", 26379), Tcp("s2", 26379)),
    master_name="main",
    shown="sentinel://s1;sentinel://s2",
    sentinel_login=Login(password="for sentinels"),
    login=Login(username="me", password="for masters"),
    database=2,
)
HELLO = {b"role": b"master", b"proto": 3}


def drive(location: Location, answer: Callable[[Endpoint], list[object]]) -> list[tuple[Endpoint, list[tuple]]]:
    """Follow a route; `answer` answers each call or raises what its connection raised."""
    calls, path = [], route(location)
    call = next(path)
    try:
        while True:
            calls.append((call.endpoint, call.greeting))
            try:
                answers = answer(call.endpoint)
            except OSError as error:
                call = path.throw(unreachable(location, call.endpoint, error))
            else:
                call = path.send(answers)
    except StopIteration:
        return calls


def fleet(location: Location, **answers: object) -> list[Endpoint]:
    """The endpoints called when hosts answer so; a host that is not named answers as it should."""

    def answer(endpoint: Endpoint) -> list[object]:
        said = answers.get(endpoint.host)
        if isinstance(said, OSError):
            raise said
        if said is None:
            said = [HELLO, [b"master", b"7000"]] if endpoint.host.startswith("s") else [HELLO, b"OK", b"PONG"]
        return said

    return [endpoint for endpoint, _ in drive(location, answer)]


def test_a_server_is_greeted_in_one_round_trip():
    location = replace(PLAIN, login=Login(password="p"), database=3)

    assert drive(location, lambda endpoint: [HELLO, b"OK", b"PONG"]) == [
        (SERVER, [("HELLO", 3, "AUTH", "default", "p", "SETNAME", "leveret"), ("SELECT", 3), ("PING",)])
    ]


def test_a_refused_greeting_says_what_to_do():
    with pytest.raises(OperationalError, match=r"redis://server refused: WRONGPASS.*password in the URL is wrong"):
        drive(PLAIN, lambda endpoint: [Refusal("WRONGPASS invalid"), b"PONG"])


def test_a_server_that_is_loading_may_be_asked_again():
    with pytest.raises(Lost, match="LOADING"):
        drive(PLAIN, lambda endpoint: [HELLO, Refusal("LOADING Redis is loading the dataset in memory")])


def test_a_sentinel_names_the_master_and_each_has_its_own_password():
    calls = drive(FLEET, lambda e: [HELLO, [b"master", b"7000"]] if e.host == "s1" else [HELLO, b"OK", b"PONG"])

    assert [endpoint for endpoint, _ in calls] == [Tcp("s1", 26379), MASTER]
    assert calls[0][1][0] == ("HELLO", 3, "AUTH", "default", "for sentinels", "SETNAME", "leveret")
    assert calls[1][1][:2] == [("HELLO", 3, "AUTH", "me", "for masters", "SETNAME", "leveret"), ("SELECT", 2)]


@pytest.mark.parametrize(
    "first", [ConnectionRefusedError("refused"), [HELLO, None], [Refusal("NOAUTH x"), Refusal("NOAUTH x")]]
)
def test_the_next_sentinel_is_asked_when_one_does_not_know(first):
    assert fleet(FLEET, s1=first) == [Tcp("s1", 26379), Tcp("s2", 26379), MASTER]


def test_a_master_that_became_a_replica_is_none():
    with pytest.raises(OperationalError, match="no master of main any more") as caught:
        fleet(FLEET, master=[{b"role": b"replica"}, b"OK", b"PONG"])

    assert str(caught.value).count("no master of main") == 2, "both sentinels were asked"


def test_when_nobody_answers_all_of_them_are_named():
    with pytest.raises(OperationalError, match=r"\(s1:26379\): no; .*\(s2:26379\): no answer within 4 s"):
        fleet(FLEET, s1=OSError("no"), s2=TimeoutError())


def test_errors_name_the_server_and_the_reason():
    assert str(unreachable(PLAIN, SERVER, OSError(errno.ECONNREFUSED, "Connect call failed"))) == (
        "cannot reach Redis at redis://server: Connection refused"
    )
    assert str(broken(PLAIN, TimeoutError())) == "Redis at redis://server did not answer within 6 s"
    assert str(broken(PLAIN, ConnectionResetError("closed by the server"))) == (
        "the connection to Redis at redis://server broke: closed by the server"
    )
    assert str(broken(PLAIN, None)) == "the connection to Redis at redis://server broke"
