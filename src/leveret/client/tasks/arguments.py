"""Arguments are checked where the call is made, not an hour later in a worker."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Check = Callable[[Sequence[Any], Mapping[str, Any]], None]
"""Raises TypeError when a function cannot be called with these arguments."""

_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_MANY = 3


def checker(function: Callable[..., Any], *, skip_first: bool = False) -> Check | None:
    """Make the check for one function; None where its signature is unknown (some builtins).

    `inspect.Signature.bind` costs 3-6 us a call; a function of plain parameters is checked by counting (0.2 us).
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    parameters = list(signature.parameters.values())[1 if skip_first else 0 :]
    signature = signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    name = getattr(function, "__name__", "task")
    if all(parameter.kind in _PLAIN for parameter in parameters):
        return _by_counting(signature, name)
    return lambda args, kwargs: _bind(signature, name, args, kwargs)


def counts(function: Callable[..., Any]) -> range:
    """How many arguments by position a call without others may have; none where that does not say it all."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return range(0)
    if any(parameter.kind not in _PLAIN for parameter in parameters):
        return range(0)
    return range(sum(p.default is inspect.Parameter.empty for p in parameters), len(parameters) + 1)


def by_position(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters that can be given by position; `*args` counts for as many as anybody gives."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return ()
    names = [parameter.name for parameter in parameters if parameter.kind in _BY_POSITION]
    endless = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    return (*names, *(f"*{place}" for place in range(_MANY))) if endless else tuple(names)


def _by_counting(signature: inspect.Signature, name: str) -> Check:
    most = len(signature.parameters)
    required = frozenset(p.name for p in signature.parameters.values() if p.default is inspect.Parameter.empty)
    names = tuple(signature.parameters)
    least = len(required)

    def check(args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        given = len(args)
        if not kwargs:
            if least <= given <= most:
                return
        elif given <= most and required.issubset((*names[:given], *kwargs)) and kwargs.keys() <= {*names[given:]}:
            return
        _bind(signature, name, args, kwargs)

    return check


def _bind(signature: inspect.Signature, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}{signature} {error}") from None
