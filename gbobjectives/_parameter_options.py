"""Parameters of a loss as options of a command: ``huber --delta 1 2 5``."""

import argparse
import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from itertools import product
from typing import Any, NoReturn

from gbobjectives.losses import get_loss, named
from gbobjectives.losses.base import Loss


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def __init__(self, **options: Any) -> None:
        # An option that is cut short could be meant for a parameter.
        super().__init__(**{"allow_abbrev": False} | options)

    def error(self, message: str) -> NoReturn:
        """Leave with that message."""
        self.exit(2, f"{self.prog}: {message}\n")


def value_of(text: str) -> Any:
    """A number, a list and so on as in Python; any other text is itself, such as ``auto``."""
    for read in (ast.literal_eval, float):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            continue
    return text


def defaults(made_by: type[Loss] | Callable[..., Loss]) -> dict[str, Any]:
    """Parameters of a class or wrapper with their defaults; MISSING where there is none."""
    if isinstance(made_by, type):
        return {f.name: f.default for f in fields(made_by) if f.name != "targets"}
    known = inspect.signature(made_by).parameters
    return {name: MISSING if p.default is p.empty else p.default for name, p in known.items()}


def add_parameters(parser: argparse.ArgumentParser, name: str, nargs: str | None = None) -> None:
    """An option for each parameter of the loss of that name."""
    options = parser.add_argument_group("parameters of the loss")
    for parameter, default in defaults(named(name)).items():
        options.add_argument(
            *dict.fromkeys((f"--{parameter.replace('_', '-')}", f"--{parameter}")),
            dest=f"parameter_{parameter}",
            type=value_of,
            nargs=nargs,
            metavar="VALUE",
            help="required" if default is MISSING else f"{default!r} by default",
        )


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The parameters that were given."""
    return {
        name.removeprefix("parameter_"): value
        for name, value in vars(arguments).items()
        if name.startswith("parameter_") and value is not None
    }


def losses_of(name: str, parameters: dict[str, Sequence[Any]]) -> list[Loss]:
    """The loss with every combination of the values of its parameters."""
    return [
        get_loss(name, **dict(zip(parameters, values, strict=True)))
        for values in product(*parameters.values())
    ]
