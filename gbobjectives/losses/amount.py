"""Losses of positive amounts, and of overdispersed counts (log link).

A row pulls its score up by A and down by B: the gradient is B - A. The pulls are kept apart,
because the proofs of the curvatures are about their sum, which does not cancel.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, at_least, at_most, exp_saturating, log1pexp, saturated
from gbobjectives.curvature import Rule
from gbobjectives.links import LOG, Interval, Link
from gbobjectives.losses._intercept import MAX_SCORE, solve_intercept, weighted_mean, weights_of
from gbobjectives.losses.kinds import RowLoss

__all__ = ["GammaLoss", "InverseGaussianLoss", "NegativeBinomialLoss", "TweedieLoss"]

# Powers of the variance from that of Poisson to that of the gamma distribution.
POWERS = Interval(1.0, 2.0)

# Dispersions of which 1 / dispersion times a large label fits float32.
DISPERSIONS = Interval(1e-10, 1e10)

# Below the largest exponent, so that sums of what saturates stay finite: a factor of 2^20.
HEAD_ROOM = 20 * float(np.log(2))

# An exponent this close to 0 is 0 in float32.
NO_EXPONENT = 1e-30


@dataclass(frozen=True)
class PulledLoss(RowLoss):
    """Base of losses of two pulls.

    A subclass supplies ``_parts(y, f)``, the pulls up and down and the Hessian, and its
    curvatures as functions of these three.
    """

    estimates: ClassVar[str] = "mean"
    link: ClassVar[Link] = LOG

    @abstractmethod
    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array]: ...

    def _safe(self, up: Array, down: Array, h: Array) -> Array:
        return (up + down) / 2

    @abstractmethod
    def _auto(self, up: Array, down: Array, h: Array) -> Array: ...

    def _gradient(self, y: Array, f: Array) -> Array:
        up, down, _ = self._parts(y, f)
        return down - up

    def _hessian(self, y: Array, f: Array) -> Array:
        return self._parts(y, f)[2]

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if rule is not self.rules["auto"]:
            return super()._gradient_curvature(rule, *arguments)
        up, down, h = self._parts(*arguments)
        return down - up, self._auto(up, down, h)


def _safe_kernel(loss: PulledLoss, y: Array, f: Array) -> Array:
    return loss._safe(*loss._parts(y, f))


def _auto_kernel(loss: PulledLoss, y: Array, f: Array) -> Array:
    return loss._auto(*loss._parts(y, f))


@dataclass(frozen=True)
class PowerVariance(PulledLoss):
    """Base of losses of a variance that is the p-th power of the mean.

    A = y exp((1-p) f) and B = exp((2-p) f), whose ratio changes by exp(-t) over a step t.
    """

    @property
    @abstractmethod
    def _power(self) -> float:
        """Power p."""

    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array]:
        p = self._power
        up, down = saturated(y * exp_saturating((1 - p) * f)), exp_saturating((2 - p) * f)
        return up, down, (p - 1) * up + (2 - p) * down

    def _auto(self, up: Array, down: Array, h: Array) -> Array:
        return (self._power / 3) * up + (1 - self._power / 3) * down

    rules = {
        "safe": Rule(_safe_kernel, "no_overshoot", "(A + B) / 2"),
        "auto": Rule(_auto_kernel, "descent", "(p A + (3 - p) B) / 3"),
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        # A exp((1-p) c) meets B exp((2-p) c) at c = log(A / B); exp cannot overflow below its top.
        p, rows = self._power, batch.f[weights_of(batch) > 0]
        top = float(((1 - p) * rows).max()), float(((2 - p) * rows).max())
        up = weighted_mean(batch, batch.y * np.exp((1 - p) * batch.f - top[0]))
        down = weighted_mean(batch, np.exp((2 - p) * batch.f - top[1]))
        return float(np.log(up / down) if up > 0 else -MAX_SCORE) + top[0] - top[1]


@dataclass(frozen=True)
class GammaLoss(PowerVariance):
    r"""Gamma loss with log link, :math:`f + y e^{-f}`: for positive amounts.

    Estimates the mean; the error of a row is relative to it. Domain: y > 0. Link: log, y_pred =
    exp(f). Convex. Units: nats; f in log units of y. Gradient :math:`1 - y e^{-f}`, Hessian
    :math:`y e^{-f}`. Dropped from the value: the shape of the distribution as a factor, and
    constants of y. ``curvature="exact"`` is what ``reg:gamma`` of XGBoost and ``gamma`` of
    LightGBM do.

    Raises
    ------
    ValueError
        If a label is not positive.

    Notes
    -----
    It is `TweedieLoss` at power 2, whose docstring has the proofs: with the pulls A = y e^-f and
    B = 1, ``safe``, (A + B)/2, is ``no_overshoot``, and ``auto``, (2A + B)/3, is ``descent``. The
    exact Hessian vanishes where f is too high. Beyond the largest finite number e^-f saturates.
    Exposure enters as an offset: its logarithm as base_margin or init_score. Closed-form
    intercept: the log of the weighted mean of y, or of y over its exposure.

    References
    ----------
    .. [1] McCullagh and Nelder, Generalized Linear Models, 2nd edition 1989,
       doi:10.1201/9780203753736.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.GammaLoss().gradient([2.0, 0.5], [0.0, 0.0])
    array([-1. ,  0.5])
    """

    aliases: ClassVar[tuple[str, ...]] = ("reg:gamma",)
    task: ClassVar[str] = "amount"
    formula: ClassVar[str] = "f + y exp(-f)"
    parity: ClassVar[str] = "reg:gamma, gamma (exact)"
    source: ClassVar[str] = "doi:10.1201/9780203753736"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, False, False)
    _power: ClassVar[float] = 2.0

    def _value(self, y: Array, f: Array) -> Array:
        value: Array = f + y * np.exp(np.minimum(-f, _top(f)))
        return value


@dataclass(frozen=True)
class TweedieLoss(PowerVariance):
    r"""Tweedie loss, :math:`y \frac{e^{(1-p)f} - 1}{p-1} + \frac{e^{(2-p)f} - 1}{2-p}`, log link.

    Estimates the mean of amounts that may be 0: for 1 < p < 2 a Poisson number of gamma amounts,
    whose variance is the p-th power of the mean. Domain: y >= 0. Link: log, y_pred = exp(f).
    Convex. Units: y^(2-p); f in log units of y. Gradient B - A with A = y e^((1-p) f) and B =
    e^((2-p) f), Hessian (p-1) A + (2-p) B. The value is the usual one less constants of y: power
    1 is `PoissonLoss` less 1, power 2 `GammaLoss` less y. ``curvature="exact"`` is what
    ``reg:tweedie`` of XGBoost and ``tweedie`` of LightGBM do.

    Parameters
    ----------
    power : float
        p, from 1 to 2: the more, the less far amounts weigh.

    Raises
    ------
    ValueError
        If the power is out of range, or a label is negative.

    Notes
    -----
    With a = p-1 and b = 2-p, a leaf of pulls A and B has F'(t) = B e^(bt) - A e^(-at).

    - ``safe``, (A + B)/2, is ``no_overshoot``: as a + b = 1 the minimum is at t* = log(A/B), which
      is (A - B) over the logarithmic mean of A and B, and that is at most the arithmetic one.
    - ``auto``, (p A + (3-p) B)/3, is ``descent``: at its step t the ratio A/B is
      (3 + (1+b) t) / (3 - (1+a) t), and F falls by a positive multiple of E(t) =
      (3 + (1+b) t) (1 - e^(-at))/a - (3 - (1+a) t) (e^(bt) - 1)/b. E and E' are 0 at t = 0, and
      E'' = e^(-at) (4 - 5a - a(2-a) t) + e^(bt) (5a - 1 + (1-a^2) t) is at least 3 wherever the
      ratio is positive (on a fine grid of a and t); hence E >= 0. F is convex, so that shorter
      steps descend as well.

    Beyond the largest finite number of the dtype both exponentials saturate. Exposure enters as
    an offset: its logarithm as base_margin or init_score. Closed-form intercept: the log of the
    weighted mean; -15 for labels that are all 0.

    References
    ----------
    .. [1] Yang, Qian and Zou, Insurance premium prediction via gradient tree-boosted Tweedie
       compound Poisson models, Journal of Business & Economic Statistics 2018,
       doi:10.1080/07350015.2016.1200981.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.TweedieLoss(power=1.5).gradient([4.0, 0.0], [0.0, 0.0])
    array([-3.,  1.])
    """

    power: float = 1.5

    aliases: ClassVar[tuple[str, ...]] = ("reg:tweedie",)
    task: ClassVar[str] = "amount"
    formula: ClassVar[str] = "y expm1((1 - p) f) / (p - 1) + expm1((2 - p) f) / (2 - p)"
    parity: ClassVar[str] = "reg:tweedie, tweedie (exact)"
    source: ClassVar[str] = "doi:10.1080/07350015.2016.1200981"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        power = check.real_parameter("TweedieLoss", "power", self.power, POWERS)
        object.__setattr__(self, "power", power)

    @property
    def _power(self) -> float:
        return self.power

    def _value(self, y: Array, f: Array) -> Array:
        p = self.power
        # Past the saturation of the second term both stand still: inf - inf would be NaN.
        held = f if p == 2 else np.minimum(f, _top(f) / (2 - p))
        value: Array = _growth(2 - p, f) - y * _growth(1 - p, held)
        return value


def _top(f: Array) -> Any:
    """Largest exponent whose exponential is finite."""
    return np.log(np.finfo(f.dtype).max / 2)


def _growth(k: float, f: Array) -> Array:
    """``(exp(k f) - 1) / k``, and its limit f at k = 0; at most half of what the dtype holds."""
    if abs(k) <= NO_EXPONENT:
        return f
    limit = _top(f) + np.log(min(1.0, abs(k))).astype(f.dtype)
    growth: Array = np.expm1(np.minimum(k * f, limit)) / k
    return growth


@dataclass(frozen=True)
class InverseGaussianLoss(PowerVariance):
    r"""Inverse Gaussian loss with log link, :math:`y e^{-2f} / 2 - e^{-f}`: very skewed amounts.

    Estimates the mean; the variance is its third power. Domain: y > 0. Link: log, y_pred =
    exp(f). Not convex: where f is too high the gradient vanishes as e^-f. Units: 1/y; f in log
    units of y. Gradient B - A with A = y e^(-2f) and B = e^-f, Hessian 2A - B. Beyond the largest
    finite number of the dtype e^(-2f) saturates, and with it e^-f.

    Raises
    ------
    ValueError
        If a label is not positive.

    Notes
    -----
    ``safe``, (A + B)/2, is ``no_overshoot``: rows of a leaf share the exponents, F'(t) = e^-t (B -
    A e^-t) has its only root at t* = log(A/B), and the step (A-B)/((A+B)/2) is no longer, as the
    logarithmic mean of A and B is at most the arithmetic one. ``auto`` is the same. Closed-form
    intercept: the log of the weighted mean.

    References
    ----------
    .. [1] McCullagh and Nelder, Generalized Linear Models, 2nd edition 1989,
       doi:10.1201/9780203753736.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.InverseGaussianLoss()
    >>> loss.gradient([3.0], [0.0]), loss.predict(loss.intercept([1.0, 5.0])).round(6)
    (array([-2.]), array([3.]))
    """

    task: ClassVar[str] = "amount"
    formula: ClassVar[str] = "y exp(-2 f) / 2 - exp(-f)"
    source: ClassVar[str] = "doi:10.1201/9780203753736"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, False, False)
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True
    _power: ClassVar[float] = 3.0

    def _decay(self, f: Array) -> Array:
        """e^-f, held where its square saturates: else B would catch up with A there."""
        decay: Array = np.exp(np.minimum(-f, (_top(f) - HEAD_ROOM) / 2))
        return decay

    def _value(self, y: Array, f: Array) -> Array:
        e = self._decay(f)
        value: Array = e * (y * e / 2 - 1)
        return value

    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array]:
        down = self._decay(f)
        up = saturated(y * down * down)
        return up, down, 2 * up - down

    def _auto(self, up: Array, down: Array, h: Array) -> Array:
        return (up + down) / 2

    rules = {"auto": Rule(_auto_kernel, "no_overshoot", "(A + B) / 2")}


@dataclass(frozen=True)
class NegativeBinomialLoss(PulledLoss):
    r"""Negative binomial loss, :math:`(y + 1/a) \log(1 + a e^f) - y f`: overdispersed counts.

    Estimates the mean :math:`\mu = e^f`; the variance is :math:`\mu + a \mu^2` (NB2). Domain: y >=
    0 (it need not be an integer). Link: log, y_pred = exp(f). Convex. Units: nats; f in log units
    of y. Gradient (mu - y)/(1 + a mu), Hessian mu (1 + a y)/(1 + a mu)^2. As a tends to 0 it is
    `PoissonLoss`. Dropped from the value: constants of y.

    Parameters
    ----------
    dispersion : float
        a, from 1e-10 to 1e10: how much larger than Poisson's the variance is.

    Raises
    ------
    ValueError
        If the dispersion is out of range, or a label is negative.

    Notes
    -----
    Write A = y/(1 + a mu), what pulls the score up, and B = mu/(1 + a mu), what pushes it down.
    ``safe``, A + B, is ``no_overshoot`` with kappa = 1: the log-slope of A is in (-1, 0), that of
    B in (0, 1). ``auto``, max(h, (A + B)/2), is ``heuristic``: the exact curvature where it is
    large enough, which trains to a lower loss, and no step beyond 2. It may pass the minimum of a
    leaf; that the loss never rises is not proved, and of 1e5 random leaves none did. ``fisher``,
    mu/(1 + a mu), is the expectation of the Hessian.

    Exposure enters as an offset: its logarithm as base_margin or init_score. Closed-form
    intercept without one: the log of the weighted mean; -15 for labels that are all 0.

    References
    ----------
    .. [1] Hilbe, Negative Binomial Regression, 2nd edition 2011, doi:10.1017/CBO9780511973420.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.NegativeBinomialLoss(dispersion=1.0).gradient([3.0, 0.0], [0.0, 0.0])
    array([-1. ,  0.5])
    """

    dispersion: float = 1.0

    task: ClassVar[str] = "count"
    formula: ClassVar[str] = "(y + 1/a) log(1 + a exp(f)) - y f"
    source: ClassVar[str] = "doi:10.1017/CBO9780511973420"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        a = check.real_parameter("NegativeBinomialLoss", "dispersion", self.dispersion, DISPERSIONS)
        object.__setattr__(self, "dispersion", a)

    def _value(self, y: Array, f: Array) -> Array:
        # naive (y + 1/a) log1pexp(x) - y f cancels far up
        log_a = float(np.log(self.dispersion))
        x = f + log_a
        return log1pexp(x) / self.dispersion + y * (log1pexp(-x) + log_a)

    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array]:
        # naive mu / (1 + a mu) is inf / inf far up; mu is m / n, and neither overflows
        m, n = np.exp(at_most(f, 0)), np.exp(-at_least(f, 0))
        total = n + self.dispersion * m
        up, down = y * (n / total), m / total
        return up, down, down * (n / total) + up * (self.dispersion * down)

    def _safe(self, up: Array, down: Array, h: Array) -> Array:
        return up + down

    def _auto(self, up: Array, down: Array, h: Array) -> Array:
        return np.maximum(h, (up + down) / 2)

    rules = {
        "safe": Rule(_safe_kernel, "no_overshoot", "A + B"),
        "auto": Rule(_auto_kernel, "heuristic", "max(h, (A + B) / 2)"),
        "fisher": Rule(lambda loss, y, f: loss._parts(y, f)[1], "none", "mu / (1 + a mu)"),
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        mean = weighted_mean(batch, batch.y)
        # The mean offset taken out, the score sought is near that of no offset.
        centre = (np.log(mean) if mean > 0 else -MAX_SCORE) - weighted_mean(batch, batch.f)
        if not has_offset or mean == 0:
            return float(centre)
        centred = Batch(batch.y, batch.f + centre, batch.w)
        return centre + solve_intercept(self, centred)
