"""Times of things that take turns, and the tables they are shown in."""

import gc
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Seconds(NamedTuple):
    """Time of a call by the clock, and that which all threads spent together."""

    wall: float
    cpu: float


def in_turn(
    functions: Mapping[str, Callable[[], Any]], repeats: int, calls: int = 1
) -> dict[str, list[Seconds]]:
    """Seconds a call of each function, `repeats` times each, one after the other in every round.

    Each was called once before, and garbage is not collected meanwhile.
    """
    for function in functions.values():
        function()
    taken: dict[str, list[Seconds]] = {name: [] for name in functions}
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeats):
            for name, function in functions.items():
                cpu, wall = time.process_time(), time.perf_counter()
                for _ in range(calls):
                    function()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                taken[name].append(Seconds(wall / calls, cpu / calls))
    finally:
        gc.enable()
    return taken


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of the ratios of what was measured in the same round."""
    return float(np.median(np.divide(ours, theirs)))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Markdown table whose columns line up: the first to the left, the others to the right."""
    lines = [list(columns), *([str(x) for x in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [x.rjust(width) for x, width in zip(cells, widths, strict=True)]
        return f"| {cells[0].ljust(widths[0])} | " + " | ".join(padded[1:]) + " |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([line(lines[0]), f"|{rule}|", *map(line, lines[1:])])


def processor() -> str:
    """Name of the processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
