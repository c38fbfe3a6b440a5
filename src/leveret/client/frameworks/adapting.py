"""The framework an app lives in. What adapts the app to it stands above this floor, so it is imported by name."""

import os
from importlib import import_module
from typing import Any

BY_VARIABLE = {"DJANGO_SETTINGS_MODULE": "leveret.contrib.django"}
"""A variable that says a program lives in a framework -> the module whose `adapt(app)` is called then."""


def adapt(app: Any) -> None:
    """Adapt a new app to every framework that the environment names."""
    for variable, module in BY_VARIABLE.items():
        if os.environ.get(variable):
            import_module(module).adapt(app)
