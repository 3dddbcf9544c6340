"""Relative errors: residuals in units of the label.

With ``r = f - y`` and ``m = max(|y|, epsilon)``, the size of the label, ``v = r / m`` is the
relative residual. Labels near 0 have a huge one whatever is predicted; epsilon, the smallest
size that counts, decides what they are worth.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import minimize_scalar

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, saturated
from gbobjectives.curvature import Rule
from gbobjectives.links import Interval
from gbobjectives.losses._intercept import (
    weighted_quantile,
    weighted_quantiles,
    weights_of,
)
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.losses.residual import AutoDelta, bounded_delta
from gbobjectives.losses.robust import SmoothAbsolute

__all__ = [
    "AbsolutePercentageErrorLoss",
    "SquaredPercentageErrorLoss",
    "SymmetricAbsolutePercentageErrorLoss",
]

# Sizes of labels of which 1 / epsilon^2, the curvature of a label of 0, fits float32.
SIZES = Interval(1e-15, 1e15)

# Widths of the symmetric relative residual, which lies in [-1, 1]: below the loss is the metric
# with its kink, above it is squared throughout.
SHARES = Interval(1e-3, 10.0)

# A label below this size is 0 to the symmetric error: 1 / y^2, its curvature, fits float32.
ZERO_LABEL = 1e-15

# Labels at which the symmetric error is scanned for its best constant.
N_PLACES = 256


def _size(loss: Any, y: Array) -> Array:
    """What residuals are relative to."""
    size: Array = np.maximum(np.abs(y), loss.epsilon)
    return size


def _checked_epsilon(loss: Any) -> float:
    return check.real_parameter(type(loss).__name__, "epsilon", loss.epsilon, SIZES)


@dataclass(frozen=True)
class AbsolutePercentageErrorLoss(SmoothAbsolute):
    r"""Absolute percentage error, smoothed: :math:`\delta(\sqrt{v^2 + \delta^2} - \delta)`.

    Estimates the median under weights 1/abs(y), which lies below the median. Here
    :math:`v = (f - y)/m` with :math:`m = \max(|y|, \epsilon)`. Domain: all reals. Link: identity.
    Convex. Units: value none, delta none (a relative residual), epsilon y. With u = v/delta,
    gradient :math:`\delta u (1+u^2)^{-1/2} / m` and Hessian :math:`(1+u^2)^{-3/2} / m^2`. The
    metric is the exact ``mape`` in per cent, 100 abs(v), and the intercept its minimum, the
    weighted median.

    Parameters
    ----------
    epsilon : float
        Size that smaller labels count as, in units of y. At 1e-7 a label of 0 weighs as much as
        ten million labels of 1; 1 is what LightGBM's ``mape`` has.
    delta : float or "auto"
        Width of the smoothing; ``"auto"`` is the squared mean of sqrt(abs(v)) of each round.

    Raises
    ------
    ValueError
        If epsilon or delta is out of range.

    Notes
    -----
    The safe curvature (1+u^2)^(-1/2) / m^2 is a majorizer: psi(u)/u of the residual v, whose
    derivative is 1/m. ``auto`` is the same. Other losses of a residual raise it to 5 % of its
    mean, which here would be that of the smallest labels, and large ones would not move.
    LightGBM's ``mape`` renews its leaves to the exact weighted median, which a custom objective
    cannot ask for, and differs. Gradients beyond the largest finite number saturate.

    References
    ----------
    .. [1] de Myttenaere, Golden, Le Grand and Rossi, Mean absolute percentage error for
       regression models, Neurocomputing 2016, doi:10.1016/j.neucom.2015.12.114.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.AbsolutePercentageErrorLoss()
    >>> loss.metric_value([100.0, 10.0], [110.0, 8.0])
    15.0
    >>> loss.intercept([1.0, 2.0, 60.0])
    array([1.])
    """

    epsilon: float = 1e-7

    aliases: ClassVar[tuple[str, ...]] = ("mape",)
    label_units: ClassVar[tuple[str, ...]] = ("epsilon",)
    estimates: ClassVar[str] = "median, weighted by 1/|y|"
    formula: ClassVar[str] = "delta (sqrt(v^2 + delta^2) - delta), v = r / max(|y|, epsilon)"
    source: ClassVar[str] = "doi:10.1016/j.neucom.2015.12.114"
    metric_name: ClassVar[str] = "mape"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("root", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "epsilon", _checked_epsilon(self))

    def _u(self, y: Array, f: Array) -> Array:
        return self._scaled(y, f, _size(self, y))

    def _scaled(self, y: Array, f: Array, m: Array) -> Array:
        # inf / inf further on would be NaN
        return saturated((f - y) / m / self._width)

    def _gradient(self, y: Array, f: Array) -> Array:
        m = _size(self, y)
        return saturated(self._psi(self._scaled(y, f, m)) * self._width / m)

    def _hessian(self, y: Array, f: Array) -> Array:
        m = _size(self, y)
        return self._psi_derivative(self._scaled(y, f, m)) / m / m

    def _safe(self, y: Array, f: Array) -> Array:
        m = _size(self, y)
        return self._weight(self._scaled(y, f, m)) / m / m

    def _unit(self, y: Array, f: Array) -> Array:
        m = _size(self, y)
        return 1 / m / m

    rules = {
        name: Rule(lambda loss, y, f: loss._safe(y, f), "majorizer", "(1 + u^2)^(-1/2) / m^2")
        for name in ("safe", "auto")
    } | {"unit": Rule(lambda loss, y, f: loss._unit(y, f), "majorizer", "1 / m^2")}

    def _score(self, y: Array, f: Array) -> Array:
        score: Array = 100 * (np.abs(f - y) / _size(self, y))
        return score

    def _relative(self, batch: Batch, f: Array) -> Batch:
        """The batch as relative residuals."""
        y = batch.y.astype(f.dtype, copy=False)
        v = (f - y) / _size(self, y)
        return Batch(np.zeros_like(v), v, batch.w)

    def _label_statistics(self, batch: Batch) -> tuple[float, float]:
        if self.resolved:
            return 1.0, 0.0
        constant = self._intercept(Batch(batch.y, np.zeros_like(batch.f), batch.w), False)
        at_best = self._relative(batch, np.full_like(batch.f, constant))
        return 1.0, self.auto_delta.of(at_best, 1.0)

    def _resolve(self, batch: Batch, statistics: tuple[float, float]) -> Self:
        if self.resolved:
            return self
        now = self.auto_delta.of(self._relative(batch, batch.f), 1.0)
        return replace(self, delta=bounded_delta(now, statistics[1]))

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        w = weights_of(batch) / _size(self, batch.y.astype(np.float64))
        return weighted_quantile(Batch(batch.y, batch.f, w), 0.5)


@dataclass(frozen=True)
class SymmetricAbsolutePercentageErrorLoss(RowLoss):
    r"""Symmetric absolute percentage error, smoothed: :math:`2(\sqrt{v^2 + \delta^2} - \delta)`.

    Estimates a location near the median, by relative distance. Here
    :math:`v = (f - y)/(|f| + |y|)`, from -1 to 1, and 0 where both are 0. Domain: all reals,
    though it is meant for y >= 0. Link: identity. Not convex: where f has not the sign of y, v
    is constant and the row has no gradient, and far beyond y the gradient falls as 1/f^2.
    Units: value none, delta none. The metric is the exact ``smape``, 2 abs(v), from 0 to 2; the
    intercept is the best of its values at the labels (of many, at 256 quantiles of them, and
    then of those between) and near the best of them.

    Parameters
    ----------
    delta : float
        Width of the smoothing, in units of v, from 0.001 to 10. At 0.5 a prediction within a
        factor of 3 of the label is in the quadratic core. On simulated amounts that span orders
        of magnitude the metric ended 1 to 11 % lower than at 0.1, on others within 1 %.

    Raises
    ------
    ValueError
        If delta is out of range.

    Notes
    -----
    With R(v) the value, gradient R'(v) v', Hessian R''(v) v'^2 + R'(v) v'', where v' = 2
    abs(y)/(f+y)^2 and v'' = -2 v'/(f+y) for positive y and f. The curvature is :math:`R'(v) v' /
    (f - y)`: it is positive, and by it a single row steps to its label. It is ``heuristic``,
    ``safe`` and ``auto`` alike: it bounds the value on the row's own side of its label, but the
    loss is steeper below the label than above, and flat beyond 0. Of 20,000 random leaves 4 % rise
    in a full step, and none in a step of 0.3. The Gauss-Newton curvature v'^2 R'(v)/v, smaller by
    2y/(f+y), would send a row at f = 10y to -39y, from where there is no way back. At f = 0 the
    derivatives are those towards the label, so that a model may start there. Rows with y = 0 have
    none. A label below 1e-15 counts as 0.

    References
    ----------
    .. [1] Hyndman and Koehler, Another look at measures of forecast accuracy, International
       Journal of Forecasting 2006, doi:10.1016/j.ijforecast.2006.03.001.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.SymmetricAbsolutePercentageErrorLoss()
    >>> loss.metric_value([2.0, 0.0], [6.0, 0.0])
    0.5
    >>> loss.gradient([1.0, -1.0], [0.0, 1.0]).round(3)
    array([-3.578,  0.   ])
    """

    delta: float = 0.5

    aliases: ClassVar[tuple[str, ...]] = ("smape",)
    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "location by relative error"
    formula: ClassVar[str] = "2 (sqrt(v^2 + delta^2) - delta), v = r / (|f| + |y|)"
    source: ClassVar[str] = "doi:10.1016/j.ijforecast.2006.03.001"
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True
    normalised: ClassVar[bool] = True
    metric_name: ClassVar[str] = "smape"

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        object.__setattr__(self, "delta", check.real_parameter(name, "delta", self.delta, SHARES))

    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array, Array]:
        """v, sqrt(v^2 + delta^2), |f| + |y|, and abs(y) of rows that have a gradient, else 0."""
        size = np.abs(y) * (np.abs(y) >= ZERO_LABEL)
        total = np.maximum(np.abs(f) + np.abs(y), np.finfo(f.dtype).tiny)
        v = (f - y) / total
        root = np.sqrt(v * v + self.delta * self.delta)
        return v, root, total, size * (np.sign(f) * np.sign(y) >= 0)

    def _value(self, y: Array, f: Array) -> Array:
        v, root, _, _ = self._parts(y, f)
        # naive 2 (sqrt(v^2 + delta^2) - delta) cancels at 0
        value: Array = 2 * v * v / (root + self.delta)
        return value

    def _gradient(self, y: Array, f: Array) -> Array:
        v, root, total, size = self._parts(y, f)
        return 4 * (v / root) * (size / total / total)

    def _hessian(self, y: Array, f: Array) -> Array:
        v, root, total, size = self._parts(y, f)
        bend, curl = (self.delta / root) ** 2 / root, np.sign(y) * (v / root)
        # R''(v) v'^2 + R'(v) v'', of which v' = 2 |y| / t^2 and v'' = -2 sign(y) v' / t
        slope = 2 * (size / total)
        return 2 * (slope / total / total) * (bend * slope - 2 * curl)

    def _secant(self, y: Array, f: Array) -> Array:
        _, root, total, size = self._parts(y, f)
        return 4 * (size / total) / total / total / root

    rules = {
        name: Rule(lambda loss, y, f: loss._secant(y, f), "heuristic", "g / (f - y)")
        for name in ("safe", "auto")
    }

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """0, beyond which the value is constant."""
        return (np.zeros_like(raw_prediction),)

    def _score(self, y: Array, f: Array) -> Array:
        score: Array = 2 * np.abs(self._parts(y, f)[0])
        return score

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        def score(c: float) -> float:
            return self._mean(Batch(batch.y, batch.f + c, batch.w), self._score)

        shares = np.linspace(0, 1, N_PLACES + 1)
        low, best, high = _best_place(score, weighted_quantiles(batch, shares))
        targets = np.unique(batch.y - batch.f)
        between = targets[(low <= targets) & (targets <= high)]
        if len(between) > N_PLACES:
            between = np.quantile(between, shares, method="inverted_cdf")
        low, best, high = _best_place(score, np.append(between, best))
        if low == high:
            return best
        found = minimize_scalar(score, bounds=(low, high), method="bounded")
        return float(found.x) if found.fun < score(best) else best


def _best_place(score: Callable[[float], float], places: Array) -> tuple[float, float, float]:
    """The place of the lowest score, between its neighbours."""
    places = np.unique(places)
    at = int(np.argmin([score(c) for c in places]))
    last = len(places) - 1
    return float(places[max(at - 1, 0)]), float(places[at]), float(places[min(at + 1, last)])


@dataclass(frozen=True)
class SquaredPercentageErrorLoss(RowLoss):
    r"""Squared percentage error, :math:`v^2 / 2`: least squares of relative residuals.

    Estimates E[1/y] / E[1/y^2], which lies below the mean. Here :math:`v = (f - y)/m` with
    :math:`m = \max(|y|, \epsilon)`. Domain: all reals. Link: identity. Convex. Units: value none,
    epsilon y. Gradient v/m; the Hessian 1/m^2 is its own majorizer, and every curvature is it.
    Gradients beyond the largest finite number saturate.

    Parameters
    ----------
    epsilon : float
        Size that smaller labels count as, in units of y. At 1e-7 a label of 0 weighs as much as
        1e14 labels of 1.

    Raises
    ------
    ValueError
        If epsilon is out of range.

    Notes
    -----
    The metric is ``mspe``, the mean of v squared without the half; ``Metric("rmspe")`` is its
    root. It is squared error with weights 1/m^2. Closed-form intercept: the weighted mean.

    References
    ----------
    .. [1] Hyndman and Koehler, Another look at measures of forecast accuracy, International
       Journal of Forecasting 2006, doi:10.1016/j.ijforecast.2006.03.001.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.SquaredPercentageErrorLoss().intercept([1.0, 2.0])
    array([1.2])
    """

    epsilon: float = 1e-7

    aliases: ClassVar[tuple[str, ...]] = ("rmspe",)
    label_units: ClassVar[tuple[str, ...]] = ("epsilon",)
    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "mean, weighted by 1/y^2"
    formula: ClassVar[str] = "(r / max(|y|, epsilon))^2 / 2"
    source: ClassVar[str] = "doi:10.1016/j.ijforecast.2006.03.001"
    normalised: ClassVar[bool] = True
    metric_name: ClassVar[str] = "mspe"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "epsilon", _checked_epsilon(self))

    def _value(self, y: Array, f: Array) -> Array:
        return self._score(y, f) / 2

    def _gradient(self, y: Array, f: Array) -> Array:
        m = _size(self, y)
        return saturated((f - y) / m / m)

    def _hessian(self, y: Array, f: Array) -> Array:
        m = _size(self, y)
        return 1 / m / m

    def _score(self, y: Array, f: Array) -> Array:
        score: Array = ((f - y) / _size(self, y)) ** 2
        return score

    rules = {
        name: Rule(lambda loss, y, f: loss._hessian(y, f), "majorizer", "1 / m^2")
        for name in ("safe", "auto", "unit", "fisher", "exact")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        y = batch.y.astype(np.float64)
        weights = weights_of(batch) / _size(self, y) ** 2
        return float(np.average(y - batch.f, weights=weights))
