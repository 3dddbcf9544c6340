"""Losses of a two-class label (logit link), as functions of the margin z = f or -f.

Labels lie in [0, 1]; a soft label y is the mixture y phi(f) + (1-y) phi(-f) of a positive and a
negative row. Its pulls up and down are kept apart: where abs(gradient) would cancel at the
minimum of a soft row, their sum does not, and the proof of `no_overshoot` needs the sum.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import (
    Array,
    expit,
    expit_both,
    expit_both_log,
    log1pexp,
    modulation,
    weighted_sum,
)
from gbobjectives.curvature import EXACT, Rule, exact_kernel
from gbobjectives.links import LOGIT, Interval, Link
from gbobjectives.losses._intercept import MAX_SCORE, log_odds, solve_intercept, weights_of
from gbobjectives.losses.classes import ClassLoss, class_weights

__all__ = ["FocalLoss", "LogLoss", "MarginLoss"]

# Between these a balanced alpha is held, so that no class loses all its weight.
ALPHAS = (1e-6, 1 - 1e-6)


@dataclass(frozen=True)
class BinaryLoss(ClassLoss):
    r"""Base of binary losses :math:`\varphi(z)` of the margin, whatever their curvature.

    A subclass supplies ``_phi(z)`` and ``_phi_derivatives(z)``, its first and second derivative.
    """

    pos_weight: float = field(default=1.0, kw_only=True)

    task: ClassVar[str] = "binary"
    estimates: ClassVar[str] = "probability"
    y_domain: ClassVar[Interval] = Interval(0.0, 1.0)
    link: ClassVar[Link] = LOGIT

    @abstractmethod
    def _phi(self, z: Array) -> Array: ...

    @abstractmethod
    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        weight = check.real_parameter(
            type(self).__name__, "pos_weight", self.pos_weight, check.POSITIVE
        )
        object.__setattr__(self, "pos_weight", weight)

    def _n_classes(self) -> int:
        return 2

    def _shares(self, y: Array) -> Array:
        return np.stack([1 - y, y], axis=-1)

    def _class_weights(self) -> tuple[float, float]:
        """Weights of positives and of negatives."""
        negative, positive = self.class_weight or (1.0, 1.0)
        return positive * self.pos_weight, negative

    def _margin(self, f: Array, sign: Any) -> Array:
        """Margin of rows of that sign: 1 for positives, -1 for negatives; one, or one a row."""
        margin: Array = sign * f
        return margin

    def _mixture(self, y: Array, f: Array, function: Callable[..., Any]) -> Any:
        """Positive and negative part of a row: (weight, function(z), dz/df) of each.

        Hard labels have one part only, and cost one evaluation.
        """
        positive, negative = self._class_weights()
        y = self._smoothed(y)
        if (y * y == y).all():
            sign = 2 * y - 1
            even = positive == negative
            weight = positive if even else positive * y + negative * (1 - y)
            return [(weight, function(self._margin(f, sign)), sign)]
        return [
            (positive * y, function(self._margin(f, 1)), 1),
            (negative * (1 - y), function(self._margin(f, -1)), -1),
        ]

    def _value(self, y: Array, f: Array) -> Array:
        parts = self._mixture(y, f, self._phi)
        return reduce(np.add, (weight * phi for weight, phi, _ in parts))

    def _derivatives(self, y: Array, f: Array) -> tuple[Array, Array, Array]:
        """Gradient, Hessian, and the sum of the pulls up and down."""
        parts = [
            (sign * (slope := weight * first), weight * second, -slope)
            for weight, (first, second), sign in self._mixture(y, f, self._phi_derivatives)
        ]
        g, h, pulls = (reduce(np.add, terms) for terms in zip(*parts, strict=True))
        return g, h, pulls

    def _gradient(self, y: Array, f: Array) -> Array:
        # a pull of 0 may come as -0
        return self._derivatives(y, f)[0] + 0

    def _hessian(self, y: Array, f: Array) -> Array:
        return self._derivatives(y, f)[1]

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        if not self.resolved:
            return self._resolved_on(batch)._intercept(batch, has_offset)
        if has_offset:
            return self._solved(batch)
        # Without an offset only the total weight of each class matters.
        totals: Array = weighted_sum(weights_of(batch), self._shares(batch.y.astype(np.float64)))
        positive, negative = self._weighed(totals)
        # A class weight of 0 may leave no row that counts.
        return self._constant(totals) if positive + negative > 0 else 0.0

    def _constant(self, totals: Array) -> float:
        """Best constant for total weights of negatives and positives: two rows stand for all."""
        found: float = self._solved(Batch(np.array([0.0, 1.0]), np.zeros(2), totals))
        return found

    def _solved(self, batch: Batch) -> Any:
        if self.convex:
            return solve_intercept(self, batch)
        # There may be more than one valley: the whole range is looked at.
        return solve_intercept(self, batch, -MAX_SCORE, MAX_SCORE)

    def _weighed(self, totals: Array) -> tuple[float, float]:
        """Total weights of positives and negatives as the loss has them."""
        negative, positive = totals.tolist()
        share = float(self._smoothed(positive / (positive + negative)))
        up, down = self._class_weights()
        return up * share, down * (1 - share)


def _pull_curvature(loss: Any, y: Array, f: Array) -> Array:
    """Kappa times the sum of the pulls."""
    pulls: Array = loss._slope_bound() * loss._derivatives(y, f)[2]
    return pulls


def _trusted_curvature(loss: Any, y: Array, f: Array) -> Array:
    """The exact curvature, and no step beyond 2."""
    _, h, pulls = loss._derivatives(y, f)
    trusted: Array = np.maximum(h, pulls / 2)
    return trusted


@dataclass(frozen=True)
class MarginLoss(BinaryLoss):
    r"""Base of binary losses :math:`\varphi(z)` of the margin, z = f for y = 1, -f for y = 0.

    A subclass supplies ``_phi(z)``, decreasing; ``_phi_derivatives(z)``, its first and second
    derivative; and ``_slope_bound()``, kappa, how fast a pull may fade: ``d log|phi'| / dz >=
    -kappa``. Then ``safe``, kappa times the sum of the pulls, is ``no_overshoot`` (see
    `gbobjectives.curvature`), and ``auto`` is max(h, pulls/2): the exact curvature where it is
    trusted, and no step beyond 2.

    Parameters
    ----------
    pos_weight : float
        Weight of positives, on top of their class weight.
    class_weight : mapping, sequence of (negative, positive), "balanced" or None
        Weight of each class; ``"balanced"`` is n / (2 n_class), from the training labels.
    label_smoothing : float
        In [0, 1): y becomes y (1 - s) + s/2.

    Examples
    --------
    >>> import numpy as np, gbobjectives as gbo
    >>> class BoostLoss(gbo.MarginLoss):
    ...     def _phi(self, z): return np.exp(-z)
    ...     def _phi_derivatives(self, z): return -np.exp(-z), np.exp(-z)
    ...     def _slope_bound(self): return 1.0
    >>> BoostLoss(pos_weight=2.0).gradient([1.0, 0.0], [0.0, 0.0])
    array([-2.,  1.])
    """

    @abstractmethod
    def _slope_bound(self) -> float: ...

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        g, h, pulls = self._derivatives(*arguments)
        if rule.kernel is exact_kernel:
            return g, h
        if rule.kernel is _trusted_curvature:
            return g, np.maximum(h, pulls / 2)
        if rule.kernel is _pull_curvature:
            return g, self._slope_bound() * pulls
        return g, rule.kernel(self, *arguments)

    rules = {
        "safe": Rule(_pull_curvature, "no_overshoot", "kappa |g|"),
        "auto": Rule(_trusted_curvature, "heuristic", "max(h, |g| / 2)"),
    }


@dataclass(frozen=True)
class LogisticMargin(MarginLoss):
    """Kernels of log(1 + e^-z), which several losses share."""

    def _phi(self, z: Array) -> Array:
        return log1pexp(-z)

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        p, q = expit_both(z)
        # naive q (1 - q) cancels to 0 where q rounds to 1
        return -q, q * p

    def _slope_bound(self) -> float:
        return 1.0


class AlphaBalanced(MarginLoss):
    """Base of losses with a weight alpha of positives, and 1 - alpha of negatives.

    No dataclass itself: the place of alpha among the parameters is the subclass's.
    """

    alpha: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        if isinstance(self.alpha, Real):
            alpha = check.real_parameter(owner, "alpha", self.alpha, check.OPEN_UNIT_INTERVAL)
        else:
            alpha = class_weights(owner, "alpha", self.alpha, 2)
        object.__setattr__(self, "alpha", alpha)

    @property
    def resolved(self) -> bool:
        """Whether alpha and the class weights are numbers."""
        return super().resolved and not isinstance(self.alpha, str)

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        loss = super()._resolve(batch, statistics)
        if not isinstance(self.alpha, str):
            return loss
        # Labels of one class alone: any weight of the other will do.
        share = statistics[0] / statistics.sum()
        alpha: Any = {"alpha": float(np.clip(share, *ALPHAS))}
        return replace(loss, **alpha)

    def _class_weights(self) -> tuple[float, float]:
        positive, negative = super()._class_weights()
        if self.alpha is None:
            return positive, negative
        a, b = (1 - self.alpha, self.alpha) if isinstance(self.alpha, float) else self.alpha
        return positive * b, negative * a


@dataclass(frozen=True)
class LogLoss(LogisticMargin):
    r"""Log loss, :math:`\log(1 + e^f) - y f`: logistic regression.

    Estimates the probability of y = 1. Domain: [0, 1], soft labels included. Link: logit. Convex.
    Units: nats; f in log-odds. With p = 1/(1+e^-f), gradient p - y, Hessian p(1-p), also Fisher's.

    Parameters
    ----------
    pos_weight : float
        Weight of positives; more than 1 favours recall.
    class_weight, label_smoothing : see `MarginLoss`
        Weight of each class, and smoothing of the labels.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    ``safe``, y + p - 2 y p (abs(p - y) for hard labels), is ``no_overshoot`` with kappa = 1: the
    pulls y (1-p) and (1-y) p have log-slopes -p and 1-p. ``auto``, max(p(1-p), safe/2), is
    ``heuristic``: the exact curvature where it is large enough, which trains to a lower loss, and
    no step beyond 2. It may pass a leaf's minimum; of 1e5 random leaves none rose, which is no
    proof. ``curvature="exact"`` is what ``binary:logistic`` and LightGBM's ``binary`` do.
    Intercept: the logit of the weighted mean, within 15 of 0.

    References
    ----------
    .. [1] Friedman, Hastie and Tibshirani, Additive logistic regression, Annals of Statistics
       2000, doi:10.1214/aos/1016218223.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.LogLoss().gradient([1.0, 0.0, 0.25], [0.0, 1000.0, 0.0])
    array([-0.5 ,  1.  ,  0.25])
    """

    aliases: ClassVar[tuple[str, ...]] = ("bce", "binary_crossentropy", "logistic", "log_loss")
    formula: ClassVar[str] = "log(1 + exp(f)) - y f"
    parity: ClassVar[str] = "binary:logistic, binary (exact)"
    source: ClassVar[str] = "doi:10.1214/aos/1016218223"
    metric_name: ClassVar[str] = "log_loss"

    rules = {"fisher": EXACT, "gauss_newton": EXACT}

    def _derivatives(self, y: Array, f: Array) -> tuple[Array, Array, Array]:
        # For soft and hard labels alike; naive p - y cancels where p rounds to 1.
        (p, q), up = expit_both(f), self._smoothed(y)
        h, down, weights = p * q, 1 - up, self._class_weights()
        if weights != (1, 1):
            up, down = weights[0] * up, weights[1] * down
            h *= up + down
        up, down = up * q, down * p
        return down - up, h, up + down

    def _constant(self, totals: Array) -> float:
        return log_odds(*self._weighed(totals))


@dataclass(frozen=True)
class FocalLoss(AlphaBalanced):
    r"""Focal loss, :math:`-\alpha_t (1 - p_t)^\gamma \log p_t`: log loss that mutes easy rows.

    Estimates a distorted probability (for gamma > 0 drawn towards 1/2). Domain: [0, 1], soft
    labels included. Link: logit. Not convex for gamma > 0. Units: nats; f in log-odds. With p =
    p_t, q = 1 - p, gradient of size alpha_t q^gamma (q - gamma p log p), Hessian alpha_t p q^gamma
    ((1 + 2 gamma) q + gamma (q - gamma p) log p).

    Parameters
    ----------
    gamma : float
        At least 0; 0 is (weighted) log loss, more mutes easy rows more.
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
    ``safe``, (1 + gamma) times the pulls, abs(g) for hard labels, is ``no_overshoot``: as -log p
    >= q, the log-slope of abs(g) is at least -gamma p - (1+gamma) p / (1 + gamma p) >= -(1+gamma),
    and it is at most 1. ``auto``, max(h, abs(g)/2), is ``heuristic``, as for `LogLoss`; up to 0.08
    % of random leaves rise for gamma up to 5, and more beyond. The paper has alpha = 0.25 with
    gamma = 2.

    References
    ----------
    .. [1] Lin et al., Focal loss for dense object detection, 2017, arXiv:1708.02002.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.FocalLoss(gamma=2.0).value([1.0, 1.0], [4.0, -4.0]).round(6)
    array([6.000000e-06, 3.874907e+00])
    """

    gamma: float = 2.0
    alpha: Any = None

    aliases: ClassVar[tuple[str, ...]] = ("focal_loss",)
    estimates: ClassVar[str] = "probability, drawn to 1/2"
    formula: ClassVar[str] = "-alpha_t (1 - p_t)^gamma log p_t"
    source: ClassVar[str] = "arXiv:1708.02002"
    convex: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        gamma = check.real_parameter("FocalLoss", "gamma", self.gamma, check.NON_NEGATIVE)
        object.__setattr__(self, "gamma", gamma)

    def _phi(self, z: Array) -> Array:
        # log p by way of log(1 + e^-z): log of a rounded p is -inf
        return modulation(expit(-z), self.gamma) * log1pexp(-z)

    def _phi_derivatives(self, z: Array) -> tuple[Array, Array]:
        p, q, log_p = expit_both_log(z)
        muted = modulation(q, self.gamma)
        fading = self.gamma * log_p
        own = p * fading
        bend = q * (1 + 2 * self.gamma + fading) - self.gamma * own
        return muted * (own - q), muted * p * bend

    def _slope_bound(self) -> float:
        return 1 + self.gamma
