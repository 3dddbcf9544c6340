"""Hinges and other margin losses that estimate a decision, not a probability."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._numerics import Array, at_least, exp_saturating
from gbobjectives.curvature import TINY, Rule, exact_kernel
from gbobjectives.links import IDENTITY, Link
from gbobjectives.losses._intercept import log_odds
from gbobjectives.losses.binary import MarginLoss
from gbobjectives.losses.rounded_hinge import (
    BoundedMargin,
    ModifiedHuberLoss,
    SmoothedHingeLoss,
    SquaredHingeLoss,
)

__all__ = [
    "ExponentialLoss",
    "HingeEmbeddingLoss",
    "HingeLoss",
    "ModifiedHuberLoss",
    "PerceptronLoss",
    "SmoothedHingeLoss",
    "SquaredHingeLoss",
]

# Within this share of the margin from its kink a hinge has the curvature that it has at that
# distance: the 1/(2 abs(x)) of the kink itself would hold a leaf there for good. With a width w
# the loss rises above the quadratic by at most w a row, max(abs(t) - t^2/(4 w)), and a row alone
# steps by 2 w: both are small beside the margin.
KINK_WIDTH = 0.1


@dataclass(frozen=True)
class HalfAbsolute(BoundedMargin):
    """Kernels of max(0, -z) = (abs(z) - z)/2, z the margin less what is wanted of it.

    abs(z) has the majorizer 1/abs(z) off the kink, and a linear term has no curvature.
    """

    def _phi(self, z: Array) -> Array:
        return at_least(-z, 0)

    def _wrong(self, z: Array) -> Array:
        """Rows with a gradient."""
        return z < 0

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        return -self._wrong(z).astype(z.dtype), np.zeros_like(z)

    def _width(self) -> float:
        return KINK_WIDTH

    def _bound(self, z: Array) -> Array:
        bound: Array = 0.5 / np.maximum(np.abs(z), self._width())
        return bound

    rules = {
        name: Rule(
            lambda loss, y, f: loss._safe(y, f), "heuristic", "1 / (2 max(|z|, width)) at the kink"
        )
        for name in ("safe", "auto")
    }


@dataclass(frozen=True)
class HingeLoss(HalfAbsolute):
    r"""Hinge loss, :math:`\max(0, 1 - z)`: a linear support vector machine in function space.

    Estimates the decision, the sign of p - 1/2; 1/(1+e^-f), which `predict` gives, is above 1/2
    for a positive decision, and it is no probability. Domain: [0, 1], soft labels included. Link:
    logit. Convex. Units: margins, z = f for y = 1 and -f for y = 0; beyond 1 a row costs nothing.
    Gradient of size 1 where z < 1, else 0, Hessian 0.

    Parameters
    ----------
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe`` and ``auto``, 1/(2 max(abs(1-z), 0.1)), are ``heuristic``: off the kink
    max(0, x) = (x + abs(x))/2 has the majorizer 1/(2 abs(x)); at the kink no quadratic touches it
    from above, and within 0.1 of it the curvature is held: the loss may lie above the quadratic by
    0.1 a row, and 0.4 % of random leaves rise. ``active``, 1 where z < 1 and next to nothing
    elsewhere, is what ``binary:hinge`` of XGBoost does, from the same start; its model predicts 0
    or 1, and its base_score is a margin.
    Closed-form intercept: 1 or -1, towards the class that weighs more.

    References
    ----------
    .. [1] Cortes and Vapnik, Support-vector networks, Machine Learning 1995,
       doi:10.1007/BF00994018.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.HingeLoss().value([1.0, 1.0, 0.0], [0.25, 3.0, 0.25])
    array([0.75, 0.  , 1.25])
    """

    estimates: ClassVar[str] = "decision"
    formula: ClassVar[str] = "max(0, 1 - z)"
    parity: ClassVar[str] = "binary:hinge (active)"
    source: ClassVar[str] = "doi:10.1007/BF00994018"

    def _margin(self, f: Array, sign: Any) -> Array:
        margin: Array = sign * f - 1
        return margin

    def _active(self, y: Array, f: Array) -> Array:
        return np.maximum(self._derivatives(y, f)[2], TINY)

    rules = {"active": Rule(lambda loss, y, f: loss._active(y, f), "none", "1 where z < 1")}

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Raw predictions at which a margin is 1."""
        return np.ones_like(raw_prediction), -np.ones_like(raw_prediction)

    def _constant(self, totals: Array) -> float:
        positive, negative = self._weighed(totals)
        return float(np.sign(positive - negative))


@dataclass(frozen=True)
class PerceptronLoss(HalfAbsolute):
    r"""Perceptron loss, :math:`\max(0, -z)`: only mistakes count.

    Estimates the decision, the sign of p - 1/2; 1/(1+e^-f), which `predict` gives, is above 1/2
    for a positive decision, and it is no probability. Domain: [0, 1], soft labels included. Link:
    logit. Convex. Units: margins, z = f for y = 1 and -f for y = 0, which have no scale of their
    own: the loss of f = 0 is 0, the best there is. Use a loss with a margin, `HingeLoss` say,
    unless you know why. Gradient of size 1 where z <= 0, else 0, Hessian 0.

    Parameters
    ----------
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    A score of 0 is a mistake and has the gradient of one: from the intercept, 0, no row would
    move otherwise. ``safe`` and ``auto``, 1/(2 max(abs(z), 0.1)), are ``heuristic``: they are
    the majorizer of a half absolute value off its kink, and held within 0.1 of it, where no
    quadratic touches the loss from above; it may lie above by 0.1 a row, and 13 % of random
    leaves, which crowd at the kink, rise.

    References
    ----------
    .. [1] Rosenblatt, The perceptron, Psychological Review 1958, doi:10.1037/h0042519.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.PerceptronLoss().gradient([1.0, 1.0, 0.0], [-2.0, 0.5, 0.0])
    array([-1.,  0.,  1.])
    """

    estimates: ClassVar[str] = "decision"
    formula: ClassVar[str] = "max(0, -z)"
    source: ClassVar[str] = "doi:10.1037/h0042519"

    def _wrong(self, z: Array) -> Array:
        return z <= 0

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """The raw prediction at which the margin is 0."""
        return (np.zeros_like(raw_prediction),)

    def _constant(self, totals: Array) -> float:
        return 0.0


@dataclass(frozen=True)
class HingeEmbeddingLoss(HalfAbsolute):
    r"""Hinge embedding loss: max(0, f) for y = 1, :math:`\max(0, m - f)` for y = 0.

    Estimates a decision, near or far, of a pair: f is a distance, small for similar pairs (y = 1)
    and at least the margin m for dissimilar ones (y = 0, -1 in the usual formula). Domain: [0, 1],
    soft labels included. Link: identity. Convex. Units: distances. Below 0, where there is no
    distance, a similar pair costs nothing more, which bounds the loss from below; the usual
    formula is f itself there. Gradient 1 where y = 1 and f > 0, -1 where y = 0 and f < m, else 0,
    Hessian 0.

    Parameters
    ----------
    margin : float
        Distance that dissimilar pairs should have, more than 0.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe`` and ``auto``, 1/(2 max(a, 0.1 m)) with a the distance of f to the kink, 0 or m, are
    ``heuristic``: they are the majorizer of a half absolute value off its kink, and held near
    it, where no quadratic touches the loss from above. Closed-form intercept: 0 or the margin.

    References
    ----------
    .. [1] Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping,
       CVPR 2006, doi:10.1109/CVPR.2006.100.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.HingeEmbeddingLoss(margin=2.0).value([1.0, 0.0, 0.0], [0.5, 0.5, 3.0])
    array([0.5, 1.5, 0. ])
    """

    margin: float = 1.0

    estimates: ClassVar[str] = "decision"
    formula: ClassVar[str] = "max(0, f) if y = 1, max(0, margin - f) if y = 0"
    source: ClassVar[str] = "doi:10.1109/CVPR.2006.100"
    link: ClassVar[Link] = IDENTITY

    def __post_init__(self) -> None:
        super().__post_init__()
        margin = check.real_parameter("HingeEmbeddingLoss", "margin", self.margin, check.POSITIVE)
        object.__setattr__(self, "margin", margin)

    def _margin(self, f: Array, sign: Any) -> Array:
        # Nothing is wanted of similar pairs, and the margin of others.
        margin: Array = sign * f - (1 - sign) / 2 * self.margin
        return margin

    def _mixture(self, y: Array, f: Array, function: Callable[..., Any]) -> Any:
        # Similar pairs are pushed down: f has the opposite sign of a score.
        return [(w, part, -sign) for w, part, sign in super()._mixture(y, -f, function)]

    def _width(self) -> float:
        return KINK_WIDTH * self.margin

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Distances 0 and the margin."""
        return np.zeros_like(raw_prediction), np.full_like(raw_prediction, self.margin)

    def _constant(self, totals: Array) -> float:
        positive, negative = self._weighed(totals)
        return 0.0 if positive >= negative else self.margin


@dataclass(frozen=True)
class ExponentialLoss(MarginLoss):
    r"""Exponential loss, :math:`e^{-z}`: AdaBoost.

    Estimates half the log-odds: 1/(1+e^-f), which `predict` gives, is the probability drawn to
    1/2, and 1/(1+e^-2f) the probability. Domain: [0, 1], soft labels included. Link: logit.
    Convex. Units: none; f in half log-odds, z = f for y = 1 and -f for y = 0. Gradient of size
    e^-z, Hessian e^-z: badly wrong rows dominate.

    Parameters
    ----------
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    Every rule is the exact Hessian and ``no_overshoot``: the log-slope of a pull is -1, kappa is
    1, and the sum of the pulls is the second derivative. Where e^-z does not fit the dtype value,
    gradient and curvature saturate together, so that a step is 1 there as it is elsewhere.
    Closed-form intercept: half the log-odds of the classes.

    References
    ----------
    .. [1] Friedman, Hastie and Tibshirani, Additive logistic regression, Annals of Statistics
       2000, doi:10.1214/aos/1016218223.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.ExponentialLoss().intercept([1.0, 1.0, 1.0, 0.0]).round(4)
    array([0.5493])
    """

    aliases: ClassVar[tuple[str, ...]] = ("adaboost",)
    estimates: ClassVar[str] = "half the log-odds"
    formula: ClassVar[str] = "exp(-z)"
    source: ClassVar[str] = "doi:10.1214/aos/1016218223"

    def _phi(self, z: Array) -> Array:
        return exp_saturating(-z)

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        e = exp_saturating(-z)
        return -e, e

    def _slope_bound(self) -> float:
        return 1.0

    rules = {
        name: Rule(exact_kernel, "no_overshoot", "h = |g|")
        for name in ("safe", "auto", "exact", "absolute")
    }

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        g, h, _ = self._derivatives(*arguments)
        return (g, h) if rule.kernel is exact_kernel else (g, rule.kernel(self, *arguments))

    def _constant(self, totals: Array) -> float:
        positive, negative = np.sqrt(self._weighed(totals))
        return log_odds(positive, negative)
