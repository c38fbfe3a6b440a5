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


def by_its_names(key: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """`key`, to be called as `function` is: it gets the arguments it names, however the call gave them, with the
    function's defaults; with `**rest` also the others. One that names what the function does not have, or takes
    `*args`, gets them as they are."""
    try:
        wants, known = inspect.signature(key).parameters.values(), inspect.signature(function)
    except (ValueError, TypeError):
        return key
    named = {p.name for p in wants if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    has = {p.name: p for p in known.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if any(p.kind in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY) for p in wants) or not named <= has.keys():
        return key
    places = tuple(p.name for p in has.values() if p.kind in _BY_POSITION)
    defaults = {p.name: p.default for p in has.values() if p.default is not inspect.Parameter.empty}
    rest = any(p.kind is p.VAR_KEYWORD for p in wants)

    def call(*args: Any, **kwargs: Any) -> Any:
        given = {**defaults, **dict(zip(places, args, strict=False)), **kwargs}
        return key(**given) if rest else key(**{name: given[name] for name in named if name in given})

    return call


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
