import ssl

import pytest

from leveret.errors import ImproperlyConfigured
from leveret.links.redis.location import Location, Login, Tcp, Tls, Unix, locate
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions


def where(url: str, **transport) -> Location:
    return locate(Url(url), DriverOptions(result_transport=transport))


@pytest.mark.parametrize(
    ("url", "endpoint", "database"),
    [
        ("redis://", Tcp("localhost", 6379), 0),
        ("redis://host", Tcp("host", 6379), 0),
        ("redis://host:7000/3", Tcp("host", 7000), 3),
        ("redis://host//3", Tcp("host", 6379), 3),
        ("redis://host/?virtual_host=4", Tcp("host", 6379), 4),
        ("rediss://host:7000/1", Tcp("host", 7000), 1),
        ("redis://[::1]:7000/1", Tcp("::1", 7000), 1),
        ("unix:///run/redis.sock", Unix("/run/redis.sock"), 0),
        ("unix:///run/redis.sock?db=5", Unix("/run/redis.sock"), 5),
        ("redis+socket:///run/my%20redis.sock?virtual_host=/5", Unix("/run/my redis.sock"), 5),
    ],
)
def test_urls_are_read_as_celery_writes_them(url, endpoint, database):
    found = where(url)

    assert (found.endpoints, found.database) == ((endpoint,), database)


def test_name_and_password_are_unquoted():
    assert where("redis://me:p%40ss%2F@host").login == Login(username="me", password="p@ss/")
    assert where("redis://:secret@host").login == Login(password="secret")
    assert where("redis://host?username=me&password=p%40").login == Login(username="me", password="p@")


def test_no_password_is_ever_shown():
    options = {"sentinel_kwargs": {"password": "inner"}, "master_name": "m"}
    found = where("sentinel://u:outer@a:1/3?client_name=x;sentinel://u:outer@b/3", **options)

    assert found.shown == "sentinel://u:**@a:1/3;sentinel://u:**@b/3"
    assert "outer" not in repr(found) and "inner" not in repr(found)


def test_sentinels_are_a_list_and_need_a_name():
    found = where("sentinel://a:1/3;sentinel://b", master_name="main", sentinel_kwargs={"username": "s"})

    assert found.endpoints == (Tcp("a", 1), Tcp("b", 26379))
    assert (found.master_name, found.database, found.sentinel_login) == ("main", 3, Login(username="s"))
    with pytest.raises(ImproperlyConfigured, match="master_name"):
        where("sentinel://a")


@pytest.mark.parametrize(
    ("given", "prefix"), [(None, ""), ("", ""), ("app", "app_"), ("app:", "app:"), ("a.b-", "a.b-"), ("a_", "a_")]
)
def test_a_prefix_ends_with_a_separator(given, prefix):
    assert where("redis://", global_keyprefix=given).prefix == prefix


def test_tls_verifies_unless_told_otherwise():
    assert where("redis://h").tls is None
    assert where("rediss://h").tls == Tls()
    assert where("redis://h", ssl=True).tls == Tls()
    assert where("rediss://h?ssl_cert_reqs=CERT_NONE").tls == Tls(verify="none")
    assert where("rediss://h?ssl_ca_certs=%2Fca.pem", ssl={"ssl_cert_reqs": ssl.CERT_OPTIONAL}).tls == Tls(
        verify="optional", ca_file="/ca.pem"
    )
    assert where("rediss://h", ssl={"ssl_check_hostname": False}).tls == Tls(check_hostname=False)
    context = Tls().context()
    assert context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED
    assert Tls(verify="none").context().verify_mode == ssl.CERT_NONE


def test_a_missing_certificate_says_which_file():
    with pytest.raises(ImproperlyConfigured, match="/no/ca.pem"):
        Tls(ca_file="/no/ca.pem").context()


def test_timeouts_share_what_a_publish_may_take():
    found = where("redis://")
    assert found.connect_seconds + found.answer_seconds == DriverOptions().publish_timeout

    told = where("redis://h?socket_timeout=7", socket_timeout=3, socket_connect_timeout=2)
    assert (told.connect_seconds, told.answer_seconds) == (2, 7), "the URL wins"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://host/cache", "database must be a number"),
        ("redis://host:port", "port"),
        ("redis://host?ssl_cert_reqs=none", "needs TLS: use rediss://"),
        ("rediss://host?ssl_cert_reqs=maybe", "required, optional or none"),
        ("rediss://host?ssl_nonsense=1", "ssl_nonsense"),
        ("redis://host?socket_timout=1", "unknown option 'socket_timout'"),
        ("redis://host?credential_provider=my.Provider", "credential providers are not here yet"),
        ("redis://a;redis://b", "only sentinel://"),
        ("unix://", "name the socket"),
    ],
)
def test_what_is_wrong_is_said(url, said):
    with pytest.raises(ImproperlyConfigured, match=said):
        where(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://u:secret@host/cache",
        "redis://host/cache?password=secret",
        "redis://host?passwort=secret",
        "redis://:secret@a;redis://:secret@b",
        "sentinel://:secret@a;sentinel://b?x=secret",
    ],
)
def test_an_error_shows_no_password(url):
    with pytest.raises(ImproperlyConfigured) as caught:
        where(url)

    assert "secret" not in str(caught.value)
