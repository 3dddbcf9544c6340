"""Pictures of a training and of a model: history, curvature, coverage, calibration."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gbobjectives import _validation as check
from gbobjectives._numerics import Array
from gbobjectives.adapters.history import Curve, History, history_of
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.objective import as_objective
from gbobjectives.plotting import import_pyplot

__all__ = ["plot_calibration", "plot_coverage", "plot_curvature_report", "plot_history"]

# Rows of a random leaf, where none are given.
LEAF_ROWS = 20

# A rise of a leaf's loss by less than this share of the mean change of leaves is rounding.
ROUNDING = 1e-9

# Changes beyond so many mean changes are drawn at the edge.
FARTHEST = 3.0


def plot_history(source: Any, *, metric: str | None = None, ax: Any = None) -> Any:
    """Metrics round by round, one line a data set, the best round marked.

    Parameters
    ----------
    source : mapping, DataFrame, Booster or fitted estimator
        What ``evals_result`` or `lightgbm.record_evaluation` filled, what ``cv`` returned, a
        Booster that our ``train`` made with validation sets, or a fitted estimator.
    metric : str, optional
        The metric to draw; the last one that was logged by default.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The one drawn on.

    Raises
    ------
    ImportError
        If matplotlib is wanted and missing.
    ValueError
        If nothing was logged, or not that metric.

    Notes
    -----
    The best round is the model's own where it stopped early; without one none is marked, since
    a log does not say which direction is better.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import gbobjectives as gbo
    >>> ax = gbo.plot_history({"train": {"mae": [3, 2, 1]}, "valid": {"mae": [3, 2, 2.5]}})
    >>> [line.get_label() for line in ax.lines]
    ['train', 'valid']
    """
    history = history_of(source)
    curves = _of_metric(history, metric)
    ax = _new_axes("plot_history") if ax is None else ax
    for curve in curves:
        rounds = np.arange(1, len(curve.values) + 1)
        ax.plot(rounds, curve.values, label=curve.data)
        if curve.deviation is not None:
            low, high = curve.values - curve.deviation, curve.values + curve.deviation
            ax.fill_between(rounds, low, high, alpha=0.2)
    if history.best_round is not None:
        label = f"best round: {history.best_round}"
        ax.axvline(history.best_round, color="0.4", linestyle=":", label=label)
    ax.set_xlabel("round")
    ax.set_ylabel(curves[0].metric)
    ax.legend()
    return ax


def _of_metric(history: History, metric: str | None) -> list[Curve]:
    names = list(dict.fromkeys(curve.metric for curve in history.curves))
    name = names[-1] if metric is None else metric
    if name not in names:
        raise check.nearest_name("plot_history", "metric", name, names)
    return [curve for curve in history.curves if curve.metric == name]


def plot_curvature_report(
    loss: Any,
    y_true: npt.ArrayLike,
    raw_prediction: npt.ArrayLike,
    *,
    leaf: npt.ArrayLike | None = None,
    random_state: int = 0,
    ax: Any = None,
) -> npt.NDArray[np.object_]:
    """Where rows have no exact curvature, and which leaves would overshoot.

    Left: the exact second derivative and the objective's curvature of every row. Right: by how
    much the loss of each leaf changes in its full Newton step, exact curvature against the
    objective's, in mean changes under the objective's; above 0 the step made it worse.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        A loss of single rows with one output.
    y_true, raw_prediction : array of shape (n,)
        Labels and scores.
    leaf : array of shape (n,), optional
        The leaf of each row; random leaves of 20 rows by default.
    random_state : int
        Seed of the random leaves.
    ax : array of two Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    array of Axes
        The two drawn on.

    Raises
    ------
    ImportError
        If matplotlib is wanted and missing.
    TypeError, ValueError
        If the loss is not one of single rows with one output, or an array is not what it takes.

    Notes
    -----
    A leaf whose exact curvatures do not sum to a positive number has no Newton step; such leaves
    are counted in the title.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np, gbobjectives as gbo
    >>> y = np.random.default_rng(0).standard_t(2, size=500)
    >>> axes = gbo.plot_curvature_report(gbo.HuberLoss(delta=0.5), y, np.zeros(500))
    >>> axes[0].get_title()
    'no exact curvature: 64 % of rows'
    """
    made = as_objective(loss, "plot_curvature_report")
    if not isinstance(made.loss, RowLoss) or made.loss.n_outputs != 1:
        raise TypeError(
            "plot_curvature_report: a loss of single rows with one output is wanted; "
            f"got {made.loss!r}"
        )
    y, raw = np.asarray(y_true), np.asarray(raw_prediction, dtype=np.float64)
    one = made.loss.resolve(y, raw)
    exact = one.hessian(y, raw)
    own = one.curvature(y, raw, made.curvature)
    groups = _leaves(leaf, len(raw), random_state)
    changes = [_changes(one, y, raw, h, groups) for h in (exact, own)]

    axes = np.ravel(_new_axes("plot_curvature_report", 2) if ax is None else ax)
    if len(axes) != 2:
        raise ValueError(f"plot_curvature_report: ax must be two Axes; got {len(axes)}")
    order = np.argsort(raw - y) if one.task == "regression" else np.argsort(raw)
    place = (raw - y if one.task == "regression" else raw)[order]
    axes[0].plot(place, exact[order], ".", markersize=3, label="exact")
    axes[0].plot(place, own[order], ".", markersize=3, label=str(made.curvature))
    axes[0].set_title(f"no exact curvature: {100 * np.mean(exact <= 0):.0f} % of rows")
    axes[0].set_xlabel("residual" if one.task == "regression" else "raw prediction")
    axes[0].set_ylabel("curvature of a row")
    axes[0].legend()
    unit = float(np.nanmean(np.abs(changes[1]))) or 1.0
    bins = np.linspace(-FARTHEST, FARTHEST, 49)
    for name, change in zip(("exact", str(made.curvature)), changes, strict=True):
        size = change[np.isfinite(change)] / unit
        worse = int((size > ROUNDING).sum())
        held = np.clip(size, -FARTHEST, FARTHEST)
        axes[1].hist(held, bins=bins, alpha=0.6, label=f"{name}: {worse} leaves worse")
    axes[1].axvline(0, color="0.4", linestyle=":")
    steps = np.isfinite(changes[0])
    axes[1].set_title(f"{int((~steps).sum())} of {len(steps)} leaves have no exact step")
    axes[1].set_xlabel("change of a leaf's loss, in mean changes")
    axes[1].set_ylabel("leaves")
    axes[1].legend()
    return axes


def _leaves(leaf: Any, n: int, random_state: int) -> Array:
    if leaf is not None:
        given = np.asarray(leaf)
        if given.shape != (n,):
            raise ValueError(
                f"plot_curvature_report: leaf must have shape ({n},); got {given.shape}"
            )
        return np.unique(given, return_inverse=True)[1]
    return np.random.default_rng(random_state).permutation(n) // LEAF_ROWS


def _changes(loss: Loss, y: Array, raw: Array, h: Array, leaf: Array) -> Array:
    """By how much the loss of each leaf changes in its full step; NaN where there is none."""
    pull, curved = np.bincount(leaf, loss.gradient(y, raw)), np.bincount(leaf, h)
    step = np.divide(-pull, curved, out=np.full(len(pull), np.nan), where=curved > 0)
    moved = raw + np.nan_to_num(step)[leaf]
    change = np.bincount(leaf, loss.value(y, moved) - loss.value(y, raw))
    return np.where(np.isnan(step), np.nan, change)


def plot_coverage(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    quantile: Any,
    *,
    sample_weight: npt.ArrayLike | None = None,
    ax: Any = None,
) -> Any:
    """Share of labels at or below each predicted quantile, against its level.

    Parameters
    ----------
    y_true : array of shape (n,)
        Labels.
    y_pred : array of shape (n,) or (n, K)
        Predicted quantiles.
    quantile : float or sequence of K floats
        Their levels.
    sample_weight : array of shape (n,), optional
        Weights.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The one drawn on.

    Raises
    ------
    ImportError
        If matplotlib is wanted and missing.
    ValueError
        If the shapes do not fit, or a level is outside (0, 1).

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np, gbobjectives as gbo
    >>> y = np.arange(100.0)
    >>> ax = gbo.plot_coverage(y, np.tile([9.5, 89.5], (100, 1)), [0.1, 0.9])
    >>> ax.lines[1].get_ydata()
    array([0.1, 0.9])
    """
    owner = "plot_coverage"
    y, p = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    p = p[:, None] if p.ndim == 1 else p
    levels = check.real_parameters(
        owner, "quantile", np.atleast_1d(quantile), None, check.OPEN_UNIT_INTERVAL
    )
    if y.ndim != 1 or p.shape != (len(y), len(levels)):
        raise ValueError(
            f"{owner}: y_pred must have shape ({len(y)}, {len(levels)}); got {p.shape}"
        )
    w = check.weight_array(owner, sample_weight, len(y))
    covered = np.average(y[:, None] <= p, axis=0, weights=w)
    ax = _new_axes(owner) if ax is None else ax
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="as asked for")
    ax.plot(levels, covered, "o-", label="covered")
    ax.set_xlabel("level")
    ax.set_ylabel("share of labels at or below")
    ax.legend()
    return ax


def plot_calibration(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    *,
    n_bins: int = 10,
    sample_weight: npt.ArrayLike | None = None,
    ax: Any = None,
) -> Any:
    """Observed share against predicted probability, in bins of equally many rows.

    Parameters
    ----------
    y_true : array of shape (n,)
        Labels 0 and 1.
    y_pred : array of shape (n,)
        Probabilities of 1.
    n_bins : int
        Bins.
    sample_weight : array of shape (n,), optional
        Weights.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        The one drawn on.

    Raises
    ------
    ImportError
        If matplotlib is wanted and missing.
    ValueError
        If the shapes do not fit, or labels or probabilities are outside [0, 1].

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import gbobjectives as gbo
    >>> ax = gbo.plot_calibration([0, 1, 0, 1], [0.2, 0.2, 0.6, 0.6], n_bins=2)
    >>> ax.lines[1].get_xydata()
    array([[0.2, 0.5],
           [0.6, 0.5]])
    """
    owner = "plot_calibration"
    n_bins = check.count_parameter(owner, "n_bins", n_bins, 1)
    y, p = check.label_response_pair(owner, y_true, y_pred)
    for values in (y, p):
        check.require_in_domain(owner, values, check.UNIT_INTERVAL)
    if p.ndim != 1:
        raise ValueError(f"{owner}: y_pred must have shape (n,); got {p.shape}")
    w = check.weight_array(owner, sample_weight, len(y))
    w = np.ones(len(y)) if w is None else w
    bins = [part for part in np.array_split(np.argsort(p, kind="stable"), n_bins) if len(part)]
    weighed = [part for part in bins if w[part].sum() > 0]
    means = np.array([[np.average(x[part], weights=w[part]) for x in (p, y)] for part in weighed])
    ax = _new_axes(owner) if ax is None else ax
    ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="calibrated")
    ax.plot(*means.T, "o-", label=f"{len(means)} bins of {len(bins[0])} rows")
    ax.set_xlabel("predicted probability")
    ax.set_ylabel("observed share")
    ax.legend()
    return ax


def _new_axes(owner: str, n: int = 1) -> Any:
    pyplot = import_pyplot(owner)
    return pyplot.subplots(1, n, figsize=(5 * n, 3.5), layout="constrained")[1]
