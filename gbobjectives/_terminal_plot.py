"""A row of a loss drawn with characters."""

from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.losses.base import Loss

WIDTH, HEIGHT = 34, 6  # of a panel, in characters: two of them fit on a line of 80
GAP = 4

DRAWN = ("value", "gradient", "exact Hessian", "curvature auto")


def curves(loss: Loss, y: Array, f: Array, output: int = 0) -> dict[str, Array]:
    """Value, gradient, exact Hessian and the curvatures of rows, along one output."""
    found = {
        "value": loss.value(y, f),
        "gradient": loss.gradient(y, f),
        "exact Hessian": loss.hessian(y, f),
    }
    for rule in ("auto", "safe"):
        if rule in loss.rules:
            found[f"curvature {rule}"] = loss.curvature(y, f, rule)
    return {name: x if x.ndim == 1 else x[:, output] for name, x in found.items()}


def plot(x: Array, drawn: dict[str, Array]) -> str | None:
    """Value, gradient, exact Hessian and curvature; None where there is nothing to draw with."""
    if find_spec("plotille") is None:
        return None
    value, gradient = (_panel(x, [drawn[name]], name) for name in DRAWN[:2])
    # Side by side, and on one scale.
    both = [drawn[name] for name in DRAWN[2:]]
    curved = [_panel(x, [y, *both], name) for name, y in zip(DRAWN[2:], both, strict=True)]
    rows = [
        *zip(value, gradient, strict=True),
        ("", ""),
        *zip(*curved, strict=True),
    ]
    return "\n".join((" " * GAP).join(pair).rstrip() for pair in rows)


def _panel(x: Array, curves: list[Array], title: str) -> list[str]:
    """The first of the curves, in a panel that could hold them all."""
    y, low, high = curves[0], min(c.min() for c in curves), max(c.max() for c in curves)
    # A constant lies in the middle of its panel.
    room = 0.05 * (high - low) or 1.0
    # By its name, as it has no types: a checker finds it installed or not.
    canvas = import_module("plotille").Canvas(
        WIDTH,
        HEIGHT,
        xmin=float(x[0]),
        xmax=float(x[-1]),
        ymin=float(low - room),
        ymax=float(high + room),
    )
    points = np.column_stack([x, y]).tolist()
    for (a, b), (c, d) in pairwise(points):
        canvas.line(a, b, c, d)
    ends = f"{x[0]:<{WIDTH // 2}.3g}{x[-1]:>{WIDTH - WIDTH // 2}.3g}"
    span = f"{y.min():.3g} to {y.max():.3g}" if y.max() > y.min() else f"{y.min():.3g}"
    lines = [f"{title}, {span}", *canvas.plot().splitlines(), ends]
    return [line.ljust(WIDTH) for line in lines]
