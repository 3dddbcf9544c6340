"""Variants of log loss: for imbalance, for noisy labels, of the probability."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._numerics import Array, expit, expit_both, log1pexp
from gbobjectives.links import Interval
from gbobjectives.losses._intercept import MAX_SCORE, log_odds
from gbobjectives.losses.binary import MarginLoss
from gbobjectives.losses.imbalance import (
    AsymmetricCrossEntropyLoss,
    AsymmetricLoss,
    BalancedLogLoss,
    LDAMLoss,
)

__all__ = [
    "AsymmetricCrossEntropyLoss",
    "AsymmetricLoss",
    "BalancedLogLoss",
    "BrierLoss",
    "GeneralizedCrossEntropyLoss",
    "LDAMLoss",
    "PolyLoss",
    "SymmetricCrossEntropyLoss",
]

# Coefficient of a polynomial loss above which a badly wrong row keeps less than half of the
# largest pull: at p = (e - 1)/(2 e) it is (1 + e)^2 / (4 e) times as large as at 0, here 2.
KEEPS_HALF = 3 + 2 * float(np.sqrt(2.0))


# ---- polynomials of the probability --------------------------------------------------------


@dataclass(frozen=True)
class PolynomialMargin(MarginLoss):
    """Kernels of a (-log p + e (1 - p)), p the probability of the label."""

    @abstractmethod
    def _coefficients(self) -> tuple[float, float]:
        """The a and the e of the formula."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _, e = self._coefficients()
        # Facts of an instance: p q (1 + e (p - q)) is not negative for abs(e) <= 1.
        object.__setattr__(self, "convex", abs(e) <= 1)
        object.__setattr__(self, "redescending", e > KEEPS_HALF)

    def _phi(self, z: Array) -> Array:
        a, e = self._coefficients()
        value: Array = a * (log1pexp(-z) + e * expit(-z))
        return value

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        a, e = self._coefficients()
        p, q = expit_both(z)
        # naive 1 + e p and 1 + e (p - q) cancel for e = -1 and p next to 1
        return -a * q * (q + (1 + e) * p), a * p * q * ((1 + e) * p + (1 - e) * q)

    def _slope_bound(self) -> float:
        return 1 + max(-self._coefficients()[1], 0.0)


@dataclass(frozen=True)
class PolyLoss(PolynomialMargin):
    r"""Poly-1 loss, :math:`-\log p_t + \epsilon (1 - p_t)`: log loss with its first term changed.

    Estimates a distorted probability (drawn away from 1/2 for epsilon > 0). Domain: [0, 1], soft
    labels included. Link: logit. Convex for abs(epsilon) <= 1. Units: nats; f in log-odds. With
    p = p_t and q = 1 - p, gradient of size q (1 + epsilon p), Hessian p q (1 + epsilon (p - q)).

    Parameters
    ----------
    epsilon : float
        At least -1; 0 is log loss, more keeps the pull of uncertain rows.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe``, kappa times the pulls with kappa = 1 + max(-epsilon, 0), is ``no_overshoot``: the
    log-slope -p + epsilon p q / (1 + epsilon p) is at least -p for epsilon >= 0, and at least
    -p (1 - epsilon) for less, as 1 + epsilon p >= q there. ``auto``, max(h, pulls/2), is
    ``heuristic``: the exact curvature where it is large enough, and no step beyond 2.

    References
    ----------
    .. [1] Leng et al., PolyLoss: a polynomial expansion perspective of classification loss
       functions, ICLR 2022, arXiv:2204.12511.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.PolyLoss(epsilon=1.0).gradient([1.0, 0.0], [0.0, 0.0])
    array([-0.75,  0.75])
    """

    epsilon: float = 1.0

    estimates: ClassVar[str] = "distorted probability"
    formula: ClassVar[str] = "-log p_t + epsilon (1 - p_t)"
    source: ClassVar[str] = "arXiv:2204.12511"

    def __post_init__(self) -> None:
        allowed = Interval(-1.0, np.inf, True, False)
        epsilon = check.real_parameter("PolyLoss", "epsilon", self.epsilon, allowed)
        object.__setattr__(self, "epsilon", epsilon)
        super().__post_init__()

    def _coefficients(self) -> tuple[float, float]:
        return 1.0, self.epsilon


@dataclass(frozen=True)
class SymmetricCrossEntropyLoss(PolynomialMargin):
    r"""Symmetric cross-entropy: log loss and the reverse, :math:`\alpha CE + \beta RCE`.

    For the reverse, -sum p log y, log 0 counts as a number A: it is abs(A) (1 - p_t), which
    forgives wrong labels. Estimates a distorted probability (drawn away from 1/2). Domain: [0, 1];
    a soft label is a mixture of hard ones. Link: logit. Convex for beta abs(A) <= alpha. Units:
    nats; f in log-odds. With p = p_t, q = 1 - p and b = beta abs(A), gradient of size q (alpha + b
    p), Hessian p q (alpha + b (p - q)). It is alpha times `PolyLoss` with epsilon = beta abs(A) /
    alpha.

    Parameters
    ----------
    alpha, beta : float
        Weights of both parts; alpha is more than 0, beta at least 0.
    log_zero : float
        A, less than 0.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe``, the pulls, is ``no_overshoot``: the log-slope of alpha q (1 + epsilon p) is at least
    -p, and kappa is 1. ``auto``, max(h, pulls/2), is ``heuristic``: the exact curvature where it
    is large enough, and no step beyond 2.

    References
    ----------
    .. [1] Wang et al., Symmetric cross entropy for robust learning with noisy labels, ICCV 2019,
       arXiv:1908.06112.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.SymmetricCrossEntropyLoss(log_zero=-4.0).gradient([1.0, 0.0], [0.0, 0.0])
    array([-1.5,  1.5])
    """

    alpha: float = 1.0
    beta: float = 1.0
    log_zero: float = -4.0

    estimates: ClassVar[str] = "distorted probability"
    formula: ClassVar[str] = "-alpha log p_t + beta |A| (1 - p_t)"
    source: ClassVar[str] = "arXiv:1908.06112"

    def __post_init__(self) -> None:
        ranges = {
            "alpha": check.POSITIVE,
            "beta": check.NON_NEGATIVE,
            "log_zero": Interval(-np.inf, 0.0, False, False),
        }
        for name, allowed in ranges.items():
            number = check.real_parameter(
                "SymmetricCrossEntropyLoss", name, getattr(self, name), allowed
            )
            object.__setattr__(self, name, number)
        super().__post_init__()

    def _coefficients(self) -> tuple[float, float]:
        return self.alpha, -self.beta * self.log_zero / self.alpha


@dataclass(frozen=True)
class GeneralizedCrossEntropyLoss(MarginLoss):
    r"""Generalised cross-entropy, :math:`(1 - p_t^q) / q`: between log loss and mean error.

    Estimates a distorted probability (drawn away from 1/2), for noisy labels. Domain: [0, 1], soft
    labels included. Link: logit. Not convex. Units: none; f in log-odds. With p = p_t, gradient of
    size p^q (1-p), Hessian p^q (1-p) (p - q (1-p)): a badly wrong row, whose label may be wrong,
    loses it.

    Parameters
    ----------
    q : float
        In (0, 1]: 1 is the mean absolute error of the probability, and log loss the limit at 0.
    pos_weight, class_weight, label_smoothing : see `MarginLoss`
        Weights of the classes, and smoothing of their labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe``, the pulls, is ``no_overshoot``: the log-slope q (1-p) - p is at least -1, and kappa
    is 1. ``auto``, max(h, pulls/2), is ``heuristic``: the exact curvature where it is large
    enough, and no step beyond 2. Closed-form intercept: the log-odds of the classes over 1 - q,
    within 15 of 0.

    References
    ----------
    .. [1] Zhang and Sabuncu, Generalized cross entropy loss for training deep neural networks
       with noisy labels, NeurIPS 2018, arXiv:1805.07836.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.GeneralizedCrossEntropyLoss(q=0.5).value([1.0, 1.0], [0.0, -50.0]).round(4)
    array([0.5858, 2.    ])
    """

    q: float = 0.7

    estimates: ClassVar[str] = "distorted probability"
    formula: ClassVar[str] = "(1 - p_t^q) / q"
    source: ClassVar[str] = "arXiv:1805.07836"
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = Interval(0.0, 1.0, False, True)
        q = check.real_parameter("GeneralizedCrossEntropyLoss", "q", self.q, allowed)
        object.__setattr__(self, "q", q)

    def _phi(self, z: Array) -> Array:
        # naive 1 - p^q cancels for p next to 1, and for small q
        value: Array = -np.expm1(-self.q * log1pexp(-z)) / self.q
        return value

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        p, other = expit_both(z)
        pull = np.exp(-self.q * log1pexp(-z)) * other
        return -pull, pull * (p - self.q * other)

    def _slope_bound(self) -> float:
        return 1.0

    def _constant(self, totals: Array) -> float:
        odds = log_odds(*self._weighed(totals))
        # For q = 1 the larger class takes all.
        score = odds / (1 - self.q) if self.q < 1 else np.sign(odds) * MAX_SCORE
        return float(np.clip(score, -MAX_SCORE, MAX_SCORE))


@dataclass(frozen=True)
class BrierLoss(MarginLoss):
    r"""Brier loss, :math:`(p - y)^2 / 2`: squared error of the probability.

    Estimates the probability of y = 1. Domain: [0, 1], soft labels included. Link: logit. Not
    convex. Units: squared probability; f in log-odds. With p = p_t and q = 1 - p, gradient of size
    p q^2, Hessian p q^2 (2p - q): a badly wrong row loses its gradient.

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
    The metric is ``brier``, (p - y)^2 without the half. The value of a soft label is that of the
    mixture less what does not depend on f. ``safe``, twice the pulls, is ``no_overshoot``: the
    log-slope of p q^2 is q - 2p, at least -2. ``auto``, max(h, pulls/2), is ``heuristic``: the
    exact curvature where it is large enough, and no step beyond 2. Closed-form intercept: the
    logit of the weighted mean, within 15 of 0.

    References
    ----------
    .. [1] Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation, Journal
       of the American Statistical Association 2007, doi:10.1198/016214506000001437.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.BrierLoss().metric_value([1.0, 0.0, 0.5], [0.0, 0.0, 0.0])
    0.16666666666666666
    """

    formula: ClassVar[str] = "(p - y)^2 / 2"
    source: ClassVar[str] = "doi:10.1198/016214506000001437"
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True
    metric_name: ClassVar[str] = "brier"

    def _phi(self, z: Array) -> Array:
        return expit(-z) ** 2 / 2

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        p, q = expit_both(z)
        pull = p * q * q
        return -pull, pull * (2 * p - q)

    def _slope_bound(self) -> float:
        return 2.0

    def _value(self, y: Array, f: Array) -> Array:
        return self._score(y, f) / 2

    def _score(self, y: Array, f: Array) -> Array:
        positive, negative = self._class_weights()
        y = self._smoothed(y)
        up, down = positive * y, negative * (1 - y)
        # (up + down) (p - t)^2 with t = up / (up + down): naive p - 1 cancels next to 1
        off = down * expit(f) - up * expit(-f)
        score: Array = off * off / np.maximum(up + down, np.finfo(f.dtype).tiny)
        return score

    def _constant(self, totals: Array) -> float:
        return log_odds(*self._weighed(totals))
