"""Logarithmic errors: residuals of log(1 + y), in units of y or in their own."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, at_most, saturated
from gbobjectives.curvature import Rule
from gbobjectives.links import LOG1P, Interval, Link
from gbobjectives.losses._intercept import solve_intercept, weighted_mean, weighted_quantiles
from gbobjectives.losses.kinds import RowLoss

__all__ = ["Log1pSquaredErrorLoss", "SquaredLogErrorLoss"]

# 1 + f below which the squared log error goes on as a parabola, and to which 1 + y is held: about
# the 1e-6 of XGBoost, and a power of 2, so that S0 - 1 is exact in float32.
S0 = 2.0**-20


@dataclass(frozen=True)
class SquaredLogErrorLoss(RowLoss):
    r"""Squared logarithmic error, :math:`(\log(1 + f) - \log(1 + y))^2 / 2`, of responses f.

    Estimates the geometric mean of 1 + y, less 1. Domain: y > -1. Link: identity. Not convex: far
    above the label the gradient falls as log(f)/f. Units: none; f in units of y. With s = 1 + f
    and L = log(s / (1 + y)), gradient L/s, Hessian (1 - L)/s^2. ``curvature=1e-6`` with
    ``scale=None`` is what ``reg:squaredlogerror`` does in XGBoost.

    Raises
    ------
    ValueError
        If a label is not above -1.

    Notes
    -----
    Below s = 2^-20 (XGBoost clips at 1e-6) the loss goes on as its second-order Taylor polynomial
    there, which is convex. A row that got outside, f <= -1, thus has a finite loss and a
    gradient, and its next full step brings it back inside; so that no prediction of a model is
    below -1, train `Log1pSquaredErrorLoss`, whose raw prediction is the logarithm. Gradients
    beyond the largest finite number saturate, and labels below 2^-20 - 1 count as that.

    ``safe``, (1 + abs(L))/s^2, takes a single row from s to s/(1 + L) >= s exp(-L) on its way
    down, and from s to s (1 + 2x)/(1 + x) <= s exp(x) with x = -L on its way up: never past its
    label, let alone out of the domain. A leaf whose rows differ in s has one step for all, which
    may: ``heuristic``, and ``auto`` is the same; of 20,000 random leaves 5 % rise in a full step
    and 0.04 % in a step of 0.1. Closed-form intercept: the estimate itself.

    References
    ----------
    .. [1] Tofallis, A better measure of relative prediction accuracy for model selection and
       model estimation, Journal of the Operational Research Society 2015,
       doi:10.1057/jors.2014.103.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.SquaredLogErrorLoss()
    >>> loss.intercept([0.0, 3.0]), loss.metric_value([0.0], [1.0])
    (array([1.]), 0.4804530139182014)
    """

    aliases: ClassVar[tuple[str, ...]] = ("msle", "rmsle")
    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "geometric mean of 1 + y"
    formula: ClassVar[str] = "(log(1 + f) - log(1 + y))^2 / 2"
    parity: ClassVar[str] = "reg:squaredlogerror (1e-6)"
    source: ClassVar[str] = "doi:10.1057/jors.2014.103"
    y_domain: ClassVar[Interval] = Interval(-1.0, np.inf, False, False)
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True
    normalised: ClassVar[bool] = True
    metric_name: ClassVar[str] = "msle"

    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array]:
        """L and s inside the domain, and (s - S0) / S0 below it, else 0."""
        y, inside = np.maximum(y, S0 - 1), np.maximum(f, S0 - 1)
        s, r = 1 + inside, inside - y
        # naive log1p(f) - log1p(y) cancels next to the label, and log1p(r / (1 + y)) next to -1
        log_ratio = np.copysign(np.log1p(np.abs(r) / np.minimum(s, 1 + y)), r)
        return log_ratio, s, at_most(f - (S0 - 1), 0) / S0

    def _value(self, y: Array, f: Array) -> Array:
        ratio, _, below = self._parts(y, f)
        value: Array = (ratio * ratio + below * (2 * ratio + (1 - ratio) * below)) / 2
        return value

    def _gradient(self, y: Array, f: Array) -> Array:
        ratio, s, below = self._parts(y, f)
        return saturated((ratio + (1 - ratio) * below) / s)

    def _hessian(self, y: Array, f: Array) -> Array:
        ratio, s, _ = self._parts(y, f)
        hessian: Array = (1 - ratio) / s / s
        return hessian

    def _positive(self, y: Array, f: Array) -> Array:
        ratio, s, _ = self._parts(y, f)
        return (1 + np.abs(ratio)) / s / s

    rules = {
        name: Rule(lambda loss, y, f: loss._positive(y, f), "heuristic", "(1 + |L|) / s^2")
        for name in ("safe", "auto")
    }

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Where the parabola begins; the third derivative jumps there."""
        return (np.full_like(raw_prediction, S0 - 1),)

    def _score(self, y: Array, f: Array) -> Array:
        # Responses are held at the join: one new row outside would be all that a metric shows.
        ratio, _, _ = self._parts(y, f)
        score: Array = ratio * ratio
        return score

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        if not has_offset:
            return float(np.expm1(weighted_mean(batch, _log1p_label(batch.y.astype(np.float64)))))
        x = batch.y.astype(np.float64) - batch.f
        places = weighted_quantiles(batch, np.linspace(0, 1, 65))
        return solve_intercept(self, batch, float(x.min()), float(x.max()), places)


def _log1p_label(y: Array) -> Array:
    """log(1 + y), of labels that float32 rounds to -1 as well."""
    return np.log1p(np.maximum(y, S0 - 1))


@dataclass(frozen=True)
class Log1pSquaredErrorLoss(RowLoss):
    r"""Squared logarithmic error with log1p link, :math:`(f - \log(1 + y))^2 / 2`.

    Estimates the geometric mean of 1 + y, less 1. Domain: y > -1. Link: log1p, y_pred =
    exp(f) - 1, which is never below -1. Convex. Units: squared log units; f in log units of 1 +
    y. It is squared error of log(1 + y): gradient f - log(1 + y), Hessian 1, which is its own
    majorizer. Neither library has an objective with this link, so that models predict raw scores;
    ``loss.predict`` makes responses of them.

    Raises
    ------
    ValueError
        If a label is not above -1.

    Notes
    -----
    The metric is ``msle``, as that of `SquaredLogErrorLoss`, which has the same minimum, and
    trains less well: its trees step in units of y. Closed-form intercept: the weighted mean of
    log(1 + y). Labels below 2^-20 - 1 count as that.

    References
    ----------
    .. [1] Tofallis, A better measure of relative prediction accuracy for model selection and
       model estimation, Journal of the Operational Research Society 2015,
       doi:10.1057/jors.2014.103.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.Log1pSquaredErrorLoss()
    >>> loss.predict(loss.intercept([0.0, 3.0])).round(6)
    array([1.])
    """

    aliases: ClassVar[tuple[str, ...]] = ("msle_log1p",)
    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "geometric mean of 1 + y"
    formula: ClassVar[str] = "(f - log(1 + y))^2 / 2"
    source: ClassVar[str] = "doi:10.1057/jors.2014.103"
    y_domain: ClassVar[Interval] = Interval(-1.0, np.inf, False, False)
    link: ClassVar[Link] = LOG1P
    metric_name: ClassVar[str] = "msle"

    def _value(self, y: Array, f: Array) -> Array:
        return self._score(y, f) / 2

    def _gradient(self, y: Array, f: Array) -> Array:
        return f - _log1p_label(y)

    def _hessian(self, y: Array, f: Array) -> Array:
        return np.ones_like(f)

    def _score(self, y: Array, f: Array) -> Array:
        return (f - _log1p_label(y)) ** 2

    rules = {
        name: Rule(lambda loss, y, f: loss._hessian(y, f), "majorizer", "1")
        for name in ("safe", "auto", "unit", "fisher", "exact")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return weighted_mean(batch, _log1p_label(batch.y.astype(np.float64)) - batch.f)
