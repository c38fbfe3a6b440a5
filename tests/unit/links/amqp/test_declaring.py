from collections.abc import Mapping
from typing import Any

import kombu
import kombu.common
import pytest
from celery import Celery
from kombu.transport.base import to_rabbitmq_queue_arguments
from kombu.transport.native_delayed_delivery import declare_native_delayed_delivery_exchanges_and_queues
from pamqp import commands

from leveret.config.settings import Settings
from leveret.errors import EncodeError, ImproperlyConfigured, OperationalError, QueueNotFound
from leveret.links.amqp import declaring, letters, names
from leveret.links.amqp.declaring import Place, Steps
from leveret.links.amqp.protocol.connection import marshal
from leveret.links.amqp.protocol.errors import ChannelClosed
from leveret.model.queue import Broadcast, Exchange, Queue, as_queue, binding
from leveret.model.topology import Topology
from leveret.wiring.topology import build_topology

Call = tuple[str, dict[str, Any]]


class Server:
    """Answers as RabbitMQ does, and notes what was made and bound."""

    def __init__(self, queues: Mapping[str, Any] | None = None, exchanges: Mapping[str, Any] | None = None) -> None:
        self.queues = dict(queues or {})
        self.exchanges = dict(exchanges or {})
        self.asked: list[str] = []
        self.made: list[Call] = []
        self.refusing: dict[str, ChannelClosed] = {}
        self.rival: dict[str, Any] = {}
        """Queues somebody else makes between our look and our declaration."""

    def run(self, steps: Steps) -> Any:
        answer = None
        while True:
            try:
                method = steps.send(answer)
            except StopIteration as stop:
                return stop.value
            # What cannot be written would never reach a broker.
            assert marshal(1, method)
            answer = self.answer(method)

    def answer(self, method: Any) -> Any:
        asked = f"{method.name} {getattr(method, 'queue', None) or getattr(method, 'exchange', '')}"
        passive = getattr(method, "passive", False)
        self.asked.append(f"{asked} passive" if passive else asked)
        if asked in self.refusing:
            return self.refusing[asked]
        match method:
            case commands.Queue.Declare():
                return self._declare_queue(method)
            case commands.Exchange.Declare():
                return self._declare_exchange(method)
        self.made.append(plain(method))
        return object()

    def _declare_queue(self, method: commands.Queue.Declare) -> Any:
        name = method.queue
        if method.passive and name not in self.queues:
            return ChannelClosed(404, f"NOT_FOUND - no queue {name!r}")
        if not method.passive:
            self.queues.update(self.rival)
            if self.queues.setdefault(name, method.arguments) != method.arguments:
                return ChannelClosed(406, "PRECONDITION_FAILED - inequivalent arg")
            self.made.append(plain(method))
        return commands.Queue.DeclareOk("", 3, 2)

    def _declare_exchange(self, method: commands.Exchange.Declare) -> Any:
        name = method.exchange
        if method.passive and name not in self.exchanges:
            return ChannelClosed(404, f"NOT_FOUND - no exchange {name!r}")
        if not method.passive:
            self.exchanges[name] = method.exchange_type
            self.made.append(plain(method))
        return commands.Exchange.DeclareOk()


def plain(method: Any) -> Call:
    fields = {name: value for name, value in method if name not in ("ticket", "nowait", "passive", "internal")}
    return method.name, fields


class Recorder:
    """A channel that kombu declares on."""

    def __init__(self) -> None:
        self.made: list[Call] = []

    connection = None
    is_open = True

    def prepare_queue_arguments(self, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
        return to_rabbitmq_queue_arguments(arguments, **options)

    def queue_declare(self, queue: str, passive: bool, nowait: bool, arguments: Any, **fields: Any) -> Any:
        assert not passive
        self._note("Queue.Declare", queue=queue, arguments=arguments or {}, **fields)
        return queue, 0, 0

    def exchange_declare(self, exchange: str, type: str, nowait: bool, passive: bool, **fields: Any) -> None:
        fields["arguments"] = fields.get("arguments") or {}
        self._note("Exchange.Declare", exchange=exchange, exchange_type=type, **fields)

    def queue_bind(self, queue: str, exchange: str, routing_key: str, arguments: Any, nowait: bool) -> None:
        self._note("Queue.Bind", queue=queue, exchange=exchange, routing_key=routing_key, arguments=arguments or {})

    def exchange_bind(self, destination: str, source: str, routing_key: str, arguments: Any, nowait: bool) -> None:
        self._note(
            "Exchange.Bind", destination=destination, source=source, routing_key=routing_key, arguments=arguments or {}
        )

    def channel(self) -> "Recorder":
        return self

    def _note(self, name: str, **fields: Any) -> None:
        self.made.append((name, fields))


def unordered(calls: list[Call]) -> list[str]:
    """Each once: kombu declares an exchange again with every queue, we find it."""
    return sorted(
        {f"{name} {sorted((field, repr(value)) for field, value in fields.items())}" for name, fields in calls}
    )


# As Celery

SAID: dict[str, dict[str, Any]] = {
    "nothing": {},
    "own default queue": {"task_default_queue": "photos"},
    "own exchange and key": {
        "task_default_queue": "photos",
        "task_default_exchange": "media",
        "task_default_exchange_type": "topic",
        "task_default_routing_key": "media.photos",
    },
    "priorities": {"task_queue_max_priority": 7},
    "quorum": {"task_default_queue_type": "quorum"},
    "classic": {"task_default_queue_type": "classic"},
    "quorum beside a list": {
        "task_default_queue_type": "quorum",
        "task_queues": lambda kit: [kit.Queue("celery", kit.Exchange("celery"), "celery"), kit.Queue("other")],
    },
    "missing ones quorum": {"task_create_missing_queue_type": "quorum"},
    "missing ones classic": {"task_create_missing_queue_type": "classic"},
    "missing ones with a topic exchange": {
        "task_create_missing_queue_type": "quorum",
        "task_create_missing_queue_exchange_type": "topic",
        "task_default_queue_type": "quorum",
    },
    "quorum with priorities": {"task_default_queue_type": "quorum", "task_queue_max_priority": 7},
    "listed": {
        "task_queues": lambda kit: [
            kit.Queue("high", kit.Exchange("media", "topic"), "media.#"),
            kit.Queue("low", routing_key="slow"),
            kit.Queue("bare"),
        ]
    },
    "listed, with an own exchange for all": {
        "task_queues": lambda kit: [kit.Queue("high"), kit.Queue("low", kit.Exchange("low"), "low")],
        "task_default_exchange": "media",
        "task_default_exchange_type": "topic",
        "task_default_routing_key": "media.default",
    },
    "listed, with every option": {
        "task_queue_max_priority": 4,
        "task_queues": lambda kit: [
            kit.Queue(
                "full",
                kit.Exchange("brief", "fanout", durable=False, auto_delete=True, arguments={"alternate-exchange": "x"}),
                "key",
                durable=False,
                auto_delete=True,
                expires=60.5,
                message_ttl=1.25,
                max_length=10,
                max_length_bytes=1000,
                max_priority=9,
                queue_arguments={"x-queue-mode": "lazy", "x-max-priority": 3},
                binding_arguments={"x-match": "all"},
            ),
            kit.Queue("plain", kit.Exchange("plain"), "plain", queue_arguments={"x-max-priority": 3}),
            kit.Queue("alone", kit.Exchange("alone"), "alone", exclusive=True),
        ],
    },
    "listed, with several bindings": {
        "task_queues": lambda kit: [
            kit.Queue(
                "both",
                [
                    kit.binding(kit.Exchange("media", "topic"), routing_key="a.#"),
                    kit.binding(kit.Exchange("media", "topic"), routing_key="b.#", arguments={"k": 1}),
                ],
            )
        ],
    },
    "listed as a dict": {
        "task_queues": {
            "high": {"exchange": "media", "exchange_type": "topic", "routing_key": "media.#"},
            "low": {"exchange": "low", "queue_arguments": {"x-max-length": 5}},
        },
    },
    "never declared": {
        "task_queues": lambda kit: [kit.Queue("theirs", kit.Exchange("theirs"), "theirs", no_declare=True)],
    },
}


def declared_by_celery(said: Mapping[str, Any]) -> list[Call]:
    app = Celery(set_as_current=False)
    app.conf.update({name: value(kombu) if callable(value) else value for name, value in said.items()})
    channel = Recorder()
    for name in [*app.amqp.queues, "missing"]:
        app.amqp.queues[name].bind(channel).declare()
    return channel.made


def topology_of(said: Mapping[str, Any], kit: Any) -> Topology:
    values = {name: value(kit) if callable(value) else value for name, value in said.items()}
    return build_topology(Settings(profile="celery", **values))


class Ours:
    """Our own words for what kombu has."""

    Queue, Exchange, binding = Queue, Exchange, binding


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("kit", [kombu, Ours], ids=["pasted from kombu", "in our words"])
def test_under_the_celery_profile_all_is_declared_as_celery_declares_it(said: str, kit: Any) -> None:
    topology = topology_of(SAID[said], kit)
    server = Server()

    for name in [*topology.queues, "missing"]:
        if not topology.queue(name).no_declare:  # which must be there
            server.run(declaring.queue_and_bindings(topology, name))

    assert unordered(server.made) == unordered(declared_by_celery(SAID[said]))


def test_the_ladder_is_kombus_under_a_prefix_of_our_own() -> None:
    theirs = Recorder()
    declare_native_delayed_delivery_exchanges_and_queues(theirs, "quorum", names.PREFIX)
    server = Server()

    server.run(declaring.ladder(names.LADDER_BITS - 1))

    own = [
        ("Exchange.Declare", {"exchange": names.UNROUTABLE, "exchange_type": "fanout"}),
        ("Queue.Declare", {"queue": names.UNROUTABLE}),
        ("Queue.Bind", {"queue": names.UNROUTABLE}),
    ]
    made = [
        (name, {**fields, "arguments": {}} if fields.get("exchange") == names.DELIVERY_EXCHANGE else fields)
        for name, fields in server.made
        if not any(name == kind and fields.items() >= said.items() for kind, said in own)
    ]
    assert len(made) == len(server.made) - len(own)
    assert unordered(made) == unordered(theirs.made)
    (delivery,) = [fields for _, fields in server.made if fields.get("exchange") == names.DELIVERY_EXCHANGE]
    assert delivery["arguments"] == {"alternate-exchange": names.UNROUTABLE}


# Our own


def test_our_queues_are_quorum_queues_whose_limit_leads_to_our_dead_letters() -> None:
    server = Server()

    place = server.run(declaring.queue_and_bindings(Topology(), "photos"))

    assert place == Place(messages=3, consumers=2, made=True)
    assert server.made == [
        (
            "Queue.Declare",
            {
                "queue": "photos",
                "durable": True,
                "exclusive": False,
                "auto_delete": False,
                "arguments": {
                    "x-queue-type": "quorum",
                    "x-delivery-limit": 100,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-routing-key": "leveret.dead.photos",
                },
            },
        )
    ]


@pytest.mark.parametrize(
    ("queue", "topology", "kind"),
    [
        (Queue("q"), Topology(), "quorum"),
        (Queue("q"), Topology(queue_type="classic"), "classic"),
        (Queue("q"), Topology(queue_type="quorum"), "quorum"),
        (Queue("q"), Topology(max_priority=5), None),
        (Queue("q"), Topology(max_priority=5, queue_type="quorum"), None),
        (Queue("q", max_priority=5), Topology(queue_type="quorum"), None),
        (Queue("q", durable=False), Topology(), None),
        (Queue("q", exclusive=True), Topology(), None),
        (Queue("q", auto_delete=True), Topology(), None),
        (Queue("q", queue_arguments={"x-queue-mode": "lazy"}), Topology(), None),
        (Queue("q", queue_arguments={"x-queue-type": "stream"}), Topology(queue_type="quorum"), "stream"),
        (Queue("q", queue_arguments={"x-queue-type": "quorum"}), Topology(max_priority=5), "quorum"),
    ],
)
def test_the_kind_of_a_queue(queue: Queue, topology: Topology, kind: str | None) -> None:
    arguments = declaring.queue_arguments(queue, topology)

    assert arguments.get("x-queue-type") == kind
    assert ("x-delivery-limit" in arguments) == (kind == "quorum")


def test_what_was_said_of_a_queue_stands() -> None:
    said = {"x-queue-type": "quorum", "x-delivery-limit": 5, "x-dead-letter-exchange": "dlx"}

    arguments = declaring.queue_arguments(Queue("q", queue_arguments=said), Topology())

    assert arguments.items() >= said.items()


def test_a_queue_that_is_there_is_taken_as_it_is() -> None:
    server = Server({"photos": {"x-queue-type": "classic"}})

    place = server.run(declaring.queue_and_bindings(Topology(), "photos"))

    assert (place, server.made) == (Place(messages=3, consumers=2), [])


def test_who_loses_the_race_takes_the_others_queue() -> None:
    server = Server()
    server.rival = {"photos": {"x-queue-type": "classic"}}

    place = server.run(declaring.queue_and_bindings(Topology(), "photos"))

    assert place == Place(messages=3, consumers=2)
    assert [asked.split(" ", 1)[1] for asked in server.asked] == ["photos passive", "photos", "photos passive"]


def test_a_declaration_that_is_refused_is_told_in_the_brokers_words() -> None:
    for code, text in ((403, "ACCESS_REFUSED - no"), (405, "RESOURCE_LOCKED - exclusive")):
        server = Server()
        server.refusing = {"Queue.Declare photos": ChannelClosed(code, text)}
        with pytest.raises(OperationalError, match=f"queue 'photos': the broker refused: {code} {text}"):
            server.run(declaring.queue_and_bindings(Topology(), "photos"))


def test_a_queue_that_must_not_be_declared_must_be_there() -> None:
    topology = Topology(queues={"theirs": Queue("theirs", Exchange("e"), "k", no_declare=True)})

    with pytest.raises(QueueNotFound, match="no_declare"):
        Server().run(declaring.queue_and_bindings(topology, "theirs"))
    server = Server({"theirs": {}})
    assert server.run(declaring.queue_and_bindings(topology, "theirs")) == Place(messages=3, consumers=2)
    assert server.made == []


def test_bindings_make_their_exchanges_first() -> None:
    bound = Queue("photos", Exchange("media", "topic"), "photos.#", binding_arguments={"k": 1})
    server = Server({"photos": {}})

    server.run(declaring.queue_and_bindings(Topology(queues={"photos": bound}), "photos"))

    assert server.made == [
        (
            "Exchange.Declare",
            {"exchange": "media", "exchange_type": "topic", "durable": True, "auto_delete": False, "arguments": {}},
        ),
        (
            "Queue.Bind",
            {"queue": "photos", "exchange": "media", "routing_key": "photos.#", "arguments": {"k": 1}},
        ),
    ]


def test_an_exchange_of_another_type_that_is_there_first_is_taken() -> None:
    server = Server()
    server.refusing = {"Exchange.Declare media": ChannelClosed(406, "PRECONDITION_FAILED")}
    steps = declaring.exchange(Exchange("media"))
    steps.send(None)
    steps.send(ChannelClosed(404, "NOT_FOUND"))

    with pytest.raises(StopIteration):
        steps.send(ChannelClosed(406, "PRECONDITION_FAILED"))


@pytest.mark.parametrize("wanted", [Exchange("media", passive=True), Exchange("media", no_declare=True)])
def test_an_exchange_that_must_be_there_is_not_made(wanted: Exchange) -> None:
    server = Server()

    with pytest.raises(OperationalError, match="exchange 'media': the broker refused: 404"):
        server.run(declaring.exchange(wanted))
    assert server.made == []


def test_a_refused_binding_names_both_ends() -> None:
    server = Server({"photos": {}}, {"media": "topic"})
    server.refusing = {"Queue.Bind photos": ChannelClosed(403, "ACCESS_REFUSED")}
    topology = Topology(queues={"photos": Queue("photos", Exchange("media", "topic"), "#")})

    with pytest.raises(OperationalError, match="binding of 'photos' to 'media': the broker refused: 403"):
        server.run(declaring.queue_and_bindings(topology, "photos"))


def test_a_broadcast_needs_only_its_exchange_for_who_sends() -> None:
    server = Server()
    topology = Topology(queues={"news": Broadcast("news", queue="news")})

    assert server.run(declaring.queue_and_bindings(topology, "news")) is None
    assert [name for name, _ in server.made] == ["Exchange.Declare"]


@pytest.mark.parametrize("name", ["größe", "a|b=c*d", "{tenant}", "a!b"])
def test_any_name_that_rabbitmq_takes_can_be_declared_and_bound(name: str) -> None:
    server = Server()
    topology = Topology(queues={name: Queue(name, Exchange("x" * 200, "topic"), name)})

    server.run(declaring.queue_and_bindings(topology, name))
    server.run(declaring.arrival(name))

    assert name in server.queues and "x" * 200 in server.exchanges


@pytest.mark.parametrize("name", ["", "amq.x", "q" * 191])
def test_a_name_it_cannot_have_is_refused_before_anything_is_asked(name: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        Server().run(declaring.queue_and_bindings(Topology(), name))


def test_an_argument_amqp_cannot_say_is_the_callers_error() -> None:
    topology = Topology(queues={"q": Queue("q", queue_arguments={"x-odd": {1, 2}})})

    with pytest.raises(EncodeError, match=r"Queue\.Declare.*x-odd"):
        Server().run(declaring.queue_and_bindings(topology, "q"))


# The ladder


def test_a_rung_that_is_there_has_all_below_it() -> None:
    server = Server(exchanges={names.level(5): "topic"})

    server.run(declaring.ladder(5))

    assert server.made == []


def test_the_lowest_rungs_come_first_and_each_exchange_after_its_queue() -> None:
    server = Server()

    server.run(declaring.ladder(2))

    made = [fields.get("queue") or fields.get("exchange") for name, fields in server.made if name.endswith("Declare")]
    levels = [names.level(number) for number in range(3)]
    assert made == [
        names.UNROUTABLE,
        names.UNROUTABLE,
        names.DELIVERY_EXCHANGE,
        *(one for one in levels for _ in (1, 2)),
    ]
    kinds = [name for name, fields in server.made if names.level(1) in fields.values()]
    assert kinds.index("Queue.Declare") < kinds.index("Exchange.Declare")


def test_a_taller_ladder_grows_on_a_shorter_one() -> None:
    server = Server()
    server.run(declaring.ladder(1))
    before = len(server.made)

    server.run(declaring.ladder(3))

    made = {fields["queue"] for name, fields in server.made[before:] if name == "Queue.Declare"}
    assert made == {names.level(2), names.level(3)}


def test_the_short_ladder_is_made_at_once_with_a_delivery_of_its_own() -> None:
    server = Server()

    server.run(declaring.short_ladder())
    before = len(server.made)
    server.run(declaring.short_ladder())

    rungs = [names.short_level(number) for number in range(names.SHORT_BITS)]
    queues = [fields["queue"] for name, fields in server.made if name == "Queue.Declare"]
    assert queues == [names.UNROUTABLE, *rungs] and len(server.made) == before
    below = [fields["arguments"]["x-dead-letter-exchange"] for _, fields in server.made if "x-overflow" in str(fields)]
    assert below == [names.SHORT_DELIVERY, *rungs[:-1]]


def test_letters_ask_for_what_is_missing_of_their_ladders_and_no_more() -> None:
    long, short = (letters.delayed("q", delay, b"", b"") for delay in (5.0, 0.3))

    first = declaring.delays([long, short], set(), -1)
    noted = {name for name, _ in first}

    assert noted == {"", names.arrives("q"), names.arrives_shortly(""), names.arrives_shortly("q")}
    assert declaring.delays([long, short], noted, 2) == []
    assert [name for name, _ in declaring.delays([short], set(), -1)] == ["\0", "\0q"]


def test_an_own_queue_is_found_made_or_another_processs() -> None:
    found, made, raced = Server({"leveret.dead.q": {}}), Server(), Server()
    raced.rival = {"leveret.dead.q": {"x-queue-type": "classic"}}

    for server in (found, made, raced):
        assert server.run(declaring.own_queue("leveret.dead.q")).messages == 3

    assert [len(server.made) for server in (found, made, raced)] == [0, 1, 0]


def test_dead_letters_of_a_queue_are_new_once() -> None:
    server = Server()

    assert [server.run(declaring.dead_queue("q")) for _ in range(2)] == [True, False]
    assert set(server.queues) == {"leveret.dead.q", names.INDEX}


def test_looking_makes_nothing() -> None:
    server = Server({"there": {}})

    assert server.run(declaring.look("there")) == Place(messages=3, consumers=2)
    assert server.run(declaring.look("gone")) is None
    assert server.made == []
    server.refusing = {"Queue.Declare there": ChannelClosed(403, "ACCESS_REFUSED")}
    with pytest.raises(OperationalError, match="403"):
        server.run(declaring.look("there"))


# Pasted from kombu


def test_a_kombu_queue_keeps_every_word_that_was_said_of_it() -> None:
    theirs = kombu.Queue(
        "q", kombu.Exchange("e", "topic", durable=False, auto_delete=True, delivery_mode=1), "k", durable=False,
        no_declare=True, consumer_arguments={"x-priority": 5}, expires=5.0, message_ttl=6.0, max_length=7,
        max_length_bytes=8, no_ack=True,
    )  # fmt: skip

    ours = as_queue(theirs)

    assert (ours.durable, ours.no_declare, ours.consumer_arguments) == (False, True, {"x-priority": 5})
    assert (ours.expires, ours.message_ttl, ours.max_length, ours.max_length_bytes) == (5.0, 6.0, 7, 8)
    assert (ours.exchange.durable, ours.exchange.auto_delete, ours.exchange.type) == (False, True, "topic")
    assert ours.no_ack is True


@pytest.mark.parametrize(("queue", "unique", "name", "own"), [(None, False, "bcast.news", True), ("n", True, "n", True), ("n", False, "n", False)])  # fmt: skip
def test_a_kombu_broadcast_is_one(queue: str | None, unique: bool, name: str, own: bool) -> None:
    ours = as_queue(kombu.common.Broadcast("news", queue=queue, unique=unique))

    assert isinstance(ours, Broadcast)
    assert (ours.exchange.name, ours.exchange.type, ours.name, ours.unique) == ("news", "fanout", name, own)
    assert (ours.alias, ours.auto_delete) == ("news", True)
