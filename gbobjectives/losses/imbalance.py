"""Variants of log loss for classes of unequal size: weights, margins, focus."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, at_least, at_most, expit_both, log1p, log1pexp, modulation
from gbobjectives.curvature import Rule
from gbobjectives.losses._intercept import log_odds
from gbobjectives.losses.binary import AlphaBalanced, LogisticMargin, MarginLoss

__all__ = ["AsymmetricCrossEntropyLoss", "AsymmetricLoss", "BalancedLogLoss", "LDAMLoss"]

# Scores above the margin among which the largest second derivative is looked for (it may lie at
# the margin itself, where the second derivative jumps), and what is added to what was found:
# between points of the grid it is larger by less than 1e-5 of itself.
GRID = np.linspace(1e-9, 80.0, 40001)
HEAD_ROOM = 1.001


@dataclass(frozen=True)
class BalancedLogLoss(LogisticMargin, AlphaBalanced):
    r"""Balanced log loss, :math:`-\alpha y \log p - (1 - \alpha)(1 - y) \log(1 - p)`.

    Estimates the probability of y = 1 where positives weigh alpha and negatives 1 - alpha. Domain:
    [0, 1], soft labels included. Link: logit. Convex. Units: nats; f in log-odds. With the pulls a
    = alpha y (1-p) and b = (1-alpha) (1-y) p, gradient b - a, Hessian a p + b (1-p). Half of
    `LogLoss` for alpha = 1/2.

    Parameters
    ----------
    alpha : float, "balanced", sequence of (negative, positive) or None
        In (0, 1): weight of positives, 1 - alpha of negatives; None weighs both 1.
        ``"balanced"`` is the share of negatives in the training labels.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        More weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe``, the pulls of log loss with their weights, is ``no_overshoot`` with kappa = 1, and
    ``auto``, max(h, pulls/2), is ``heuristic``, as for `LogLoss`: a weight is a weight.
    Closed-form intercept: the log-odds of the weighted classes.

    References
    ----------
    .. [1] Xie and Tu, Holistically-nested edge detection, ICCV 2015, arXiv:1504.06375.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.BalancedLogLoss(alpha=0.75).gradient([1.0, 0.0], [0.0, 0.0])
    array([-0.375,  0.125])
    """

    alpha: Any = 0.5

    aliases: ClassVar[tuple[str, ...]] = ("balanced_cross_entropy",)
    estimates: ClassVar[str] = "probability under the weights"
    formula: ClassVar[str] = "-alpha y log p - (1 - alpha) (1 - y) log(1 - p)"
    source: ClassVar[str] = "arXiv:1504.06375"

    def _constant(self, totals: Array) -> float:
        return log_odds(*self._weighed(totals))


@dataclass(frozen=True)
class LDAMLoss(LogisticMargin):
    r"""Label-distribution-aware margin loss, :math:`\log(1 + e^{-(z - \Delta)})`.

    Estimates the probability of y = 1, moved towards the class with the larger margin: each class
    is asked for a margin :math:`\Delta` that is larger the rarer it is. Domain: [0, 1], soft
    labels included. Link: logit. Convex. Units: nats; f in log-odds. With :math:`s = 1/(1 + e^{z -
    \Delta})`, gradient of size s, Hessian s(1-s).

    Parameters
    ----------
    max_margin : float
        Margin of the rarer class, at least 0; 0 is log loss.
    margins : "auto" or sequence of (negative, positive)
        Margins of the classes, at least 0. ``"auto"`` is proportional to n^(-1/4) of their
        weighted training labels, the largest `max_margin`; numbers are taken as they are.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe``, the pulls, is ``no_overshoot``: a shift of z leaves the log-slope of log loss, at
    least -1, as it is. ``auto``, max(h, pulls/2), is ``heuristic``, as for `LogLoss`.

    References
    ----------
    .. [1] Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss,
       NeurIPS 2019, arXiv:1906.07413.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> y, f = [0.0] * 16 + [1.0], [0.0] * 17
    >>> gbo.LDAMLoss().resolve(y, f)
    LDAMLoss(max_margin=0.5, margins=(0.25, 0.5))
    """

    max_margin: float = 0.5
    margins: Any = "auto"

    estimates: ClassVar[str] = "probability, moved towards the rare class"
    formula: ClassVar[str] = "log(1 + exp(margin of the class - z))"
    source: ClassVar[str] = "arXiv:1906.07413"

    def __post_init__(self) -> None:
        super().__post_init__()
        top = check.real_parameter("LDAMLoss", "max_margin", self.max_margin, check.NON_NEGATIVE)
        object.__setattr__(self, "max_margin", top)
        if self.margins == "auto":
            return
        if isinstance(self.margins, str):
            raise ValueError(
                f'LDAMLoss: margins must be "auto" or (negative, positive); got {self.margins!r}'
            )
        margins = check.real_parameters("LDAMLoss", "margins", self.margins, 2, check.NON_NEGATIVE)
        object.__setattr__(self, "margins", margins)

    @property
    def resolved(self) -> bool:
        """Whether margins and class weights are numbers."""
        return super().resolved and not isinstance(self.margins, str)

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        loss = super()._resolve(batch, statistics)
        if not isinstance(self.margins, str):
            return loss
        # A class without rows is the rarest, and has the largest margin.
        seen = statistics > 0
        ratio = np.ones(2)
        ratio[seen] = statistics[seen].min() / statistics[seen]
        return replace(loss, margins=tuple((self.max_margin * ratio**0.25).tolist()))

    def _margin(self, f: Array, sign: Any) -> Array:
        negative, positive = self.margins
        wanted = (positive + negative) / 2 + sign * ((positive - negative) / 2)
        margin: Array = sign * f - wanted
        return margin


class AsymmetricMargin(MarginLoss):
    """Kernels of -p_m^gamma log(1 - p_m), p_m = max(p - margin, 0), p that of the wrong class.

    Positives have no margin, and a gamma of their own. No dataclass itself: the place of the
    margin among the parameters is the subclass's.
    """

    margin: float

    @abstractmethod
    def _gammas(self) -> tuple[float, float]:
        """Gamma of positives and of negatives."""

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        margin = check.real_parameter(owner, "margin", self.margin, check.HALF_OPEN_UNIT_INTERVAL)
        object.__setattr__(self, "margin", margin)
        object.__setattr__(self, "redescending", margin > 0)
        gamma = self._gammas()[1]
        if margin == 0:
            return
        safe = (
            Rule(_uniform_curvature, "majorizer", "sup h")
            if gamma >= 1
            else replace(type(self).rules["safe"], guarantee="heuristic")
        )
        # Facts of an instance: with a margin, pulls are gone at once where p falls to it.
        object.__setattr__(self, "rules", {**type(self).rules, "safe": safe})

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """The raw prediction at which p is the margin."""
        return (np.full_like(raw_prediction, _logit(self.margin)),) if self.margin > 0 else ()

    def _side(self, sign: int) -> tuple[float, float]:
        """Gamma and margin of rows of that sign."""
        positive, negative = self._gammas()
        return (positive, 0.0) if sign > 0 else (negative, self.margin)

    def _mixture(self, y: Array, f: Array, function: Callable[..., Any]) -> Any:
        # Each class has a function of its own; where a weight is 0 it counts for nothing.
        positive, negative = self._class_weights()
        y = self._smoothed(y)
        return [(positive * y, function(f, 1), 1), (negative * (1 - y), function(-f, -1), -1)]

    def _phi(self, z: Array, sign: int = 1) -> Array:
        gamma, margin = self._side(sign)
        _, _, u, complement = _shifted_probability(z, margin)
        return _muted(u, gamma) * _minus_log(z, u, complement, margin)

    def _phi_derivatives(self, z: Array, sign: int = 1) -> tuple[Array, Array]:
        return asymmetric_derivatives(z, *self._side(sign))

    def _slope_bound(self) -> float:
        return 1 + max(self._gammas())


def _shifted_probability(z: Array, margin: float) -> tuple[Array, Array, Array, Array]:
    """Probability of the wrong class, p, and of the right one; p_m, and 1 - p_m."""
    q, p = expit_both(z)
    if margin == 0:
        return p, q, p, q
    # naive 1 - p_m cancels where p is next to 1
    return p, q, at_least(p - margin, 0), at_most(q + margin, 1)


def _muted(u: Array, gamma: float) -> Array:
    """u^gamma; 0 where p is below the margin, for gamma = 0 as well."""
    return modulation(u, gamma) * (u > 0)


def _minus_log(z: Array, u: Array, complement: Array, margin: float) -> Array:
    """-log(1 - p_m)."""
    if margin == 0:
        return log1pexp(-z)
    # log of a rounded 1 - u is off for small u, log1p(-u) for u next to 1
    minus_log: Array = -np.where(u < 0.5, log1p(-u), np.log(complement))
    return minus_log


def asymmetric_derivatives(z: Array, gamma: float, margin: float) -> tuple[Array, Array]:
    """First and second derivative of -p_m^gamma log(1 - p_m) in z.

    With u = p_m, l = -log(1-u)/u, r = q/(1-u) and v = p/u, which are 1 and finite at the ends:
    pull = p u^gamma (gamma q l + r).
    """
    p, q, u, complement = _shifted_probability(z, margin)
    muted = p * _muted(u, gamma)
    held = u + (u == 0)
    share = _minus_log(z, u, complement, margin) / held
    if margin == 0:
        r, v, bent = np.ones_like(z), np.ones_like(z), np.zeros_like(z)
    else:
        r, v = q / complement, p / held
        bent = p * r * (margin / complement)
    slope = gamma * q * share + r
    bend = (q + gamma * q * v) * slope - gamma * p * q * share
    bend = bend + gamma * q * v * (r - q * share) - bent
    return -muted * slope, muted * bend


@lru_cache
def largest_second_derivative(gamma: float, margin: float) -> float:
    """Upper bound of the second derivative, from a grid of scores."""
    start = _logit(margin) if margin > 0 else -40.0
    with np.errstate(under="ignore"):
        return HEAD_ROOM * float(asymmetric_derivatives(-(start + GRID), gamma, margin)[1].max())


def _logit(p: float) -> float:
    return float(np.log(p) - np.log1p(-p))


def _uniform_curvature(loss: Any, y: Array, f: Array) -> Array:
    """The largest second derivative of each part."""
    positive, negative = loss._class_weights()
    up, down = (largest_second_derivative(*loss._side(sign)) for sign in (1, -1))
    y = loss._smoothed(y)
    curvature: Array = up * positive * y + down * negative * (1 - y)
    return curvature


@dataclass(frozen=True)
class AsymmetricLoss(AsymmetricMargin):
    r"""Asymmetric loss: focal loss with more focus on hard negatives, and easy ones dropped.

    Positives cost :math:`-(1-p)^{\gamma_+} \log p`, negatives :math:`-p_m^{\gamma_-} \log(1 -
    p_m)` with :math:`p_m = \max(p - m, 0)`. Estimates a distorted probability. Domain: [0, 1],
    soft labels included. Link: logit. Not convex. Units: nats; f in log-odds. A part that is V(p)
    has the gradient V' p(1-p), Hessian V'' (p(1-p))^2 + V' p(1-p)(1-2p). With a margin a badly
    wrong negative, maybe a wrong label, loses its gradient.

    Parameters
    ----------
    gamma_negative, gamma_positive : float
        Focus on hard rows of each class, at least 0.
    margin : float
        m in [0, 1): negatives of a smaller probability cost nothing.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe`` depends on the parameters. Without a margin each part is a focal loss, and
    (1 + max gamma) times the pulls is ``no_overshoot``. With a margin the pull of a negative
    vanishes at p = m, and no bound on its log-slope exists: for gamma_negative >= 1 the gradient is
    continuous, and the largest second derivative of each part, found once on a grid, is a
    ``majorizer``; for less its slope has no bound at p = m, and (1 + max gamma) times the pulls is
    ``heuristic``. ``auto``, max(h, pulls/2), is ``heuristic``: rows below the margin have no
    curvature, and a step does not see them come back.

    References
    ----------
    .. [1] Ridnik et al., Asymmetric loss for multi-label classification, ICCV 2021,
       arXiv:2009.14119.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.AsymmetricLoss(gamma_negative=2.0, margin=0.05)
    >>> loss.gradient([0.0, 0.0], [3.0, -3.0]).round(3)
    array([0.568, 0.   ])
    """

    gamma_negative: float = 4.0
    gamma_positive: float = 1.0
    margin: float = 0.05

    estimates: ClassVar[str] = "distorted probability"
    formula: ClassVar[str] = "-(1-p)^g+ log p if y = 1, -p_m^g- log(1-p_m) if y = 0"
    source: ClassVar[str] = "arXiv:2009.14119"
    convex: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("gamma_negative", "gamma_positive"):
            gamma = check.real_parameter(
                "AsymmetricLoss", name, getattr(self, name), check.NON_NEGATIVE
            )
            object.__setattr__(self, name, gamma)
        super().__post_init__()

    def _gammas(self) -> tuple[float, float]:
        return self.gamma_positive, self.gamma_negative


@dataclass(frozen=True)
class AsymmetricCrossEntropyLoss(AsymmetricMargin):
    r"""Asymmetric cross-entropy: log loss whose easy negatives are dropped.

    Positives cost :math:`-\log p`, negatives :math:`-\log(1 - p_m)` with :math:`p_m = \max(p - m,
    0)`: `AsymmetricLoss` with both gammas 0. Estimates a distorted probability. Domain: [0, 1],
    soft labels included. Link: logit. Not convex. Units: nats; f in log-odds. For y = 0, p > m and
    q = 1 - p, gradient p q/(q+m), Hessian p q (q^2 + m (q-p))/(q+m)^2. With a margin a badly wrong
    negative, maybe a wrong label, loses its gradient.

    Parameters
    ----------
    margin : float
        m in [0, 1): negatives of a smaller probability cost nothing; 0 is log loss.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe``, the pulls, is ``no_overshoot`` for margin = 0, and ``heuristic`` with a margin: above
    it the log-slope of p(1-p)/(1-p+m) lies between -1 and 1, but at p = m the gradient jumps by
    m(1-m), and at a jump no quadratic touches from above. ``auto``, max(h, pulls/2), is
    ``heuristic``: the exact curvature where it is large enough, and no step beyond 2.

    References
    ----------
    .. [1] Luo, Yuan and Xu, Improving GBDT performance on imbalanced datasets: an empirical study
       of class-balanced loss functions, 2024, arXiv:2407.14381.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.AsymmetricCrossEntropyLoss(margin=0.05).gradient([0.0, 0.0], [3.0, -3.0]).round(3)
    array([0.464, 0.   ])
    """

    margin: float = 0.05

    estimates: ClassVar[str] = "distorted probability"
    formula: ClassVar[str] = "-y log p - (1 - y) log(1 - p_m)"
    source: ClassVar[str] = "arXiv:2407.14381"
    convex: ClassVar[bool] = False

    def _gammas(self) -> tuple[float, float]:
        return 0.0, 0.0
