"""Hinges whose gradient is continuous: a majorizer for each.

At the end of a hinge a pull is gone at once, and no bound on how fast pulls fade exists. In its
place there is a quadratic above each part of a row; the sum over the parts lies above the row.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gbobjectives._numerics import Array, at_least
from gbobjectives.curvature import Rule
from gbobjectives.losses.binary import BinaryLoss

__all__ = ["ModifiedHuberLoss", "SmoothedHingeLoss", "SquaredHingeLoss"]


@dataclass(frozen=True)
class BoundedMargin(BinaryLoss):
    """Base of margin losses with ``_bound(z)``, the curvature of a quadratic above phi."""

    @abstractmethod
    def _bound(self, z: Array) -> Array: ...

    def _safe(self, y: Array, f: Array) -> Array:
        parts = self._mixture(y, f, self._bound)
        return sum(weight * bound for weight, bound, _ in parts)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class RoundedHinge(BoundedMargin):
    """Kernels of a hinge that is quadratic over a width below z = 1, then linear.

    Its gradient is a constant and a clipped residual around the middle of the width, z = 1 - w/2:
    the loss is a linear term and Huber's loss there, whose majorizer is known.
    """

    #: Length over which the hinge bends.
    width: ClassVar[float]
    #: Its second derivative there.
    bend: ClassVar[float]

    def _phi(self, z: Array) -> Array:
        short = at_least(1 - z, 0)
        core = np.minimum(short, self.width)
        value: Array = self.bend * core * (short - core / 2)
        return value

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        short = np.clip(1 - z, 0, self.width)
        inside = (short > 0) & (1 - z <= self.width)
        return -self.bend * short, self.bend * inside.astype(z.dtype)

    def _bound(self, z: Array) -> Array:
        half = self.width / 2
        bound: Array = self.bend * half / np.maximum(np.abs(z - (1 - half)), half)
        return bound

    rules = {
        name: Rule(lambda loss, y, f: loss._safe(y, f), "majorizer", "that of Huber's loss")
        for name in ("safe", "auto")
    }

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Raw predictions at which the second derivative of a part jumps."""
        ends = {1.0, -1.0, 1 - self.width, self.width - 1}
        return tuple(np.full_like(raw_prediction, end) for end in sorted(ends) if np.isfinite(end))


@dataclass(frozen=True)
class SquaredHingeLoss(RoundedHinge):
    r"""Squared hinge loss, :math:`\max(0, 1 - z)^2`.

    Estimates the probability, cut off: the best f is 2p - 1. 1/(1+e^-f), which `predict` gives, is
    above 1/2 for a positive decision, and it is no probability. Domain: [0, 1], soft labels
    included. Link: logit. Convex. Units: squared margins, z = f for y = 1 and -f for y = 0; beyond
    1 a row costs nothing. Gradient of size 2 max(0, 1 - z), Hessian 2 where z < 1, else 0.

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
    ``safe`` and ``auto``, 2 for every row, are a ``majorizer``: the gradient grows by at most 2
    for each unit of f. Less for the rows beyond the margin, max(h, c) with c from 0.02 to 1, came
    out between 7 % better and 5 % worse in six comparisons, and has no proof. A value beyond the
    dtype saturates. Closed-form intercept: the difference of the class shares.

    References
    ----------
    .. [1] Zhang, Statistical behavior and consistency of classification methods based on convex
       risk minimization, Annals of Statistics 2004, doi:10.1214/aos/1079120130.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.SquaredHingeLoss().gradient([1.0, 1.0, 0.0], [0.25, 3.0, 0.25])
    array([-1.5,  0. ,  2.5])
    """

    estimates: ClassVar[str] = "decision; 2p - 1"
    formula: ClassVar[str] = "max(0, 1 - z)^2"
    source: ClassVar[str] = "doi:10.1214/aos/1079120130"
    width: ClassVar[float] = np.inf
    bend: ClassVar[float] = 2.0

    def _phi(self, z: Array) -> Array:
        short = at_least(1 - z, 0)
        # Held at the largest number: a part of weight 0 times inf is NaN.
        value: Array = np.minimum(short * short, np.finfo(z.dtype).max)
        return value

    def _bound(self, z: Array) -> Array:
        return np.full_like(z, self.bend)

    def _constant(self, totals: Array) -> float:
        return _difference_of_shares(*self._weighed(totals))


@dataclass(frozen=True)
class SmoothedHingeLoss(RoundedHinge):
    r"""Smoothed hinge loss: 1/2 - z for z <= 0, :math:`(1 - z)^2 / 2` up to 1, then 0.

    Estimates the decision, the sign of p - 1/2; 1/(1+e^-f), which `predict` gives, is above 1/2
    for a positive decision, and it is no probability. Domain: [0, 1], soft labels included. Link:
    logit. Convex. Units: margins, z = f for y = 1 and -f for y = 0; beyond 1 a row costs nothing.
    Gradient of size max(0, min(1, 1 - z)), Hessian 1 where 0 <= z < 1, else 0.

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
    ``safe`` and ``auto``, 1/max(1, abs(2z - 1)), are a ``majorizer``: the loss is (1-2z)/4 and
    Huber's loss of z - 1/2 with delta 1/2. Closed-form intercept: 1 - b/a toward the class that
    weighs a, more than the b of the other.

    References
    ----------
    .. [1] Rennie and Srebro, Loss functions for preference levels: regression with discrete
       ordered labels, IJCAI Multidisciplinary Workshop on Advances in Preference Handling 2005.
    .. [2] Shalev-Shwartz and Zhang, Stochastic dual coordinate ascent methods for regularized loss
       minimization, Journal of Machine Learning Research 2013, arXiv:1209.1873.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.SmoothedHingeLoss().value([1.0, 1.0, 1.0], [-2.0, 0.5, 3.0])
    array([2.5  , 0.125, 0.   ])
    """

    estimates: ClassVar[str] = "decision"
    formula: ClassVar[str] = "1/2 - z up to 0, (1 - z)^2 / 2 up to 1, then 0"
    source: ClassVar[str] = "arXiv:1209.1873"
    width: ClassVar[float] = 1.0
    bend: ClassVar[float] = 1.0

    def _constant(self, totals: Array) -> float:
        positive, negative = self._weighed(totals)
        more, less = max(positive, negative), min(positive, negative)
        return float(np.copysign(1 - less / more, positive - negative))


@dataclass(frozen=True)
class ModifiedHuberLoss(RoundedHinge):
    r"""Modified Huber loss: -4z for z < -1, :math:`\max(0, 1 - z)^2` from there on.

    Estimates the probability, cut off: the best f is 2p - 1. 1/(1+e^-f), which `predict` gives, is
    above 1/2 for a positive decision, and it is no probability. Domain: [0, 1], soft labels
    included. Link: logit. Convex. Units: squared margins, z = f for y = 1 and -f for y = 0; a
    badly wrong row counts linearly. Gradient of size 2 max(0, min(2, 1 - z)), Hessian 2 where -1
    <= z < 1, else 0.

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
    ``safe`` and ``auto``, 2/max(1, abs(z)), are a ``majorizer``: the loss is 1 - 2z and twice
    Huber's loss of z with delta 1. Closed-form intercept: the difference of the class shares.

    References
    ----------
    .. [1] Zhang, Statistical behavior and consistency of classification methods based on convex
       risk minimization, Annals of Statistics 2004, doi:10.1214/aos/1079120130.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.ModifiedHuberLoss().value([1.0, 1.0, 1.0], [-2.0, 0.5, 3.0])
    array([8.  , 0.25, 0.  ])
    """

    estimates: ClassVar[str] = "decision; 2p - 1"
    formula: ClassVar[str] = "-4 z below -1, then max(0, 1 - z)^2"
    source: ClassVar[str] = "doi:10.1214/aos/1079120130"
    width: ClassVar[float] = 2.0
    bend: ClassVar[float] = 2.0

    def _constant(self, totals: Array) -> float:
        return _difference_of_shares(*self._weighed(totals))


def _difference_of_shares(positive: float, negative: float) -> float:
    return (positive - negative) / (positive + negative)
