"""RabbitMQ for tests: it can be killed, it is private, it has the options that were asked for."""

import ssl
import urllib.request

import amqp
import pytest
from tests.integration.servers.clients import channel, declare, publish, take
from tests.servers.availability import rabbitmq_home, require
from tests.servers.cluster import RabbitCluster
from tests.servers.host.ports import listens
from tests.servers.rabbit.remote import ConsoleError, Rabbit, Vhost, answers
from tests.servers.rabbitmq import RabbitOptions, RabbitServer

KINDS = ("classic", "quorum")


def test_durable_messages_survive_kill_9(own_rabbit: RabbitServer) -> None:
    with channel(own_rabbit.port) as open_channel:
        for kind in KINDS:
            declare(open_channel, kind, kind)
            publish(open_channel, kind, f"kept in {kind}")
    own_rabbit.sync()

    own_rabbit.kill()
    assert not listens(own_rabbit.port)
    own_rabbit.start()

    with channel(own_rabbit.port) as open_channel:
        assert [take(open_channel, kind) for kind in KINDS] == ["kept in classic", "kept in quorum"]


def test_a_vhost_is_fresh(rabbit: Rabbit) -> None:
    for _ in range(2):
        vhost = rabbit.vhost("again")
        with channel(rabbit.port, vhost.name) as open_channel:
            with pytest.raises(amqp.NotFound):
                take(open_channel, "tasks")
            declare(open_channel.connection.channel(), "tasks")
    rabbit.drop_vhost("again")


def test_every_test_has_a_vhost_of_its_own(rabbit: Rabbit, rabbit_vhost: Vhost) -> None:
    other = rabbit.vhost()

    names = rabbit.ctl("list_vhosts", "name").split()

    assert rabbit_vhost.url == f"amqp://guest:guest@127.0.0.1:{rabbit.port}/{rabbit_vhost.name}"
    assert {rabbit_vhost.name, other.name} <= set(names)
    rabbit.drop_vhost(other.name)
    assert rabbit.evaluate(f'rabbit_vhost:exists(<<"{other.name}">>).') == "false"


def test_what_the_server_cannot_evaluate_is_said(rabbit: Rabbit) -> None:
    with pytest.raises(ConsoleError, match="badarith"):
        rabbit.evaluate("1 / 0.")


def test_a_server_has_the_options_that_were_asked_for() -> None:
    require(rabbitmq_home)
    options = RabbitOptions(conf=("consumer_timeout = 5000",), plugins=("rabbitmq_prometheus",), tls=True)

    with RabbitServer(options) as server:
        address, certificates = server.address, server.certificates
        assert server.evaluate("application:get_env(rabbit, consumer_timeout).") == "{ok,5000}"

        url = f"http://127.0.0.1:{address.prometheus_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"rabbitmq_identity_info" in answer.read()

        assert address.tls_port is not None
        assert answers(address.tls_port, certificates.client_context())
        assert not answers(address.tls_port, certificates.client_context(certified=False))
        assert not answers(address.tls_port, ssl.create_default_context())


def test_an_unknown_plugin_is_refused() -> None:
    require(rabbitmq_home)

    with pytest.raises(ValueError, match="has no plugin rabbitmq_nonsense"):
        RabbitServer(RabbitOptions(plugins=("rabbitmq_nonsense",)))


def test_a_cluster_elects_another_leader(rabbit_cluster: RabbitCluster) -> None:
    vhost = rabbit_cluster.vhost()
    with channel(rabbit_cluster.nodes[1].port, vhost.name) as open_channel:
        declare(open_channel, "tasks", "quorum")
        publish(open_channel, "tasks", "kept by two")
    first = rabbit_cluster.leader("tasks", vhost.name)

    rabbit_cluster.kill(first)
    second = rabbit_cluster.leader("tasks", vhost.name)
    rabbit_cluster.restart(first)

    assert second != first
    with channel(rabbit_cluster.nodes[first].port, vhost.name) as open_channel:
        assert take(open_channel, "tasks") == "kept by two"
