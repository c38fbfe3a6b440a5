import os

from django.db import connection, connections

from leveret import Task, shared_task


class BrokenHook(Task):
    def on_success(self, *args) -> None:
        raise RuntimeError("a hook's own error")


@shared_task(base=BrokenHook)
def with_a_broken_hook() -> None:
    return None


@shared_task
def backend() -> tuple[int, int]:
    """(this process, the server process behind its connection)."""
    return os.getpid(), _backend()


@shared_task
async def backend_of_a_coroutine() -> tuple[int, int]:
    from asgiref.sync import sync_to_async  # noqa: PLC0415 - comes with Django

    return os.getpid(), await sync_to_async(_backend)()


@shared_task
def leave_a_transaction_open() -> bool:
    """What an interrupted task may leave behind."""
    connection.set_autocommit(False)
    _backend()
    return True


@shared_task
def in_a_transaction() -> bool:
    return not connection.get_autocommit()


@shared_task
def connected() -> int:
    """How many of the server's connections are ours, this one included."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_stat_activity where backend_type = 'client backend'")
        return int(cursor.fetchone()[0])


def _backend() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return int(cursor.fetchone()[0])
