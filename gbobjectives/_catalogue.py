"""The catalogue as tables: of plain text, of the README, as JSON."""

import json
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any

from gbobjectives._validation import nearest_name
from gbobjectives.losses import LOSSES, METRICS_ONLY
from gbobjectives.losses.base import Loss

#: All that `get_loss` knows.
CATALOGUE = (*LOSSES.values(), *METRICS_ONLY.values())

COLUMNS: dict[str, Callable[[type[Loss]], str]] = {
    "name": lambda cls: cls.name,
    "aliases": lambda cls: ", ".join(cls.aliases),
    "task": lambda cls: cls.task,
    "estimates": lambda cls: cls.estimates,
    "link": lambda cls: cls.link.name,
    "guarantee of safe": lambda cls: guarantee(cls, "safe"),
    "guarantee of auto": lambda cls: guarantee(cls, "auto"),
    "source": lambda cls: cls.source,
}

#: What a narrow terminal goes without, the first of these first.
SPARED = (
    "source",
    "aliases",
    "guarantee of safe",
    "link",
    "estimates",
    "guarantee of auto",
    "task",
)

#: The README's table says more, and links.
README_COLUMNS: dict[str, Callable[[type[Loss]], str]] = {
    "class": lambda cls: f"`{cls.__name__}`",
    "names": lambda cls: ", ".join(f"`{name}`" for name in (cls.name, *cls.aliases)),
    "task": lambda cls: cls.task,
    "estimates": lambda cls: cls.estimates,
    "value": lambda cls: f"`{cls.formula}`",
    "link": lambda cls: cls.link.name,
    "safe / auto": lambda cls: " / ".join(guarantee(cls, rule) for rule in ("safe", "auto")),
    "built-ins reproduced": lambda cls: cls.parity,
    "source": lambda cls: f"[{cls.source}]({address(cls.source)})",
}


def guarantee(cls: type[Loss], rule: str) -> str:
    """Of an instance where parameters decide it: the class says the usual case."""
    return "-" if cls.name in METRICS_ONLY else cls.rules[rule].guarantee


def address(source: str) -> str:
    """Where a paper is found."""
    kind, _, number = source.partition(":")
    return {"doi": "https://doi.org/", "arXiv": "https://arxiv.org/abs/"}[kind] + number


def of_task(task: str | None) -> list[type[Loss]]:
    """The losses of a task, or all."""
    if task is None:
        return list(CATALOGUE)
    tasks = list(dict.fromkeys(cls.task for cls in CATALOGUE))
    if task not in tasks:
        raise nearest_name("list", "task", task, tasks)
    return [cls for cls in CATALOGUE if cls.task == task]


def table(losses: Sequence[type[Loss]], width: int | None = None) -> str:
    """The losses in a table of plain text, of as many columns as fit into the width."""
    columns = {title: [title, *(cell(cls) for cls in losses)] for title, cell in COLUMNS.items()}
    widths = {title: max(map(len, column)) for title, column in columns.items()}
    for title in SPARED:
        if width is not None and sum(widths.values()) + 2 * (len(widths) - 1) > width:
            del columns[title], widths[title]
    rows = list(zip(*columns.values(), strict=True))
    rows.insert(1, tuple("-" * width for width in widths.values()))
    return "\n".join(
        "  ".join(
            cell.ljust(size) for cell, size in zip(row, widths.values(), strict=True)
        ).rstrip()
        for row in rows
    )


def markdown(losses: Sequence[type[Loss]] = CATALOGUE) -> str:
    """The catalogue as the README's table."""
    rows = [list(README_COLUMNS), ["---"] * len(README_COLUMNS)]
    # A bar would end the cell.
    rows += [[cell(cls).replace("|", "\\|") for cell in README_COLUMNS.values()] for cls in losses]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def facts(cls: type[Loss]) -> dict[str, Any]:
    """A loss in JSON types; a parameter that must be given has no default."""
    known = [f for f in fields(cls) if f.name != "targets"]
    return {
        "name": cls.name,
        "aliases": list(cls.aliases),
        "class": cls.__name__,
        "task": cls.task,
        "estimates": cls.estimates,
        "formula": cls.formula,
        "domain": str(cls.y_domain),
        "link": cls.link.name,
        "convex": cls.convex,
        "metric": cls.metric_name,
        "parameters": {f.name: {} if f.default is MISSING else {"default": f.default}
                       for f in known},
        "curvatures": {
            name: {"guarantee": rule.guarantee, "formula": rule.formula}
            for name, rule in cls.rules.items()
        }
        if cls.name not in METRICS_ONLY
        else {},
        "parity": cls.parity,
        "source": cls.source,
    }  # fmt: skip


def as_json(losses: Sequence[type[Loss]]) -> str:
    """The losses as a JSON array."""
    return json.dumps([facts(cls) for cls in losses], indent=1, allow_nan=False)
