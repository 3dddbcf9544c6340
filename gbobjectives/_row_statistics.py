"""What the derivatives of all rows add up to: for advice before training, and during it."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.objective import Objective

# An exact Hessian this far below the safe curvature is as good as 0: the step by it is a thousand
# times as long as the one that is known to go down.
VANISHING = 1e-3


@dataclass(frozen=True)
class RowStatistics:
    """Shares and sums over the rows that count, those of a weight above 0.

    Parameters
    ----------
    n_rows : int
        Rows that count.
    zero, negative : float
        Share of exact second derivatives that are as good as 0, and below that.
    floored : float
        Share of curvatures that are raised to the floor of their rule.
    pull_up, pull_down : array of shape (n_outputs,)
        Sums of the gradients that raise a raw prediction, and of those that lower it, both
        positive: no leaf can have a larger sum.
    curvature : array of shape (n_outputs,)
        Sum of the positive curvatures that a library is handed: no leaf can have a larger sum.
    gain : array of shape (n_outputs,)
        Sum of g^2 / h: by Cauchy's inequality no tree of whatever size gains more.
    reach : float
        Distance that nine of ten rows stay within of where their own Newton step would take them.
    """

    n_rows: int
    zero: float
    negative: float
    floored: float
    pull_up: Array
    pull_down: Array
    curvature: Array
    gain: Array
    reach: float


def row_statistics(
    objective: Objective,
    y_true: Any,
    raw_prediction: Any,
    sample_weight: Any = None,
    group: Any = None,
) -> RowStatistics:
    """Statistics of the derivatives that a library is handed for these rows."""
    # A copy: what an objective remembers of its training is no part of this look at it.
    made = copy.copy(objective)
    rows = (y_true, raw_prediction, sample_weight, group)
    g, h = (_columns(x.astype(np.float64)) for x in made.gradient_hessian(*rows))
    loss = made.loss
    exact = _columns(loss.hessian(y_true, raw_prediction, sample_weight, group))
    trusted = _rule(made, "safe" if "safe" in loss.rules else "auto", *rows)
    own = _rule(made, made.curvature, *rows)

    live = np.asarray(made.loss.labels(y_true)[1]).copy()
    if sample_weight is not None:
        live &= np.asarray(sample_weight) > 0
    g, h, exact, trusted, own = (x[live] for x in (g, h, exact, trusted, own))
    weight = np.ones(len(g)) if sample_weight is None else np.asarray(sample_weight)[live]
    floor = loss.rule(made.curvature).relative_floor * np.average(own, axis=0, weights=weight)
    vanishing = VANISHING * np.abs(trusted)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step = np.where(g == 0, 0.0, np.abs(g) / np.maximum(h, 0))
    return RowStatistics(
        n_rows=len(g),
        zero=float((np.abs(exact) <= vanishing).mean()),
        negative=float((exact < -vanishing).mean()),
        floored=float((own < floor).mean()),
        pull_up=np.maximum(-g, 0).sum(axis=0),
        pull_down=np.maximum(g, 0).sum(axis=0),
        curvature=np.maximum(h, 0).sum(axis=0),
        gain=(np.abs(g) * step).sum(axis=0),
        reach=float(np.quantile(step, 0.9, method="lower")),
    )


def _rule(made: Objective, name: Any, y: Any, raw: Any, w: Any, group: Any) -> Array:
    return _columns(made.loss.curvature(y, raw, name, w, group))


def _columns(values: Array) -> Array:
    """One column an output, also where there is one output."""
    return values.reshape(len(values), -1)
