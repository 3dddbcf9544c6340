"""Random leaves: does a step of a leaf raise its loss?"""

from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.testing.samples import (
    SMALL,
    Generator,
    around,
    draw_labels,
    is_residual,
    score_scale,
)

MAX_LEAF_ROWS = 50

# Leaves that are evaluated at once.
CHUNK = 2000

# Steps end where losses need no longer be finite.
MAX_STEP = 1e30

# What of the leaf's loss counts as rounding, besides that of its own terms.
RELATIVE_RISE = 1e-9


def leaf_steps(
    loss: Loss,
    curvature: str | float = "safe",
    n_leaves: int = 1000,
    random_state: int = 0,
    *,
    eta: float | None = None,
    reg_lambda: float | None = None,
    y_true: Any = None,
) -> int:
    """Number of random leaves whose loss rises when the leaf takes its step.

    A leaf of 1 to 50 rows with labels from the domain, raw predictions of many spreads (1e-6 to
    1e6 of its scale for a loss of residuals) and weights of many sizes steps by
    ``-eta sum(w g) / (sum(w h) + reg_lambda)``. Of a loss with several outputs one output
    steps, as in one class tree. For a loss whose rows see each other all leaves of a random
    tree step at once, over one or more groups, and the loss of the tree counts.

    Parameters
    ----------
    loss : Loss
        An ``"auto"`` parameter must be resolved.
    curvature : str or float
        The rule.
    n_leaves : int
        Leaves, or trees.
    random_state : int
        Seed.
    eta, reg_lambda : float, optional
        By default random, eta in (0, 1] and lambda from 0 to ten times the leaf's curvature.
    y_true : array, optional
        Labels to draw from, for a loss whose domain does not say enough.

    Returns
    -------
    int
        Leaves whose loss rises by more than 1e-9 of itself and rounding.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> from gbobjectives.testing import leaf_steps
    >>> leaf_steps(gbo.HuberLoss(delta=1.0), "safe", eta=1.0, reg_lambda=0.0)
    0
    >>> leaf_steps(gbo.HuberLoss(delta=1.0), 1e-6, eta=1.0, reg_lambda=0.0) > 100
    True
    """
    labels = None if y_true is None else np.asarray(y_true)
    rng = np.random.default_rng(random_state)
    rises = 0
    for done in range(0, n_leaves, CHUNK):
        n = min(CHUNK, n_leaves - done)
        # Rounding of extreme draws is allowed for below; overflow is what steps may do.
        with np.errstate(over="ignore", under="ignore"):
            if isinstance(loss, RowLoss):
                rises += _row_leaves(loss, curvature, n, rng, eta, reg_lambda, labels)
            else:
                rises += _trees(loss, curvature, n, rng, eta, reg_lambda, labels)
    return rises


def _row_leaves(
    loss: Loss,
    curvature: str | float,
    n: int,
    rng: Generator,
    eta: float | None,
    reg_lambda: float | None,
    labels: Array | None,
) -> int:
    sizes = rng.integers(1, MAX_LEAF_ROWS + 1, n)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    leaf = np.repeat(np.arange(n), sizes)
    y, f = _leaf_rows(loss, rng, leaf, n, labels)
    w = _weights(rng, leaf, n)
    value, gradient = loss.value(y, f), loss.gradient(y, f)
    h = loss.curvature(y, f, curvature)
    moved: Array = f.copy()
    at: tuple[Any, ...] = (slice(None),)
    if f.ndim == 2:
        at = (np.arange(len(f)), rng.integers(0, f.shape[1], n)[leaf])
    gradient, h = gradient[at], h[at]
    sums = np.add.reduceat(w * gradient, starts), np.add.reduceat(w * h, starts)
    moved[at] += _steps(*sums, rng, eta, reg_lambda)[leaf]
    after = loss.value(y, moved)
    # What the leaf cannot be blamed for: rounding of its sums, and of the scores themselves.
    reach = np.abs(f[at]) + np.abs(moved[at])
    size = np.abs(value) + np.abs(after) + np.abs(gradient) * reach
    # A saturated gradient may overflow here, and 0 times inf is NaN.
    size = np.minimum(size, np.finfo(np.float64).max)
    return _count(*(np.add.reduceat(w * x, starts) for x in (value, after, size)))


def _trees(
    loss: Loss,
    curvature: str | float,
    n: int,
    rng: Generator,
    eta: float | None,
    reg_lambda: float | None,
    labels: Array | None,
) -> int:
    groups = rng.integers(1, 4, n)
    # Groups with targets of their own are long enough for them, and share label and weight.
    of_groups = loss.targets is not None and getattr(loss, "positional", False)
    sizes = rng.integers(SMALL if of_groups else 1, MAX_LEAF_ROWS + 1, int(groups.sum()))
    tree_of_group = np.repeat(np.arange(n), groups)
    tree = np.repeat(tree_of_group, sizes)
    y, f = _leaf_rows(loss, rng, tree, n, labels)
    w = np.maximum(_weights(rng, tree, n), 1e-6)
    starts = np.cumsum(sizes) - sizes
    if of_groups:
        y, w = np.repeat(y[starts], sizes), np.repeat(w[starts], sizes)
    group_weight = np.add.reduceat(w, starts)
    share = np.repeat(group_weight, sizes)
    leaves = rng.integers(1, 8, n)
    leaf = tree * 8 + rng.integers(0, leaves[tree])

    def per_leaf(x: Array) -> Array:
        total: Array = np.bincount(leaf, weights=share * x, minlength=8 * n)
        return total

    arguments = {"sample_weight": w, "group": sizes}
    gradient = loss.gradient(y, f, **arguments)
    h = loss.curvature(y, f, curvature, **arguments)
    moved: Array = f.copy()
    at: tuple[Any, ...] = (slice(None),)
    if f.ndim == 2:
        at = (np.arange(len(f)), rng.integers(0, f.shape[1], n)[tree])
    step = _steps(per_leaf(gradient[at]), per_leaf(h[at]), rng, eta, reg_lambda)
    moved[at] += step[leaf]
    before, after = loss.value(y, f, **arguments), loss.value(y, moved, **arguments)
    first = np.concatenate([[0], np.cumsum(groups)[:-1]])
    size = np.abs(before) + np.abs(after) + 1
    return _count(*(np.add.reduceat(group_weight * x, first) for x in (before, after, size)))


def _leaf_rows(
    loss: Loss, rng: Generator, leaf: Array, n: int, labels: Array | None
) -> tuple[Array, Array]:
    """Labels and raw predictions; every leaf has a spread, a shift and a shape of its own."""
    rows = len(leaf)
    y = draw_labels(loss, rng, rows, labels, soft=float(rng.choice([0.0, 0.25, 1.0])))
    shape = (rows,) if loss.n_outputs == 1 else (rows, loss.n_outputs)
    noise = rng.normal(size=shape)
    heavy = rng.random(n) < 0.3
    if is_residual(loss):
        # Cauchy tails, within what the sum of squares can hold.
        wide = np.clip(noise / np.abs(rng.normal(size=shape)), -1e6, 1e6)
        spread = score_scale(loss) * 10.0 ** rng.uniform(-6, 6, n)
    else:
        wide = np.clip(noise**3, -30, 30)
        spread = rng.choice([1e-3, 0.1, 1.0, 5.0], n)
    per_output = (n, *shape[1:])

    def column(per_leaf: Array) -> Array:
        return per_leaf[leaf] if len(shape) == 1 else per_leaf[leaf][:, None]

    shift = (rng.normal(size=per_output).T * rng.choice([0.0, 1.0, 5.0], n)).T[leaf]
    score = np.where(column(heavy), wide, noise)
    if is_residual(loss):
        return y, around(y, loss) + column(spread) * (score + shift)
    score = column(spread) * score + shift
    if loss.link.name == "log":
        near = (rng.random(rows) < 0.5).reshape(-1, *(1,) * (len(shape) - 1))
        score = score + np.where(near, np.log(np.maximum(around(y, loss), 0) + 0.5), 0.0)
    return y, score


def _weights(rng: Generator, leaf: Array, n: int) -> Array:
    """Equal, exponential, spread over six decades, or small counts with zeros."""
    rows = len(leaf)
    kinds = np.stack(
        [
            np.ones(rows),
            rng.exponential(size=rows),
            10.0 ** rng.uniform(-3, 3, rows),
            rng.integers(0, 3, rows),
        ]
    )
    return kinds[rng.integers(0, 4, n)[leaf], np.arange(rows)]


def _steps(
    gradient: Array,
    curvature: Array,
    rng: Generator,
    eta: float | None,
    reg_lambda: float | None,
) -> Array:
    """The step of each leaf; a leaf without curvature stays where it is."""
    n = len(gradient)
    rate = 1 - rng.random(n) if eta is None else np.full(n, eta)
    if reg_lambda is None:
        reg = np.abs(curvature) * np.where(rng.random(n) < 0.5, 0.0, 10.0 ** rng.uniform(-3, 1, n))
    else:
        reg = np.full(n, reg_lambda)
    total = curvature + reg
    live = total > 0
    step = np.where(live, -rate * gradient / np.where(live, total, 1.0), 0.0)
    return np.clip(step, -MAX_STEP, MAX_STEP)


def _count(before: Array, after: Array, size: Array) -> int:
    rounding = 64 * np.finfo(np.float64).eps * size
    # A step to where the loss overflows is a rise.
    fell = after <= before + RELATIVE_RISE * np.abs(before) + rounding
    return int(len(before) - np.count_nonzero(fell))
