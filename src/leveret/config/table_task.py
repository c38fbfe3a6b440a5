"""Settings of tasks and the worker."""

from leveret.config.row import Row, differs, later, ours, unneeded, works

_CONFIRMED = "every publish is confirmed, and resent safely until `publish_timeout`"
_LATE = "a message is settled once its outcome is stored, whatever the outcome"
_LIMITS = (
    "starts a second (m: minute, h: hour) of a task on each node, by all its processes together; without a store that "
    "keeps limits each process has its share"
)

TASK: tuple[Row, ...] = (
    differs(
        "task_acks_late",
        "True by default: settled after the outcome is stored; False is at most once, from the run's start",
    ),
    unneeded("task_acks_on_failure_or_timeout", _LATE, True),
    unneeded("task_acks_on_failure", _LATE),
    unneeded("task_acks_on_timeout", _LATE),
    differs(
        "task_reject_on_worker_lost", "a lost task runs again, up to 3 lost processes; False fails it at the first"
    ),
    unneeded("task_retry_on_worker_lost", "a lost task runs again by itself, up to 3 lost processes", False),
    works("task_always_eager", "calls run at once in the caller, arguments and results serialised as a broker would"),
    works("task_eager_propagates", "an eager task's exception is raised to the caller"),
    works("task_store_eager_result", "store results of eager calls"),
    works("task_annotations", "options laid over tasks by name, `*` for all"),
    works("task_serializer", "serializer of messages"),
    works("task_compression", "compression of messages"),
    works("task_ignore_result", "store no results, unless a task or call says otherwise"),
    works("task_store_errors_even_if_ignored", "store failures of tasks whose result is ignored"),
    works("task_track_started", "report STARTED"),
    works("task_time_limit", "seconds after which a run is stopped; in every pool"),
    works("task_soft_time_limit", "seconds after which SoftTimeLimitExceeded is raised in the task; in every pool"),
    differs("task_default_rate_limit", _LIMITS),
    ours(
        "task_retry_budget",
        "retries of a task beyond 10 % of the last minute's successes and 10 a second wait; True, False or a "
        "`RetryBudget`; None: on, except under the celery profile",
    ),
    differs("task_default_priority", "9 is the most urgent on every broker (under the celery profile on Redis: 0)"),
    differs("task_default_queue", '"default"; "celery" under that profile'),
    works("task_default_exchange", "exchange of the queues that name none; None: named as the default queue"),
    works("task_default_exchange_type", "its type: direct, topic, fanout or headers"),
    works("task_default_routing_key", "routing key of the queues that name none; None: the default queue's name"),
    works("task_queues", "queues with their exchanges, a list of `Queue` or a dict"),
    works(
        "task_routes",
        "which task goes to which queue: dict (names, globs, regular expressions), callables or a list of them",
    ),
    works("task_create_missing_queues", "a queue that `task_queues` does not list is created when it is named"),
    differs(
        "task_create_missing_queue_type", "their kind on RabbitMQ; as `task_default_queue_type` unless said otherwise"
    ),
    works("task_create_missing_queue_exchange_type", "binds them to an exchange of their name and this type"),
    differs("task_default_queue_type", "on RabbitMQ quorum unless said otherwise; classic under the celery profile"),
    works("task_default_delivery_mode", "on RabbitMQ; elsewhere every message is durable"),
    differs("task_queue_max_priority", "on RabbitMQ, where it makes the queues classic; elsewhere all have priorities"),
    later("task_inherit_parent_priority", "comes with a later version: what follows has its own priority", False),
    works("task_allow_error_cb_on_chord_header", "whether `link_error` of a chord also counts for its members"),
    unneeded("task_protocol", "always Celery's protocol 2", 2),
    unneeded("task_publish_retry", _CONFIRMED, True),
    unneeded(
        "task_publish_retry_policy",
        _CONFIRMED,
        {"max_retries": 3, "interval_start": 0, "interval_max": 1, "interval_step": 0.2},
    ),
    unneeded("task_remote_tracebacks", "the remote traceback is always kept with the result", False),
    unneeded("task_repr_maxlevels", "arguments are shown in 200 characters, results in 1,024, however deep", 3),
    works("task_send_sent_event", "whoever sends a task tells of it as an event (`task-sent`)"),
    ours(
        "task_send_argsrepr",
        "messages say what Celery's workers show of the arguments; None: under the celery profile",
    ),
)

_REPLACED = "Leveret has no bootsteps; this part cannot be replaced"
_CREDIT = "a slot fetches what it can run within 25 ms; nothing more waits in a worker"
_BROKER_ETA = "countdown and eta wait in the broker, never in a worker"

WORKER: tuple[Row, ...] = (
    works(
        "worker_concurrency", "slots of a worker; None or auto: the CPUs the process may use (affinity, cgroup quota)"
    ),
    differs(
        "worker_pool",
        "prefork, threads, solo, asyncio or package.module:Class; eventlet and gevent: use asyncio or threads",
    ),
    differs(
        "worker_prefetch_multiplier",
        "None by default: adaptive, so that nothing waits behind a long task; obeyed where set",
    ),
    works("worker_max_tasks_per_child", "a worker process is replaced after this many tasks"),
    works(
        "worker_max_memory_per_child",
        "KiB of resident memory after which a worker process is replaced; looked at after each task of 25 ms or more, "
        "after a few shorter ones",
    ),
    works("worker_soft_shutdown_timeout", "seconds running tasks get when a worker is stopped at once"),
    unneeded("worker_enable_soft_shutdown_on_idle", "an idle worker has nothing to give back", False),
    differs(
        "worker_redirect_stdouts",
        "what a task prints becomes log lines that name it; what is printed elsewhere stays as it is",
    ),
    works("worker_redirect_stdouts_level", "the level of those lines"),
    works("worker_hijack_root_logger", "False: handlers the app put on the root logger stay, and get every line"),
    works("worker_log_format", "of every line not logged inside a task; a format of one's own is written slower"),
    works("worker_log_datefmt", "of their times"),
    differs("worker_task_log_format", "of every line logged inside a task, whichever logger wrote it"),
    works("worker_task_log_datefmt", "of their times"),
    works("worker_log_color", "lines in the color of their level; None: where they go to a terminal"),
    ours("worker_log_json", "log lines as JSON objects"),
    ours("worker_metrics_port", "a node shows `/healthz`, `/readyz` and Prometheus's `/metrics` there; None: nowhere"),
    ours("worker_metrics_host", "the address it listens on; there is no password, so it is this machine's own"),
    ours("worker_statsd_host", "a node sends its figures to the StatsD server there, by UDP; None: nowhere"),
    ours("worker_statsd_port", "its port"),
    ours("worker_statsd_prefix", "what the names of these figures begin with"),
    ours("worker_statsd_tags", "labels as DogStatsD's tags; else they are parts of the name"),
    ours("worker_statsd_interval", "seconds between two times"),
    later("worker_pool_start_method", "chosen by itself: our forkserver, or spawn where forking is not safe", "fork"),
    unneeded("worker_agent", _REPLACED),
    unneeded(
        "worker_autoscaler",
        "`leveret worker --autoscale MAX,MIN` goes by how long messages wait",
        "celery.worker.autoscale:Autoscaler",
    ),
    unneeded("worker_consumer", _REPLACED, "celery.worker.consumer:Consumer"),
    unneeded("worker_timer", _REPLACED),
    unneeded("worker_timer_precision", "there is no timer that polls", 1.0),
    unneeded(
        "worker_cancel_long_running_tasks_on_connection_loss", "the node's lease outlives a lost connection", False
    ),
    works("worker_direct", "on RabbitMQ: a queue `<node>.dq2` for each node, as Celery has it"),
    works("worker_disable_rate_limits", "no `rate_limit` is kept; `limits` of tasks are"),
    unneeded("worker_deduplicate_successful_tasks", "always: a stored outcome is replayed, never run again", False),
    works("worker_enable_remote_control", "whether nodes answer `leveret inspect` and obey `leveret control`"),
    unneeded("worker_lost_wait", "a lost process is noticed at once", 10.0),
    unneeded("worker_pool_putlocks", _CREDIT, True),
    works("worker_pool_restarts", "whether `pool_restart` has nodes import the app anew"),
    unneeded("worker_proc_alive_timeout", "a process that cannot start says why at once", 4.0),
    unneeded("worker_eta_task_limit", _BROKER_ETA),
    unneeded("worker_enable_prefetch_count_reduction", _CREDIT, True),
    unneeded("worker_disable_prefetch", f"{_CREDIT}; `worker_prefetch_multiplier=1` asks for one task a slot", False),
    works(
        "worker_send_task_events", "tell of each task as events from the start, as `-E` does; any time: `enable_events`"
    ),
    unneeded("worker_state_db", "revocations live in the store"),
    unneeded("worker_detect_quorum_queues", "always", True),
)
