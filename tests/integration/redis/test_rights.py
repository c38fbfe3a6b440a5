"""Users of Redis's access lists: without channels waiting is slower, without a command the error says what to grant."""

import asyncio
import re
import threading
import time
from pathlib import Path

import pytest
from tests.integration.redis.rig import driver, success
from tests.integration.sql.rig import node, posting, session

from leveret.errors import OperationalError
from leveret.links.redis.ledger import grant
from leveret.links.redis.refusals import LEDGER_RIGHTS, RIGHTS
from leveret.model.delivery import Charge, SessionId
from leveret.model.node import Pulse
from leveret.model.node import Testimony as Told
from leveret.model.settlement import Seat
from leveret.ports.ledger import CLEAR
from leveret.ports.outbox import Unsent

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "redis-keys.md"


def login(server, *rules: str) -> str:
    """A user with just these rules."""
    server.cli("ACL", "SETUSER", "someone", "reset", "on", ">secret", *rules)
    return server.url.replace("redis://", "redis://someone:secret@")


@pytest.mark.parametrize("face", ["loop", "thread"])
def test_without_channels_a_waiter_looks_twice_a_second_and_says_so_once(server, caplog, face):
    drv = driver(login(server, "~*", "+@all"))
    storing = driver(login(server, "~*", "+@all")).blocking_backend()
    blocking = drv.blocking_backend()

    async def on_loop(name: str):
        backend = drv.backend()
        wait = asyncio.create_task(backend.wait([name], 10))
        await asyncio.sleep(0.1)
        assert await asyncio.to_thread(storing.store, (success(name),)) == (True,)
        found = await wait
        await backend.close()
        return found

    for name in ("a", "b"):
        began = time.monotonic()
        if face == "loop":
            found = asyncio.run(on_loop(name))
        else:
            storing_later(storing, name)
            found = blocking.wait([name], 10)
        assert found[0].state == "SUCCESS"
        assert time.monotonic() - began < 1.5
    told = [record.message for record in caplog.records if record.name == "leveret.redis"]
    assert len(told) == 2, "once for each driver"
    for line, verb in zip(sorted(told), ("publish", "subscribe"), strict=True):
        assert line.startswith(f"the Redis user of {drv.address} may not {verb} on result channels")
        assert line.endswith("Grant it with: ACL SETUSER <user> &*")


def storing_later(storing, name: str) -> None:
    threading.Timer(0.1, storing.store, ((success(name),),)).start()


def test_a_publisher_without_channels_is_heard_late_but_heard(server):
    """The waiter may subscribe, whoever stores may not publish."""
    storing = driver(login(server, "~*", "+@all")).blocking_backend()
    waiting = driver(server).blocking_backend()
    storing_later(storing, "a")
    began = time.monotonic()

    assert waiting.wait(["a"], 10)[0].state == "SUCCESS"
    assert time.monotonic() - began < 1.5


def test_denied_channels_are_not_asked_for_again_and_again(server):
    face = driver(login(server, "~*", "+@all")).blocking_backend()
    face.store((success("a"),))
    server.cli("ACL", "LOG", "RESET")

    for n in range(20):
        face.store((success(f"b{n}"),))
    assert server.cli("ACL", "LOG") == ""


@pytest.mark.parametrize("text", [RIGHTS, "the page"])
def test_the_rights_we_ask_for_are_enough(server, text):
    rules = RIGHTS if text != "the page" else re.search(r"ACL SETUSER worker on >secret (.*)", PAGE.read_text())[1]
    words = rules.split() if text == "the page" else ["~celery-task*", "~leveret:*", *rules.split(), "&*"]
    drv = driver(login(server, *words))
    face = drv.blocking_backend()

    async def rest() -> None:
        backend = drv.backend()
        await backend.arrive((Seat(join="j", index=0, size=1, value=b"x"),))
        assert (await backend.wait(["a"], 1))[0].state == "SUCCESS"
        await backend.close()

    server.cli("SCRIPT", "FLUSH")
    assert face.store((success("a"),)) == (True,)
    assert face.wait(["a"], 1)[0].state == "SUCCESS"
    asyncio.run(rest())
    face.forget(["a"])
    assert face.get(["a"]) == (None,)


A, RUNS = SessionId("a"), (("x", 0), ("y", 1))
OUR_KEYS = ("~celery-task*", "~leveret:*")
CHARGED = Told(id="x", charges=(Charge(reason="oom", at=1.0),), suspect=True)


async def remember(drv) -> list:
    """Everything that ledger and outbox do; what the ledger answered."""
    ledger, outbox, of = drv.ledger(), drv.outbox(), node("n", incarnation="2")
    await ledger.register(node("n", pid=1 << 22), ())
    await ledger.register(of, (session("a", of, quarantine=True),))
    await ledger.testify((CHARGED,))
    await drv.chores().upkeep()
    answers = [await ledger.beat(of), await ledger.nodes(), *await ledger.take(A, RUNS), await ledger.take(A, (), RUNS)]
    await ledger.take(A, RUNS)
    await ledger.end(A)
    await ledger.register(of, (session("b", of, quarantine=True),))
    await ledger.take(SessionId("b"), RUNS)
    # As another's beat does with its lease, its process being gone.
    await ledger.register(node("n", incarnation="3", pid=of.pid + 1), ())
    await ledger.leave(of)
    await outbox.intend(Unsent(id="x", postings=(posting("a"),)), 0.0)
    answers.append([one.id for one in await outbox.overdue(10)])
    await outbox.sent(("x",))
    return answers


@pytest.mark.parametrize("text", [f"{RIGHTS} {LEDGER_RIGHTS}", "the page"])
def test_the_further_rights_are_enough_for_ledger_and_outbox(server, caplog, text):
    rules = text.split()
    if text == "the page":
        rules = [word for words in re.findall(r"ACL SETUSER worker (.*)", PAGE.read_text()) for word in words.split()]
        rules = [word for word in rules if word not in ("on", ">secret")]
    server.cli("SCRIPT", "FLUSH")

    pulse, nodes, charged, clear, none, overdue = asyncio.run(remember(driver(login(server, *OUR_KEYS, *rules, "&*"))))

    assert pulse.reaped == 0 and [one.incarnation for one in nodes] == ["2"]
    assert charged.charges == CHARGED.charges and charged.suspect
    assert (clear, none, overdue) == (CLEAR, (), ["x"])
    assert not [record for record in caplog.records if record.name == "leveret.redis"]


def test_each_of_them_is_needed(server, caplog):
    words = LEDGER_RIGHTS.split()
    for word in words:
        rest = (other for other in words if other != word)
        drv = driver(login(server, *OUR_KEYS, *RIGHTS.split(), *rest, "&*"))
        server.cli("DEL", "leveret:outbox:x")
        asyncio.run(remember(drv))
        server.cli("FLUSHALL")
    told = [record.message for record in caplog.records if record.name == "leveret.redis"]
    assert len(told) == len(words)


def test_without_them_the_broker_is_on_its_own_and_one_line_says_so(server, caplog):
    drv = driver(login(server, *OUR_KEYS, *RIGHTS.split(), "&*"))

    answers = asyncio.run(remember(drv))
    drv.blocking_outbox().intend(Unsent(id="x", postings=(posting("a"),)), 0.0)
    drv.blocking_outbox().sent(("x",))

    assert answers == [Pulse(), (), CLEAR, CLEAR, (), []]
    assert drv.blocking_backend().store((success("a"),)) == (True,)
    (told,) = [record.message for record in caplog.records if record.name == "leveret.redis"]
    assert told.startswith(f"the Redis user of {drv.address} may keep results, but no ledger and no outbox (")
    assert told.endswith(f"Grant it with: ACL SETUSER <user> {LEDGER_RIGHTS}")
    assert server.cli("KEYS", "leveret:*") == ""


def test_rights_granted_later_are_noticed(server, caplog, monkeypatch):
    drv = driver(login(server, *OUR_KEYS, *RIGHTS.split(), "&*"))
    of = node("n", incarnation="2")

    async def main() -> None:
        assert await drv.ledger().beat(of) == Pulse()
        server.cli("ACL", "SETUSER", "someone", *LEDGER_RIGHTS.split())
        assert await drv.ledger().beat(of) == Pulse(), "not tried again yet"
        monkeypatch.setattr(drv._grant, "_closed_until", 0.0)
        assert (await drv.ledger().beat(of)).revived, "its supervisor announces its sessions"

    asyncio.run(main())
    assert grant.AGAIN_SECONDS == 60


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (("~*", "+@all", "-@scripting", "&*"), r"NOPERM.*'evalsha'.*Grant the user"),
        (("~other*", "+@all", "&*"), r"refused: .*(NOPERM|keys)"),
    ],
)
def test_a_missing_right_is_named(server, rules, said):
    face = driver(login(server, *rules)).blocking_backend()

    with pytest.raises(OperationalError, match=said):
        face.store((success("a"),))
    with pytest.raises(OperationalError, match=said):
        asyncio.run(_store(driver(login(server, *rules))))
    assert server.cli("DBSIZE") == "0"


async def _store(drv) -> None:
    await drv.backend().store((success("a"),))


@pytest.mark.parametrize("face", ["loop", "thread"])
def test_a_wrong_password_is_known_at_once(server, face):
    login(server, "~*", "+@all")
    drv = driver(server.url.replace("redis://", "redis://someone:wrong@"))
    began = time.monotonic()

    with pytest.raises(OperationalError, match="the password in the URL is wrong") as caught:
        if face == "loop":
            asyncio.run(drv.backend().wait(["a"], 30))
        else:
            drv.blocking_backend().wait(["a"], 30)

    assert time.monotonic() - began < 2
    assert "someone:**@" in str(caught.value) and ":wrong" not in str(caught.value)


def test_a_password_is_asked_for(own_server):
    own_server.cli("CONFIG", "SET", "requirepass", "secret")

    with pytest.raises(OperationalError, match="It wants a password: put it into the URL"):
        driver(own_server).blocking_backend().get(["a"])
    face = driver(own_server.url.replace("redis://", "redis://:secret@")).blocking_backend()
    assert face.get(["a"]) == (None,)
    face.close()
