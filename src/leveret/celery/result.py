"""`celery.result`."""

from leveret.client.groups import GroupResult, ResultSet, result_from_tuple
from leveret.client.result import AsyncResult
from leveret.client.results.joining import allow_join_result, assert_will_not_block
from leveret.client.tasks.eager_result import EagerResult

__all__ = [
    "AsyncResult",
    "EagerResult",
    "GroupResult",
    "ResultSet",
    "allow_join_result",
    "assert_will_not_block",
    "result_from_tuple",
]
