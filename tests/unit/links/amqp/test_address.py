import ssl
from typing import Any

import kombu
import pytest

from leveret.errors import ImproperlyConfigured
from leveret.links.amqp.address import Address, Failover, addresses
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions


def one(url: str, **options: Any) -> Address:
    (found,) = addresses(Url(url), DriverOptions(**options))
    return found


AS_KOMBU = [
    "amqp://",
    "amqp://h",
    "amqp://h/",
    "amqp://h//",
    "amqp://h/%2f",
    "amqp://h/%2F",
    "amqp://h/photos",
    "amqp://h//photos",
    "amqp://h/photos/high",
    "amqp://h/%2fphotos",
    "amqp://h/a%20b",
    "amqp://h/größe",
    "amqp://h:5673/v",
    "amqp://u@h/v",
    "amqp://u:p@h/v",
    "amqp://u:p@h:1/v",
    "amqp://u%40x:p%3A%2F%40%3F%23%25@h//",
    "amqp://u:p@x@h//",
    "amqp://u:a:b@h//",
    "amqp://[::1]:5673//",
    "pyamqp://u:p@h//",
]


@pytest.mark.parametrize("url", AS_KOMBU)
def test_a_url_is_read_as_kombu_reads_it(url: str) -> None:
    found = one(url)

    theirs = kombu.Connection(url).info()
    assert (found.host, found.port) == (theirs["hostname"] or "localhost", theirs["port"])
    assert found.credentials.virtual_host == theirs["virtual_host"]
    assert found.credentials.user == (theirs["userid"] or "guest")
    assert found.credentials.password == (theirs["password"] or "guest")


def test_what_is_not_said_is_rabbitmqs_default() -> None:
    found = one("amqp://")

    assert (found.host, found.port, found.tls, found.connect_seconds) == ("localhost", 5672, None, 4.0)
    assert (found.credentials.user, found.credentials.password) == ("guest", "guest")
    assert (found.credentials.mechanism, found.credentials.virtual_host, found.credentials.heartbeat) == (
        "PLAIN",
        "/",
        12,
    )


def test_several_brokers_keep_their_order() -> None:
    found = addresses(Url("amqp://a:1@h1//;amqp://b:2@h2:9/v; amqps://h3;"), DriverOptions(), "w1")

    assert [(each.host, each.port, each.credentials.user) for each in found] == [
        ("h1", 5672, "a"), ("h2", 9, "b"), ("h3", 5671, "guest"),
    ]  # fmt: skip
    assert {each.credentials.name for each in found} == {"w1"}


def test_rabbitmqs_own_parameters() -> None:
    found = one(
        "amqps://h//?heartbeat=7&connection_timeout=1500&auth_mechanism=external&cacertfile=/ca.pem&certfile=/c.pem"
        "&keyfile=/k.pem&verify=verify_none&server_name_indication=rabbit"
    )

    assert (found.credentials.heartbeat, found.connect_seconds, found.credentials.mechanism) == (7, 1.5, "EXTERNAL")
    assert found.tls is not None
    assert (found.tls.ca, found.tls.certificate, found.tls.key) == ("/ca.pem", "/c.pem", "/k.pem")
    assert (found.tls.verify, found.tls.server_name) == (False, "rabbit")


def test_what_the_settings_say_unless_the_url_says_it() -> None:
    assert one("amqp://h", heartbeat_seconds=3.0, login_method="EXTERNAL").credentials.heartbeat == 3
    assert one("amqp://h", login_method="EXTERNAL").credentials.mechanism == "EXTERNAL"
    assert one("amqp://h?heartbeat=0&auth_mechanism=plain", login_method="EXTERNAL").credentials.mechanism == "PLAIN"
    assert one("amqp://h", login_method="AMQPLAIN").credentials.mechanism == "PLAIN"


# TLS


@pytest.mark.parametrize(
    ("url", "settings", "on"),
    [
        ("amqp://h", None, False),
        ("amqp://h", False, False),
        ("amqp://h", {}, False),
        ("amqp://h?ssl=false", None, False),
        ("amqp://h?ssl=true", None, True),
        ("amqp://h?ssl=1", None, True),
        ("amqp://h", True, True),
        ("amqp://h", {"ca_certs": "/ca.pem"}, True),
        ("amqps://h", None, True),
        ("amqps://h", False, True),
    ],
)
def test_when_there_is_tls_and_on_which_port(url: str, settings: Any, on: bool) -> None:
    found = one(url, tls=settings)

    assert (found.tls is not None, found.port) == (on, 5671 if on else 5672)


@pytest.mark.parametrize(
    ("required", "verify"),
    [
        (ssl.CERT_REQUIRED, True),
        (ssl.CERT_OPTIONAL, True),
        (ssl.CERT_NONE, False),
        (0, False),
        ("CERT_NONE", False),
        ("ssl.CERT_NONE", False),
        ("none", False),
        ("required", True),
        ("CERT_REQUIRED", True),
    ],
)
def test_verification_is_on_unless_it_is_turned_off_by_name(required: Any, verify: bool) -> None:
    found = one("amqp://h", tls={"cert_reqs": required}).tls

    assert found is not None and found.verify is verify


def test_kombus_dict() -> None:
    found = one(
        "amqp://h",
        tls={
            "ca_certs": "/ca.pem", "certfile": "/c.pem", "keyfile": "/k.pem", "server_hostname": "rabbit",
            "ciphers": "ECDHE+AESGCM", "check_hostname": False, "ssl_version": ssl.PROTOCOL_TLS_CLIENT,
        },
    ).tls  # fmt: skip

    assert found is not None
    assert (found.ca, found.certificate, found.key, found.server_name) == ("/ca.pem", "/c.pem", "/k.pem", "rabbit")
    assert (found.verify, found.check_hostname, found.ciphers) == (True, False, "ECDHE+AESGCM")


@pytest.mark.parametrize(
    ("settings", "mode", "host"),
    [
        (True, ssl.CERT_REQUIRED, True),
        ({"cert_reqs": ssl.CERT_NONE}, ssl.CERT_NONE, False),
        ({"check_hostname": False, "ciphers": "ECDHE+AESGCM"}, ssl.CERT_REQUIRED, False),
    ],
)
def test_the_context_checks_what_was_asked_for(settings: Any, mode: ssl.VerifyMode, host: bool) -> None:
    tls = one("amqp://h", tls=settings).tls
    assert tls is not None

    context = tls.context()

    assert (context.verify_mode, context.check_hostname) == (mode, host)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


# What is wrong


@pytest.mark.parametrize(
    ("url", "options", "part"),
    [
        ("", {}, "broker_url is empty"),
        (";", {}, "broker_url is empty"),
        ("http://h", {}, "the scheme is none of amqp, pyamqp, amqps"),
        ("amqp://h;redis://h", {}, "redis://h"),
        ("amqp://h:port", {}, "a port is a number"),
        ("amqp://h:70000", {}, "a port is a number"),
        ("amqp://[::1", {}, "host or port cannot be read"),
        ("amqp://h?heart=5", {}, "unknown parameter 'heart'"),
        ("amqp://h?heartbeat=often", {}, "heartbeat='often'"),
        ("amqp://h?heartbeat=", {}, "heartbeat"),
        ("amqp://h?heartbeat=-1", {}, "heartbeat='-1'"),
        ("amqp://h?heartbeat=nan", {}, "heartbeat='nan'"),
        ("amqp://h?heartbeat=inf", {}, "heartbeat='inf'"),
        ("amqp://h?heartbeat=70000", {}, "from 0 to 65535"),
        ("amqp://h?connection_timeout=soon", {}, "connection_timeout='soon'"),
        ("amqp://h?auth_mechanism=kerberos", {}, "auth_mechanism 'kerberos'"),
        ("amqps://h?verify=none", {}, "verify='none'"),
        ("amqp://h/" + "v" * 128, {}, "virtual host 'v"),
        ("amqp://h", {"tls": {"ca_cert": "/ca.pem"}}, "broker_use_ssl: unknown option 'ca_cert'"),
    ],
)
def test_what_is_wrong_is_named(url: str, options: dict[str, Any], part: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=part):
        addresses(Url(url), DriverOptions(**options))


PASSWORDS = ["secret", "se/cret", "se#cret", "se?cret", "se@cret", "se:cret", "se cret", "s%2Fecret", "sec/r@et"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "url", ["http://u:{}@h//", "amqp://u:{}@h:port//", "amqp://h1;amqp://u:{}@h2?no=1", "amqp://u:{}@h//"]
)
def test_no_part_of_a_password_is_shown_however_it_is_written(url: str, password: str) -> None:
    given = Url(url.format(password))

    try:
        shown = Failover(addresses(given, DriverOptions()), "round-robin", 0.5).shown
    except ImproperlyConfigured as error:
        shown = str(error)

    for text in (shown, given.masked, repr(given), f"{given}"):
        assert (
            "cret" not in text
            and "ecret" not in text
            and "r@et" not in text
            and "sec" not in text.replace("seconds", "")
        )


def test_addresses_are_shown_with_user_and_without_password() -> None:
    assert one("amqp://u:p@h//").shown == "amqp://u@h:5672/"
    assert one("amqps://u:p@h/v").shown == "amqps://u@h:5671/v"
    assert one("amqp://[::1]:5673//").shown == "amqp://guest@[::1]:5673/"


# Failover


def test_brokers_take_turns() -> None:
    failover = Failover(addresses(Url("amqp://a;amqp://b"), DriverOptions()), "round-robin", 0.3)

    seen = []
    for _ in range(3):
        seen.append(failover.present.host)
        failover.next()

    assert seen == ["a", "b", "a"]


def test_a_shuffled_fleet_spreads_and_loses_nobody() -> None:
    brokers = addresses(Url(";".join(f"amqp://h{number}" for number in range(5))), DriverOptions())
    fleets = [Failover(brokers, "shuffle", jitter / 200) for jitter in range(200)]

    firsts = {failover.present.host for failover in fleets}

    assert all(sorted(each.brokers, key=lambda one: one.host) == list(brokers) for each in fleets)
    assert firsts == {f"h{number}" for number in range(5)}
