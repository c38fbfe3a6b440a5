"""The methods that name a queue or an exchange: pamqp's, without its opinion of names.

RabbitMQ takes any text of up to 255 bytes, and kombu sends it; pamqp refuses all but some ASCII (no `|`, no `ü`) and
exchanges of more than 127 characters, in the name of a specification that no broker enforces.
"""

from typing import TypeVar

from pamqp import commands
from pamqp.base import Frame

_Method = TypeVar("_Method", bound=Frame)


def _any_name(method: type[_Method]) -> type[_Method]:
    return type(method.__name__, (method,), {"validate": lambda self: None})


class Queue:
    Declare = _any_name(commands.Queue.Declare)
    Bind = _any_name(commands.Queue.Bind)
    Purge = _any_name(commands.Queue.Purge)
    Delete = _any_name(commands.Queue.Delete)


class Exchange:
    Declare = _any_name(commands.Exchange.Declare)
    Bind = _any_name(commands.Exchange.Bind)


class Basic:
    Consume = _any_name(commands.Basic.Consume)
    Get = _any_name(commands.Basic.Get)
