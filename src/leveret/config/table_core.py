"""Settings of the app, brokers and results."""

from leveret.config.row import Row, differs, later, ours, unneeded, works

CORE: tuple[Row, ...] = (
    ours(
        "profile", '"leveret", or "celery" to follow a running Celery cluster wherever the defaults of the two disagree'
    ),
    works("accept_content", "serializers that are read; anything else becomes a dead letter"),
    differs(
        "result_accept_content",
        "serializers of results that are read, `result_serializer` always among them; None: `accept_content`, json, "
        "msgpack and yaml",
    ),
    differs(
        "enable_utc", "times always travel as UTC; False under the celery profile: naive datetimes are local times"
    ),
    differs(
        "timezone",
        "naive datetimes are refused unless it is UTC; under the celery profile they are times of this zone, or UTC "
        "where it is None",
    ),
    works("imports", "modules imported when a worker starts"),
    works("include", "modules imported when a worker starts, after `imports`"),
)

_ONE_URL = "both directions use `broker_url` so far"
_RECONNECT = "every connection reconnects by itself for as long as it takes, with jitter"

BROKER: tuple[Row, ...] = (
    differs(
        "broker_url",
        "memory://, sqlite:///, redis:// (rediss://, unix://, sentinel://), amqp:// (amqps://, pyamqp://; several for "
        "failover) now; without it `.leveret/queue.db` in the project's folder is used",
    ),
    differs(
        "broker_transport_options",
        "memory and SQLite have none; RabbitMQ: `consumer_timeout` (seconds), what the server has",
    ),
    ours("publish_timeout", "seconds after which a send fails instead of hanging"),
    ours("message_max_bytes", "a larger serialised message is refused at the call"),
    ours("lease_seconds", "a node silent for this long is lost and its work goes to others"),
    ours("dead_letter_expires", "seconds a dead letter is kept; None keeps it"),
    later("broker_read_url", _ONE_URL),
    later("broker_write_url", _ONE_URL),
    unneeded("broker_transport", "the scheme of `broker_url` names the driver"),
    unneeded("broker_connection_timeout", "`publish_timeout` bounds a send, connecting included", 4),
    unneeded("broker_connection_retry", _RECONNECT, True),
    unneeded("broker_connection_retry_on_startup", _RECONNECT),
    unneeded("broker_connection_max_retries", _RECONNECT, 100),
    unneeded("broker_channel_error_retry", _RECONNECT, False),
    works("broker_failover_strategy", "which of several brokers is tried next: `round-robin` or `shuffle`"),
    differs("broker_heartbeat", "12 s: RabbitMQ gives up a lost host after three of them at most; 0 turns it off"),
    unneeded("broker_heartbeat_checkrate", "the connection's own loop watches its heartbeat", 3.0),
    works("broker_login_method", "PLAIN, or EXTERNAL (the user is that of the client certificate)"),
    unneeded("broker_native_delayed_delivery_queue_type", "every driver delays messages in its own way", "quorum"),
    unneeded("broker_pool_limit", "each process has one connection; there is no pool", 10),
    unneeded("broker_pool_acquire_timeout", "each process has one connection; there is no pool"),
    differs("broker_use_ssl", "True or a dict as kombu has it; certificates are verified unless `cert_reqs` says none"),
    unneeded("broker_host", "part of `broker_url`"),
    unneeded("broker_port", "part of `broker_url`"),
    unneeded("broker_user", "part of `broker_url`"),
    unneeded("broker_password", "part of `broker_url`"),
    unneeded("broker_vhost", "part of `broker_url`"),
)

_POLL = "waiting for results and chords needs no polling"
_RPC = "comes with rpc:// results on RabbitMQ"
_STORE = "one reconnect rule holds for every store"

RESULT: tuple[Row, ...] = (
    differs("result_backend", "without it results go to the broker's own store; `disabled://` turns them off"),
    differs(
        "result_backend_transport_options",
        "Redis: `global_keyprefix`, `master_name`, `sentinel_kwargs` (username, password); the others are not needed",
    ),
    works("result_serializer", "serializer of results"),
    works("result_compression", "compression of results: gzip, bzip2, zstd; compressed ones are read without it too"),
    works(
        "result_expires",
        "seconds a result is kept, per task too; None or 0 keeps it; a worker's chore prunes, no beat needed",
    ),
    works("result_extended", "store name, arguments, worker, retries and queue with the result"),
    later("result_failure_expires", "comes with per-state retention"),
    unneeded("result_cache_max", "results are not cached in the client", -1),
    ours("chord_timeout", "seconds after which a chord that is not complete fails; None: it waits for ever"),
    unneeded("result_chord_expires", "an open chord waits until it is complete or `chord_timeout` is over"),
    unneeded("result_chord_retry_interval", _POLL, 1.0),
    unneeded("result_chord_join_timeout", _POLL, 3.0),
    later("result_exchange", _RPC, "celeryresults"),
    later("result_exchange_type", _RPC, "direct"),
    works("result_persistent", "whether results over rpc:// survive a restart of the broker"),
    unneeded("result_backend_always_retry", _STORE, False),
    unneeded("result_backend_max_sleep_between_retries_ms", _STORE, 10000),
    unneeded("result_backend_base_sleep_between_retries_ms", _STORE, 10),
    unneeded("result_backend_max_retries", _STORE, float("inf")),
)

REDIS: tuple[Row, ...] = (
    differs(
        "redis_backend_use_ssl",
        "redis-py's `ssl_*` options for results; the server and its name are verified unless they say otherwise",
    ),
    unneeded("redis_db", "part of the URL"),
    unneeded("redis_host", "part of the URL"),
    unneeded("redis_max_connections", "each process has one connection; there is no pool"),
    unneeded("redis_username", "part of the URL"),
    unneeded("redis_password", "part of the URL"),
    unneeded("redis_port", "part of the URL"),
    differs("redis_socket_timeout", "a Redis silent for this long is given up; None: 0.6 of `publish_timeout`"),
    differs("redis_socket_connect_timeout", "seconds to connect and greet; None: 0.4 of `publish_timeout`"),
    unneeded("redis_retry_on_timeout", _RECONNECT, False),
    unneeded("redis_socket_keepalive", "always on", False),
)
