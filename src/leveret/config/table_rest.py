"""Settings of schedules, events, remote control, message signing and Celery's other stores; and retired names."""

from leveret.config.row import Row, differs, later, ours, unneeded, works

_SIGNING = "comes with signed messages"

BEAT: tuple[Row, ...] = (
    works(
        "beat_schedule",
        "name -> dict with `task`, `schedule`, `args`, `kwargs`, `options`, `relative`; ours: `timezone`, `start`, "
        "`end`, `overlap`, `catch_up`; a crontab line is a `schedule` too",
    ),
    ours("beat_store", "where the schedule is kept; by default the broker, else the result store, whichever can"),
    differs(
        "beat_cron_starting_deadline",
        "holds for every entry: what was missed longer ago is dropped whatever its `catch_up` says",
    ),
    unneeded(
        "beat_scheduler",
        "any number of schedulers share one store; `app.schedules` changes it while they run",
        "celery.beat:PersistentScheduler",
    ),
    unneeded("beat_schedule_filename", "schedules live in the store", "celerybeat-schedule"),
    unneeded("beat_sync_every", "every run is written to the store at once", 0),
    unneeded("beat_max_loop_interval", "a change takes effect within a second, whatever is due when", 0),
    unneeded("beat_enable_remote_control", "any number of schedulers may run; the nodes they are in answer", False),
    unneeded("beat_remote_control_max_tick_age", "another scheduler takes over from one that hangs"),
)

EVENT: tuple[Row, ...] = (
    works("event_queue_expires", "on RabbitMQ: seconds after which the queue of a watcher that is gone is deleted"),
    works("event_queue_ttl", "on RabbitMQ: seconds an event waits there for its watcher"),
    works("event_queue_prefix", "on RabbitMQ: what a watcher's queue is called before its own name"),
    works("event_queue_exclusive", "on RabbitMQ: whether only its watcher may read it"),
    works("event_queue_durable", "on RabbitMQ: whether it outlives its watcher and the broker"),
    unneeded("event_serializer", "events are always json, which every reader of Celery's takes", "json"),
    works("event_exchange", "where events are published; on Redis the channels begin so"),
    works("control_queue_ttl", "seconds a command waits in a node's queue; RabbitMQ"),
    works("control_queue_expires", "seconds after which an unused queue of commands is deleted; RabbitMQ"),
    works("control_queue_exclusive", "only its node reads a node's queue of commands; RabbitMQ"),
    works("control_queue_durable", "a node's queue of commands survives its connection; RabbitMQ"),
    works("control_exchange", "nodes hear the commands that are sent under the same name"),
    ours(
        "control_key",
        "signs commands; with it nodes refuse unsigned ones that change anything; a list: all are "
        "accepted, the first signs",
    ),
    later("security_certificate", _SIGNING),
    later("security_cert_store", _SIGNING),
    later("security_key", _SIGNING),
    later("security_key_password", _SIGNING),
    later("security_digest", _SIGNING, "sha256"),
)


def _store(prefix: str, title: str, **defaults: object) -> tuple[Row, ...]:
    note = f"comes with results in {title}"
    return tuple(later(f"{prefix}_{name}", note, default) for name, default in defaults.items())


STORES: tuple[Row, ...] = (
    *_store("cache", "Memcached", backend=None, backend_options={}),
    *_store(
        "database",
        "any SQLAlchemy database (db+...)",
        url=None,
        engine_options={"pool_pre_ping": True, "pool_recycle": 3600},
        engine_callback=None,
        short_lived_sessions=False,
        table_schemas=None,
        table_names=None,
        create_tables_at_setup=True,
    ),
    *_store(
        "cassandra",
        "Cassandra",
        entry_ttl=None,
        keyspace=None,
        port=None,
        read_consistency=None,
        servers=None,
        bundle_path=None,
        table=None,
        write_consistency=None,
        auth_provider=None,
        auth_kwargs=None,
        options={},
    ),
    *_store(
        "s3",
        "S3",
        access_key_id=None,
        secret_access_key=None,
        bucket=None,
        base_path=None,
        endpoint_url=None,
        region=None,
    ),
    *_store(
        "azureblockblob",
        "Azure Blob Storage",
        container_name="celery",
        retry_initial_backoff_sec=2,
        retry_increment_base=2,
        retry_max_attempts=3,
        base_path="",
        connection_timeout=20,
        read_timeout=120,
    ),
    *_store("gcs", "Google Cloud Storage", bucket=None, project=None, base_path="", ttl=0),
    *_store("couchbase", "Couchbase", backend_settings=None),
    *_store("arangodb", "ArangoDB", backend_settings=None),
    *_store("mongodb", "MongoDB", backend_settings=None),
    *_store(
        "cosmosdbsql",
        "Cosmos DB",
        database_name="celerydb",
        collection_name="celerycol",
        consistency_level="Session",
        max_retry_attempts=9,
        max_retry_wait_time=30,
    ),
    *_store(
        "elasticsearch", "Elasticsearch", retry_on_timeout=None, max_retries=None, timeout=None, save_meta_as_text=True
    ),
)

_MAIL = "error mails left Celery with 4.0; watch the failures instead"
_DAEMON = "a variable of Celery's init script, not a setting"

RETIRED: tuple[Row, ...] = (
    unneeded("task_queue_ha_policy", "RabbitMQ dropped mirrored queues; quorum queues are replicated by themselves"),
    unneeded("broker_backend", "the scheme of `broker_url` names the driver"),
    unneeded("celery_task_result_dburi", "use `result_backend`"),
    unneeded("celery_amqp_task_result_expires", "use `result_expires`"),
    unneeded("celery_amqp_task_result_connection_max", "each process has one connection; there is no pool"),
    unneeded("celery_chord_propagates", "a failed member always fails its chord"),
    unneeded("celery_send_task_error_emails", _MAIL),
    unneeded("celery_task_error_whitelist", _MAIL),
    unneeded("celeryd_force_execv", "worker processes are started safely on every platform"),
    unneeded("celeryd_log_file", "use `leveret worker --logfile`"),
    unneeded("celeryd_log_level", "use `leveret worker --loglevel`"),
    unneeded("celeryd_nodes", _DAEMON),
    unneeded("celeryd_opts", _DAEMON),
    unneeded("celeryd_chdir", _DAEMON),
    unneeded("celeryd_user", _DAEMON),
    unneeded("celeryd_group", _DAEMON),
    unneeded("celerybeat_log_file", "use `leveret worker --logfile`"),
    unneeded("celerybeat_log_level", "use `leveret worker --loglevel`"),
    unneeded("celerymon_log_format", "celerymon is gone"),
)
