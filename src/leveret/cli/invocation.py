"""What every verb may be told, before the verb or after it: the app, the broker, colours."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from leveret.config.variables import CONFIG_MODULE

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Invocation:
    """One call of the command line. Owned by click's context; filled in by the options below as they are parsed."""

    app: str | None = None
    broker: str | None = None
    result_backend: str | None = None
    config: str | None = None
    workdir: str | None = None
    no_color: bool = False
    quiet: bool = False

    def overrides(self) -> dict[str, Any]:
        """The settings these options stand for."""
        given = {"broker_url": self.broker, "result_backend": self.result_backend}
        return {name: value for name, value in given.items() if value is not None}


def invocation() -> Invocation:
    """The options of the running command."""
    return click.get_current_context().ensure_object(Invocation)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    # The same option may stand before and after the verb: the later one wins, an absent one changes nothing.
    if value in (None, False) or parameter.name is None:
        return
    setattr(context.ensure_object(Invocation), parameter.name, value)
    if parameter.name == "workdir":
        try:
            os.chdir(value)
        except OSError as error:
            raise click.BadParameter(f"{value}: {error.strerror}", context, parameter) from error
    elif parameter.name == "config":
        # Every process of a node reads it, by way of the environment.
        os.environ[CONFIG_MODULE] = value


def _shared(*names: str, **attributes: Any) -> Callable[[F], F]:
    return click.option(*names, expose_value=False, callback=_keep, **attributes)


_OPTIONS = (
    _shared("-A", "--app", metavar="APP", help="The app: package.module, or package.module:attribute."),
    _shared("-b", "--broker", metavar="URL", help="Broker, instead of the app's own."),
    _shared("--result-backend", metavar="URL", help="Result store, instead of the app's own."),
    _shared("--config", metavar="MODULE", help="Read settings from this module too."),
    _shared("--workdir", metavar="FOLDER", help="Change to this folder first."),
    _shared("-C", "--no-color", is_flag=True, help="No colours."),
    _shared("-q", "--quiet", is_flag=True, help="No banner."),
)


def invocation_options(command: F) -> F:
    """Give a command the options of `Invocation`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
