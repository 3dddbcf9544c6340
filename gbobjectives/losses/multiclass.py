"""Losses of one label out of K classes (softmax link, one raw prediction a class)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, at_least, logsumexp
from gbobjectives.curvature import EXACT, Rule, exact_kernel
from gbobjectives.links import SOFTMAX, Interval, Link
from gbobjectives.losses._intercept import MAX_SCORE, solve_intercept, weights_of
from gbobjectives.losses.classes import ClassLoss

__all__ = ["CrossEntropyLoss", "KLDivergenceLoss", "SoftmaxLoss"]


@dataclass(frozen=True)
class SoftmaxLoss(ClassLoss):
    """Base of losses of one class out of K.

    Labels are integers 0 to K-1 of shape (n,), or soft labels of shape (n, K) whose rows sum
    to 1; kernels see ``_target(y, dtype)``, shape (n, K): shares, smoothed and weighted.

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    class_weight : mapping, sequence of K numbers, "balanced" or None
        Weight of each class; ``"balanced"`` is n / (K n_class), from the training labels.
    label_smoothing : float
        In [0, 1): the share t of a class becomes t (1 - s) + s/K.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.CrossEntropyLoss(n_classes=3, class_weight="balanced")
    >>> isinstance(loss, gbo.SoftmaxLoss), loss.n_outputs, loss.resolved
    (True, 3, False)
    """

    n_classes: int

    task: ClassVar[str] = "multiclass"
    estimates: ClassVar[str] = "class probabilities"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)
    link: ClassVar[Link] = SOFTMAX

    def __post_init__(self) -> None:
        k = check.count_parameter(type(self).__name__, "n_classes", self.n_classes, 2)
        object.__setattr__(self, "n_classes", k)
        super().__post_init__()

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return self.n_classes

    def _n_classes(self) -> int:
        return self.n_classes

    def _labels(self, y_true: Any, n: int | None) -> Array:
        return check.class_label_array(type(self).__name__, y_true, n, self.n_classes)

    def _shares(self, y: Array) -> Array:
        return self._one_hot(y, np.float64)

    def _one_hot(self, y: Array, dtype: Any) -> Array:
        if y.ndim == 2:
            return y.astype(dtype, copy=False)
        t = np.empty((len(y), self.n_classes), dtype=dtype, order="F")
        return np.equal(y[:, None], np.arange(self.n_classes), out=t)

    def _target(self, y: Array, dtype: Any) -> Array:
        """Shares of the classes, smoothed and weighted."""
        t = self._smoothed(self._one_hot(y, dtype))
        return t if self.class_weight is None else t * np.asarray(self.class_weight, dtype=dtype)

    def _log_shares(self, batch: Batch) -> Array:
        """Logs of the classes' shares in all labels, centred; one without rows is far below."""
        share = np.average(self._target(batch.y, np.float64), axis=0, weights=weights_of(batch))
        share = share / share.sum()
        seen = share > 0
        score = np.full(self.n_classes, -MAX_SCORE)
        score[seen] = np.log(share[seen]) - np.log(share[seen]).mean()
        return score


@dataclass(frozen=True)
class HessianMultiple:
    """Kernel of a rule: so many times the second derivative, by the number of classes."""

    factor: Callable[[int], float]

    def __call__(self, loss: Any, y: Array, f: Array) -> Array:
        """The curvature of a block."""
        h: Array = self.factor(loss.n_classes) * loss._hessian(y, f)
        return h


@dataclass(frozen=True)
class LogProbabilityLoss(SoftmaxLoss):
    """Base of losses -sum t log p, up to what depends on the label t alone."""

    def _cross_entropy(self, y: Array, f: Array) -> Array:
        # The score is centred first: t * f of a common shift of 1e30 would cancel all the rest.
        f = f - f.max(axis=1, keepdims=True)
        t = self._target(y, f.dtype)
        value: Array = logsumexp(f) * t.sum(axis=1) - (t * f).sum(axis=1)
        return value

    def _both_pulls(self, y: Array, f: Array) -> tuple[Array, Array]:
        """Pulls down and up: p times the shares of the other classes, and (1 - p) t."""
        p, q = softmax_and_complement(f)
        t = self._target(y, f.dtype)
        # The total less a share that is nearly all of it cancels; hard labels have no such share.
        others = sum_of_others(t) if y.ndim == 2 else t.sum(axis=1, keepdims=True) - t
        # naive p sum(t) - t cancels to 0 where p rounds to 1
        return p * others, q * t

    def _gradient(self, y: Array, f: Array) -> Array:
        down, up = self._both_pulls(y, f)
        return down - up

    def _hessian(self, y: Array, f: Array) -> Array:
        p, q = softmax_and_complement(f)
        total: Array = self._target(y, f.dtype).sum(axis=1, keepdims=True)
        return p * q * total

    def _pulls(self, y: Array, f: Array) -> Array:
        down, up = self._both_pulls(y, f)
        return down + up

    def _held(self, y: Array, f: Array) -> Array:
        held: Array = np.maximum(2 * self._hessian(y, f), self._pulls(y, f))
        return held

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        y, f = arguments
        pulled, held = rule.guarantee == "no_overshoot", rule is self.rules["gershgorin_safe"]
        multiple = self._multiple_of_hessian(rule)
        if y.ndim == 1 and self.label_smoothing == 0 and (pulled or multiple):
            g, h = _hard_pulls(y, f, held) if pulled else _hard_derivatives(y, f, multiple)
            if self.class_weight is None:
                return g, h
            weight = np.asarray(self.class_weight, dtype=f.dtype)[y.astype(np.intp)][:, None]
            return g * weight, h * weight
        if pulled and not held:
            down, up = self._both_pulls(y, f)
            return down - up, down + up
        return super()._gradient_curvature(rule, y, f)

    def _multiple_of_hessian(self, rule: Rule) -> float:
        """What the rule multiplies the second derivative by; 0 if it does something else."""
        if isinstance(rule.kernel, HessianMultiple):
            return rule.kernel.factor(self.n_classes)
        return float(rule.kernel is exact_kernel)

    rules = {
        "safe": Rule(lambda loss, y, f: loss._pulls(y, f), "no_overshoot", "|p - t|"),
        "auto": Rule(lambda loss, y, f: loss._pulls(y, f), "no_overshoot", "|p - t|"),
        "gershgorin": Rule(HessianMultiple(lambda k: 2), "none", "2 p (1 - p)"),
        "gershgorin_safe": Rule(
            lambda loss, y, f: loss._held(y, f), "no_overshoot", "max(2 p (1 - p), |p - t|)"
        ),
        "friedman": Rule(HessianMultiple(lambda k: k / (k - 1)), "none", "K / (K - 1) p (1 - p)"),
        "fisher": EXACT,
        "gauss_newton": EXACT,
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        if not self.resolved:
            return self._resolved_on(batch)._intercept(batch, has_offset)
        if has_offset:
            return solve_intercept(self, batch)
        return self._log_shares(batch)


@dataclass(frozen=True)
class CrossEntropyLoss(LogProbabilityLoss):
    r"""Cross-entropy, :math:`\log\sum_k e^{f_k} - f_y`: multinomial logistic regression.

    Estimates the class probabilities. Domain: integer labels 0 to K-1 of shape (n,), or soft
    labels of shape (n, K) whose rows sum to 1. Link: softmax; n_outputs = K. Convex. Units:
    nats; f in log-odds up to a common constant. With p = softmax(f) and t the one-hot label,
    gradient p - t, Hessian's diagonal p(1-p).

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    class_weight : mapping, sequence of K numbers, "balanced" or None
        Weight of each class; ``"balanced"`` is n / (K n_class), from the training labels.
    label_smoothing : float
        In [0, 1): t becomes t (1 - s) + s/K.
    ignore_index : float, optional
        A label whose rows are left out.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range, or the raw prediction has not K columns.

    Notes
    -----
    - ``safe`` and ``auto``, t + p - 2 t p (abs(p - t) for hard labels), are ``no_overshoot``
      for each class tree by itself: the pulls t (1-p) and (1-t) p have log-slopes -p and 1-p.
      For all K trees at once it is tested, not proved.
    - ``gershgorin``, 2p(1-p), bounds the full matrix by its rows' absolute sums: what XGBoost's
      ``multi:softprob`` does up to 3.4.
    - ``gershgorin_safe``, the larger of the two, is ``no_overshoot`` the more. With K = 2 the
      difference of the scores takes the steps of `LogLoss` under its ``auto``. It wants more
      rounds than ``auto``, and at the best of them was a little better at large learning rates.
    - ``friedman``, K/(K-1) p(1-p), is LightGBM's ``multiclass``.

    XGBoost and LightGBM carry integer labels; soft ones are bound to the rows: see `bind`.
    Closed-form intercept: the logs of the weighted class shares, centred, a class without rows
    at 15 below the mean of the others.

    References
    ----------
    .. [1] Friedman, Hastie and Tibshirani, Additive logistic regression, Annals of Statistics
       2000, doi:10.1214/aos/1016218223.
    .. [2] Boehning, Multinomial logistic regression algorithm, Annals of the Institute of
       Statistical Mathematics 1992, doi:10.1007/BF00048682.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.CrossEntropyLoss(n_classes=3)
    >>> loss.gradient([2], [[0.0, 0.0, 0.0]]).round(3)
    array([[ 0.333,  0.333, -0.667]])
    """

    aliases: ClassVar[tuple[str, ...]] = (
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "nll",
        "softmax",
    )
    formula: ClassVar[str] = "logsumexp(f) - f_y"
    parity: ClassVar[str] = "multi:softprob (gershgorin), multiclass (friedman)"
    source: ClassVar[str] = "doi:10.1214/aos/1016218223"

    def _value(self, y: Array, f: Array) -> Array:
        return self._cross_entropy(y, f)


@dataclass(frozen=True)
class KLDivergenceLoss(LogProbabilityLoss):
    r"""Kullback-Leibler divergence, :math:`\sum_c t_c \log(t_c / p_c)`: cross-entropy from 0 up.

    Estimates the class probabilities. Domain: soft labels of shape (n, K) whose rows sum to 1, or
    integer labels 0 to K-1 of shape (n,). Link: softmax; n_outputs = K. Convex. Units: nats; f in
    log-odds up to a common constant. It is cross-entropy less the entropy of the label (smoothed,
    each term with the weight of its class), so that a perfect prediction has the value 0; gradient
    p - t, Hessian's diagonal p(1-p), curvatures and intercept are those of cross-entropy.

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    class_weight : mapping, sequence of K numbers, "balanced" or None
        Weight of each class; ``"balanced"`` is n / (K n_class), from the training labels.
    label_smoothing : float
        In [0, 1): t becomes t (1 - s) + s/K.
    ignore_index : float, optional
        A label whose rows are left out.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range, or the raw prediction has not K columns.

    Notes
    -----
    ``safe`` and ``auto``, t + p - 2 t p, are ``no_overshoot`` for each class tree by itself: the
    pulls t (1-p) and (1-t) p have log-slopes -p and 1-p. XGBoost and LightGBM carry integer
    labels; soft ones are bound to the rows: see `bind`.

    References
    ----------
    .. [1] Kullback and Leibler, On information and sufficiency, Annals of Mathematical
       Statistics 1951, doi:10.1214/aoms/1177729694.

    Examples
    --------
    >>> import gbobjectives as gbo, numpy as np
    >>> y = np.array([[0.5, 0.3, 0.2]])
    >>> loss = gbo.KLDivergenceLoss(n_classes=3)
    >>> abs(loss.value(y, np.log(y))).round(9), loss.value(y, 0 * y).round(4)
    (array([0.]), array([0.069]))
    """

    aliases: ClassVar[tuple[str, ...]] = ("kld", "kullback_leibler_divergence")
    formula: ClassVar[str] = "sum of t log(t / p)"
    source: ClassVar[str] = "doi:10.1214/aoms/1177729694"

    def _value(self, y: Array, f: Array) -> Array:
        share = self._smoothed(self._one_hot(y, f.dtype))
        # 0 log 0 is 0; the log of 0 itself is not finite
        logs = np.log(np.maximum(share, np.finfo(f.dtype).tiny))
        entropy: Array = -(self._target(y, f.dtype) * logs).sum(axis=1)
        return self._cross_entropy(y, f) - entropy


def _exp_below_top(f: Array) -> Array:
    """Exponentials of the scores less the largest of their row; those of others overflow."""
    x = f - f.max(axis=-1, keepdims=True)
    result: Array = np.exp(x, out=x)
    return result


def _hard_pulls(y: Array, f: Array, held: bool) -> tuple[Array, Array]:
    """Gradient p - t of hard labels, and its size: p down, and 1 - p up at the row's own class.

    Held, the size a is at least 2 p (1 - p), which is 2 a (1 - a) as p is a or 1 - a.
    """
    own = np.arange(len(y)), y.astype(np.intp)
    g = _exp_below_top(f)
    mine = g[own]
    g[own] = 0
    others = g.sum(axis=1)
    total = others + mine
    g /= total[:, None]
    # naive p - 1 cancels to 0 where p rounds to 1
    g[own] = -others / total
    size = np.abs(g)
    if held:
        size *= at_least(2 - 2 * size, 1)
    return g, size


def _hard_derivatives(y: Array, f: Array, multiple: float) -> tuple[Array, Array]:
    """Gradient p - t of hard labels, and so many times the second derivative p (1 - p)."""
    own = np.arange(len(y)), y.astype(np.intp)
    p, q = softmax_and_complement(f)
    h = p * q
    p[own] = -q[own]
    return p, h if multiple == 1 else h * multiple


def softmax_and_complement(f: Array) -> tuple[Array, Array]:
    """P and 1 - p, the sum of the others; the naive 1 - p cancels where p rounds to 1."""
    e = _exp_below_top(f)
    total = e.sum(axis=-1, keepdims=True)
    return e / total, sum_of_others(e) / total


def sum_of_others(x: Array) -> Array:
    """Sum over the last axis of all entries but each one's own.

    The naive total less the entry loses what is small beside it.
    """
    others, after = np.zeros_like(x), np.zeros_like(x[..., 0])
    last = x.shape[-1] - 1
    for k in range(last):
        np.add(others[..., k], x[..., k], out=others[..., k + 1])
    for k in range(last, 0, -1):
        after += x[..., k]
        others[..., k - 1] += after
    return others
