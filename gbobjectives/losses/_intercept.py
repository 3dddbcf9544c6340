"""The best constant raw prediction, for losses that have no closed form."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize, minimize_scalar

from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, weighted_sum

# A logit beyond this is a probability that float32 (in which XGBoost keeps its intercept)
# cannot tell from 0 or 1; a log beyond it is a mean 13 orders of magnitude off.
MAX_SCORE = 15.0

# Where a bracket of the score stops growing: the range over which losses are finite.
MAX_BRACKET = 1e30


def weights_of(batch: Batch) -> Array:
    """Weights of all rows in float64."""
    return batch.weights(slice(0, batch.n_rows)).astype(np.float64)


def weighted_mean(batch: Batch, values: Array) -> float:
    """Weighted mean of one number per row."""
    return float(np.average(values.astype(np.float64), weights=weights_of(batch)))


def weighted_quantile(batch: Batch, quantile: float) -> float:
    """Smallest label (less its offset) that at least that share of the weight does not pass."""
    return float(weighted_quantiles(batch, np.asarray(quantile)))


def weighted_quantiles(batch: Batch, quantiles: Array) -> Array:
    """`weighted_quantile` of several shares at once."""
    x = batch.y.astype(np.float64) - batch.f
    w = None if batch.w is None else weights_of(batch)
    return np.asarray(np.quantile(x, quantiles, weights=w, method="inverted_cdf"))


def log_odds(positive: float, negative: float) -> float:
    """Logit of positive / (positive + negative), within `MAX_SCORE`."""
    with np.errstate(divide="ignore"):
        return float(np.clip(np.log(positive) - np.log(negative), -MAX_SCORE, MAX_SCORE))


def solve_intercept(
    loss: Any, batch: Batch, low: float = -1.0, high: float = 1.0, places: Any = ()
) -> Any:
    """Minimise the weighted mean loss over the constant added to the offset.

    A convex loss of one output has its gradient's root bracketed and refined by Brent's method;
    otherwise the value is minimised, and the best of a grid and of the places, where a valley
    may be, is refined.
    """
    if loss.n_outputs > 1:
        return _solve_several(loss, batch)
    limit = MAX_BRACKET if loss.link.name == "identity" else MAX_SCORE

    # The ends of a bracket are asked for more than once.
    @cache
    def gradient(c: float) -> float:
        return _total(loss, _shifted(batch, c), loss._gradient)

    low, high = _grow(gradient, low, -limit), _grow(lambda c: -gradient(c), high, limit)
    if low >= high:
        return low
    if not loss.convex:
        grid = np.linspace(low, high, 33)
        return _minimise(loss, batch, np.unique(np.concatenate([grid, places])))
    if gradient(low) >= 0:
        return low
    if gradient(high) <= 0:
        return high
    # Relative to the bracket: a root at 0 has no digits of its own.
    xtol = 1e-16 * max(abs(low), abs(high))
    return brentq(gradient, low, high, xtol=xtol, rtol=1e-14)


def _shifted(batch: Batch, c: Any) -> Batch:
    return Batch(batch.y, batch.f + c, batch.w, batch.groups)


def _total(loss: Any, batch: Batch, kernel: Callable[..., Array]) -> float:
    """Weighted sum over rows of a kernel."""

    def block(piece: Any, arguments: tuple[Any, ...]) -> float:
        w = loss._total_weights(batch, piece, arguments)
        rows = kernel(*arguments)
        return float((rows if w is None else rows * w).sum())

    return float(sum(loss._map(batch, block)))


def _grow(gradient: Callable[[float], float], end: float, limit: float) -> float:
    """Double the end of a bracket until the gradient there points inwards."""
    while gradient(end) > 0 and abs(end) < abs(limit):
        end = np.copysign(min(abs(2 * end), abs(limit)), limit) if end * limit > 0 else limit
    return float(end)


def _minimise(loss: Any, batch: Batch, grid: Array) -> float:
    def value(c: float) -> float:
        mean: float = loss._mean(_shifted(batch, c), loss._value)
        return mean

    # A coarse grid first: a bounded search alone may settle in a side valley.
    values = [value(c) for c in grid]
    best = int(np.argmin(values))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        value, bounds=(left, right), method="bounded", options={"xatol": 1e-10 * (right - left)}
    )
    return float(found.x if found.fun < values[best] else grid[best])


def _solve_several(loss: Any, batch: Batch) -> Array:
    w = weights_of(batch)
    w = w / w.sum()

    def value_gradient(c: Array) -> tuple[float, Array]:
        shifted = _shifted(batch, c)
        y, f = shifted.rows(slice(0, batch.n_rows))
        value = float(weighted_sum(w, loss._value(y, f)))
        return value, weighted_sum(w, loss._gradient(y, f))

    start = np.zeros(loss.n_outputs)
    return np.asarray(minimize(value_gradient, start, jac=True, method="BFGS").x)
