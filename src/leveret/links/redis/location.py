"""Where a Redis is and how to get in: URLs as Celery, kombu and redis-py write them, read into one value."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from leveret.errors import ImproperlyConfigured
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions

PORT, SENTINEL_PORT = 6379, 26379
SOCKETS = ("unix", "redis+socket")
SENTINEL = "sentinel"
CLUSTER = ("redis-cluster", "rediss-cluster")
WITH_TLS = ("rediss", "rediss-cluster")
CONNECT_SHARE = 0.4
"""Of `publish_timeout`: connecting may take this much and the answer the rest, where nothing else is set."""


@dataclass(frozen=True, slots=True)
class Tcp:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    path: str

    def __str__(self) -> str:
        return self.path


Endpoint = Tcp | Unix


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Empty: nobody in particular. A password without a name is the default user's."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The server is verified unless told otherwise."""

    verify: str = "required"
    """Or "optional", or "none"."""
    check_hostname: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.check_hostname = self.check_hostname and self.verify == "required"
            context.verify_mode = _VERIFY[self.verify]
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(name for name in (self.ca_file, self.cert_file, self.key_file) if name)
            raise ImproperlyConfigured(f"cannot use the TLS files {files}: {error}") from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """`shown` is the URL without its password; it goes into banners and errors."""

    endpoints: tuple[Endpoint, ...]
    """The server; or the sentinels, where `master_name` says whom to ask them for; or some nodes of a cluster."""
    master_name: str | None = None
    database: int = 0
    login: Login = Login()
    sentinel_login: Login = Login()
    tls: Tls | None = None
    shown: str = ""
    prefix: str = ""
    """Before every key and channel (`global_keyprefix`)."""
    client_name: str = "leveret"
    connect_seconds: float = 4.0
    answer_seconds: float = 6.0


def locate(url: Url, options: DriverOptions) -> Location:
    """Read a result store's URL and the transport options beside it; raises with what is wrong."""
    located = _locate(url, options, options.result_transport)
    return replace(located, prefix=results_prefix(options))


def locate_broker(url: Url, options: DriverOptions) -> Location:
    """Read a broker's URL. Its prefix stands as it was given (`kombu/transport/redis.py`), without an underscore."""
    transport = {**options.transport, "ssl": options.tls}
    located = _locate(url, options, transport)
    return replace(located, prefix=str(transport.get("global_keyprefix") or ""))


def results_prefix(options: DriverOptions) -> str:
    """What stands before the keys of results, wherever they are."""
    prefix = str(options.result_transport.get("global_keyprefix") or "")
    return f"{prefix}_" if prefix and prefix[-1] not in ":_-." else prefix  # as Celery does


def _locate(url: Url, options: DriverOptions, transport: Mapping[str, Any]) -> Location:
    chunks = [Url(chunk) for chunk in url.split(";") if chunk]
    shown = _shown(chunks)
    if len(chunks) > 1 and url.scheme not in (SENTINEL, *CLUSTER):
        raise ImproperlyConfigured(f"{shown}: only sentinel:// and redis-cluster:// take several addresses")
    try:
        parts = [_split(chunk) for chunk in chunks]
        query = {name: value for part in reversed(parts) for name, value in parse_qsl(part.query)}
        first = parts[0]
        located = Location(
            endpoints=tuple(_endpoint(part, chunk.scheme) for part, chunk in zip(parts, chunks, strict=True)),
            database=_database(first, url.scheme, query),
            login=Login(
                username=query.pop("username", unquote(first.username or "")),
                password=query.pop("password", unquote(first.password or "")),
            ),
            tls=Tls() if url.scheme in WITH_TLS else None,
            shown=shown,
            connect_seconds=options.publish_timeout * CONNECT_SHARE,
            answer_seconds=options.publish_timeout * (1 - CONNECT_SHARE),
        )
        located = _with_transport(located, transport)
        return _checked(_with_query(located, query), url)
    except ImproperlyConfigured:
        raise
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"{shown} is no URL of a Redis: {error}") from error


def _split(url: Url) -> SplitResult:
    # urlsplit reads userinfo and port only of what it takes for a network address, which any scheme is.
    return urlsplit(str(url))


def _endpoint(part: SplitResult, scheme: str) -> Endpoint:
    if scheme in SOCKETS:
        # kombu: redis+socket:///path; some write the path's first folder in the host's place.
        path = unquote((part.hostname or "") + part.path)
        if not path.strip("/"):
            raise ValueError("name the socket, like unix:///run/redis/redis.sock")
        return Unix(path if path.startswith("/") else f"/{path}")
    return Tcp(part.hostname or "localhost", part.port or (SENTINEL_PORT if scheme == SENTINEL else PORT))


def _database(part: SplitResult, scheme: str, query: dict[str, str]) -> int:
    text = query.pop("virtual_host", query.pop("db", ""))
    if not text and scheme not in SOCKETS:
        text = part.path
    text = text.strip("/")
    if text and not text.isdigit():
        raise ValueError(f"the database must be a number, not {text!r}")
    return int(text or 0)


def _shown(chunks: list[Url]) -> str:
    """What a query says is left out: file names are nobody's business, and a password may be among them."""
    return ";".join(Url(chunk.partition("?")[0]).masked for chunk in chunks)


def _with_transport(location: Location, transport: Mapping[str, Any]) -> Location:
    inner = transport.get("sentinel_kwargs") or {}
    changes: dict[str, Any] = {
        "master_name": transport.get("master_name"),
        "sentinel_login": Login(username=inner.get("username") or "", password=inner.get("password") or ""),
    }
    given = transport.get("ssl")
    if given:
        changes["tls"] = tls_of(given if isinstance(given, Mapping) else {}, location.tls or Tls())
    for option, name in _SECONDS.items():
        if transport.get(option):
            changes[name] = float(transport[option])
    return replace(location, **changes)


def _with_query(location: Location, query: dict[str, str]) -> Location:
    """The URL says it last: it wins over the settings."""
    changes: dict[str, Any] = {name: float(query.pop(option)) for option, name in _SECONDS.items() if option in query}
    if "client_name" in query:
        changes["client_name"] = query.pop("client_name")
    if "master_name" in query:
        changes["master_name"] = query.pop("master_name")
    encrypted = {name: query.pop(name) for name in list(query) if name.startswith("ssl_")}
    if encrypted:
        if location.tls is None:
            raise ValueError(f"{next(iter(encrypted))} needs TLS: use rediss://")
        changes["tls"] = tls_of(encrypted, location.tls)
    if "credential_provider" in query:
        raise ValueError("credential providers are not here yet: put name and password into the URL")
    unknown = query.keys() - _POINTLESS
    if unknown:
        raise ValueError(f"unknown option {sorted(unknown)[0]!r}")
    return replace(location, **changes)


def _checked(location: Location, url: Url) -> Location:
    if url.scheme == SENTINEL and not location.master_name:
        raise ImproperlyConfigured(
            f"{location.shown}: sentinels watch several servers, so say which one is meant: "
            'broker_transport_options or result_backend_transport_options = {"master_name": "mymaster"}'
        )
    if url.scheme in CLUSTER and location.database:
        raise ImproperlyConfigured(f"{location.shown}: a Redis Cluster has database 0 and no other")
    name = location.client_name
    return location if name.isascii() and name.isprintable() and " " not in name else replace(location, client_name="")


def tls_of(given: Mapping[str, Any], tls: Tls) -> Tls:
    """Read redis-py's `ssl_*` options."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _TLS:
            raise ValueError(f"unknown TLS option {name!r}")
        if name == "ssl_cert_reqs":
            value = _VERIFY_NAMES.get(value.lower() if isinstance(value, str) else value)
            if value is None:
                raise ValueError("ssl_cert_reqs must be required, optional or none")
        if name == "ssl_check_hostname":
            value = str(value).lower() not in ("false", "0", "no", "off")
        changes[_TLS[name]] = value
    return replace(tls, **changes)


_SECONDS = {"socket_timeout": "answer_seconds", "socket_connect_timeout": "connect_seconds"}
_TLS = {
    "ssl_cert_reqs": "verify",
    "ssl_check_hostname": "check_hostname",
    "ssl_ca_certs": "ca_file",
    "ssl_certfile": "cert_file",
    "ssl_keyfile": "key_file",
}
_VERIFY = {"required": ssl.CERT_REQUIRED, "optional": ssl.CERT_OPTIONAL, "none": ssl.CERT_NONE}
_VERIFY_NAMES: dict[Any, str] = {
    **{name: name for name in _VERIFY},
    **{f"cert_{name}": name for name in _VERIFY},
    **{mode: name for name, mode in _VERIFY.items()},
}
_POINTLESS = frozenset(
    ("health_check_interval", "max_connections", "protocol", "retry_on_timeout", "socket_keepalive", "timeout")
)
"""What redis-py takes in a URL and what does nothing here: no pool, RESP 3, and every connection watches itself."""
