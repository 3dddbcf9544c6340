"""Variants of cross-entropy, and losses that take one class against the others."""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, log1p, logsumexp, modulation, weighted_sum
from gbobjectives.curvature import Rule, absolute_kernel
from gbobjectives.links import Interval
from gbobjectives.losses._intercept import solve_intercept, weights_of
from gbobjectives.losses.base import Loss
from gbobjectives.losses.classes import ClassLoss, balanced_weights, class_weights
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.losses.multiclass import SoftmaxLoss, softmax_and_complement, sum_of_others
from gbobjectives.losses.multiclass_hinge import CategoricalHingeLoss

__all__ = ["CategoricalHingeLoss", "OneVsRestLoss", "SoftmaxFocalLoss"]


@dataclass(frozen=True)
class SoftmaxFocalLoss(SoftmaxLoss):
    r"""Focal loss of K classes, :math:`-\alpha_y (1 - p_y)^\gamma \log p_y`: mutes easy rows.

    Estimates distorted class probabilities (for gamma > 0 drawn towards each other). Domain:
    integer labels 0 to K-1 of shape (n,), or soft labels of shape (n, K) whose rows sum to 1: the
    mixture of a row of each class. Link: softmax; n_outputs = K. Not convex for gamma > 0. Units:
    nats; f in log-odds up to a common constant. With q = 1 - p and the pull :math:`m_c = t_c
    \alpha_c q_c^{\gamma-1}(q_c - \gamma p_c \log p_c)` of class c, gradient :math:`p_k \sum_{c \ne
    k} m_c - m_k q_k`, Hessian's diagonal :math:`p_k q_k (\sum_c m_c - q_k m_k') - p_k^2 \sum_{c
    \ne k} p_c m_c'`, :math:`m_c' = dm_c/dp_c`.

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    gamma : float
        At least 0; 0 is (weighted) cross-entropy, more mutes easy rows more.
    alpha : float, mapping, sequence of K numbers, "balanced" or None
        Weight of every class, or of each; ``"balanced"`` is n / (K n_class), from the training
        labels. It multiplies `class_weight`.
    class_weight : mapping, sequence of K numbers, "balanced" or None
        Weight of each class.
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
    ``safe``, (1 + gamma) times the pulls up and down, is ``no_overshoot`` for each class tree by
    itself. Along f_k a row of class k pulls up by the gradient of the binary focal loss, whose
    log-slope s in its margin lies in [-(1+gamma), 1]. A row of class c pulls down by m_c p_k, with
    the log-slope 1 - p_k - x (s + p_c), x = p_k / (1 - p_c) at most 1: at least 1 - 2x, at
    most 1 + gamma. ``auto``, max(h, pulls), is ``heuristic``: the rule of cross-entropy, to
    which it reduces for gamma = 0, and no step beyond 1; for gamma > 0 the pulls may fade faster
    than it knows.

    References
    ----------
    .. [1] Lin et al., Focal loss for dense object detection, 2017, arXiv:1708.02002.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.SoftmaxFocalLoss(n_classes=3, gamma=2.0, alpha=[1.0, 1.0, 5.0])
    >>> loss.value([0, 2], [[4.0, 0.0, 0.0], [4.0, 0.0, 0.0]]).round(4)
    array([ 0.    , 19.4731])
    """

    gamma: float = 2.0
    alpha: Any = None

    estimates: ClassVar[str] = "class probabilities, drawn to each other"
    formula: ClassVar[str] = "-alpha_y (1 - p_y)^gamma log p_y"
    source: ClassVar[str] = "arXiv:1708.02002"
    convex: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = "SoftmaxFocalLoss"
        gamma = check.real_parameter(owner, "gamma", self.gamma, check.NON_NEGATIVE)
        alpha = self.alpha
        if isinstance(alpha, Real):
            alpha = check.real_parameter(owner, "alpha", alpha, check.POSITIVE)
        else:
            alpha = class_weights(owner, "alpha", alpha, self.n_classes)
        object.__setattr__(self, "gamma", gamma)
        object.__setattr__(self, "alpha", alpha)

    @property
    def resolved(self) -> bool:
        """Whether alpha and the class weights are numbers."""
        return super().resolved and not isinstance(self.alpha, str)

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        loss = super()._resolve(batch, statistics)
        if not isinstance(self.alpha, str):
            return loss
        return replace(loss, alpha=balanced_weights(statistics))

    def _target(self, y: Array, dtype: Any) -> Array:
        t = super()._target(y, dtype)
        return t if self.alpha is None else t * np.asarray(self.alpha, dtype=dtype)

    def _value(self, y: Array, f: Array) -> Array:
        _, q = softmax_and_complement(f)
        # By way of log p = f - logsumexp(f): log of a rounded p is -inf.
        f = f - f.max(axis=1, keepdims=True)
        surprise = logsumexp(f)[:, None] - f
        value: Array = (self._target(y, f.dtype) * modulation(q, self.gamma) * surprise).sum(axis=1)
        return value

    def _parts(self, y: Array, f: Array) -> tuple[Array, Array, Array, Array]:
        """P, 1 - p, m, and n (1 - p), where n is p dm/dp."""
        p, q = softmax_and_complement(f)
        f = f - f.max(axis=1, keepdims=True)
        # -log p is that of 1 - q where p is near 1: f - logsumexp(f) cancels there.
        near = -log1p(-np.minimum(q, 0.5))
        surprise = np.where(q < 0.5, near, logsumexp(f)[:, None] - f)
        # -log p / (1 - p), which is 1 at p = 1 and never less; both of its parts may be 0 there,
        # and so is what it is multiplied by unless gamma = 0.
        ratio = surprise / np.maximum(q, np.finfo(q.dtype).tiny)
        weight = self._target(y, f.dtype) * modulation(q, self.gamma)
        m = weight * (1 + self.gamma * p * ratio)
        n = self.gamma * weight * p * ((1 - self.gamma * p) * ratio - 2)
        return p, q, m, n

    def _derivatives(self, y: Array, f: Array) -> tuple[Array, Array, Array]:
        """Gradient, Hessian, and the sum of the pulls up and down."""
        p, q, m, n = self._parts(y, f)
        down, up = p * sum_of_others(m), q * m
        # dm_c/df_k is n_c (1[c=k] - p_k). n_c itself may be infinite where p_c rounds to 1, for
        # gamma < 1; then all other p_k are 0, and in n_c (1 - p_c) it is not.
        others = sum_of_others(n / np.maximum(q, np.finfo(q.dtype).tiny))
        total: Array = m.sum(axis=1, keepdims=True)
        return down - up, p * q * total - q * n - p * (p * others), down + up

    def _gradient(self, y: Array, f: Array) -> Array:
        return self._derivatives(y, f)[0]

    def _hessian(self, y: Array, f: Array) -> Array:
        return self._derivatives(y, f)[1]

    def _safe(self, h: Array, pulls: Array) -> Array:
        return (1 + self.gamma) * pulls

    def _auto(self, h: Array, pulls: Array) -> Array:
        return pulls if self.gamma == 0 else np.maximum(h, pulls)

    rules = {
        "safe": Rule(
            lambda loss, *block: loss._safe(*loss._derivatives(*block)[1:]),
            "no_overshoot",
            "(1 + gamma) |g|",
        ),
        "auto": Rule(
            lambda loss, *block: loss._auto(*loss._derivatives(*block)[1:]),
            "heuristic",
            "max(h, |g|)",
        ),
    }

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        for name, bound in (("safe", self._safe), ("auto", self._auto)):
            if rule is self.rules[name]:
                g, h, pulls = self._derivatives(*arguments)
                return g, bound(h, pulls)
        return super()._gradient_curvature(rule, *arguments)

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        if not self.resolved:
            return self._resolved_on(batch)._intercept(batch, has_offset)
        if has_offset:
            return solve_intercept(self, batch)
        # Without an offset only the total weight of each class matters: K rows stand for all.
        start = self._log_shares(batch)
        totals = weighted_sum(weights_of(batch), self._shares(batch.y.astype(np.float64)))
        rows = np.tile(start, (self.n_classes, 1))
        return start + solve_intercept(self, Batch(np.arange(self.n_classes), rows, totals))


@dataclass(frozen=True)
class OneVsRestLoss(RowLoss):
    r"""One binary loss for each class or label, :math:`\sum_k L(1[y = k], f_k)`.

    Estimates what the binary loss does, of every class by itself: with log loss the probability of
    each, which need not sum to 1. Domain: integer labels 0 to K-1 of shape (n,), or a matrix of
    shape (n, K) in [0, 1] of independent labels, of which a row may have any number. Link: that of
    the binary loss, entry by entry; n_outputs = K. Convex if the binary loss is. Units: those of
    the binary loss. Gradient L'(1[y = k], f_k), Hessian's diagonal L''(1[y = k], f_k).

    Parameters
    ----------
    binary : Loss
        A binary loss with numbers in it.
    n_classes : int
        K, at least 2.
    ignore_index : float, optional
        A label whose rows are left out, of labels of shape (n,).

    Raises
    ------
    TypeError, ValueError
        If `binary` is no loss of two classes with one output, or not resolved; if a parameter or
        a label is out of range.

    Notes
    -----
    The outputs do not see each other: every curvature of the binary loss keeps its guarantee,
    and for the trees of all outputs at once. With `LogLoss` and ``curvature="exact"`` it is
    LightGBM's ``multiclassova``. XGBoost and LightGBM carry integer labels; matrices are bound to
    the rows: see `bind`.

    References
    ----------
    .. [1] Galar et al., An overview of ensemble methods for binary classifiers in multi-class
       problems: experimental study on one-vs-one and one-vs-all schemes, Pattern Recognition
       2011, doi:10.1016/j.patcog.2011.01.017.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.OneVsRestLoss("log", n_classes=3)
    >>> loss.gradient([2], [[0.0, 0.0, 0.0]])
    array([[ 0.5,  0.5, -0.5]])
    >>> loss.gradient([[0, 1, 1]], [[0.0, 0.0, 0.0]])
    array([[ 0.5, -0.5, -0.5]])
    """

    binary: ClassLoss
    n_classes: int

    aliases: ClassVar[tuple[str, ...]] = ("multiclassova", "multilabel")
    task: ClassVar[str] = "multiclass"
    estimates: ClassVar[str] = "what the binary loss does, of each class"
    formula: ClassVar[str] = "sum of L(1[y = k], f_k)"
    parity: ClassVar[str] = "multiclassova (exact, of LogLoss)"
    source: ClassVar[str] = "doi:10.1016/j.patcog.2011.01.017"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)
    # Those of an instance are the binary loss's, below.
    rules = dict.fromkeys(("safe", "auto"), Rule(absolute_kernel, "heuristic", "that of L"))

    def __post_init__(self) -> None:
        super().__post_init__()
        owner, inner = "OneVsRestLoss", Loss._get(self.binary)
        object.__setattr__(
            self, "n_classes", check.count_parameter(owner, "n_classes", self.n_classes, 2)
        )
        if not isinstance(inner, ClassLoss) or inner.n_outputs != 1:
            raise TypeError(f"{owner}: binary must be a loss of two classes; got {inner!r}")
        if not inner.resolved:
            raise ValueError(
                f'{owner}: binary must have numbers in place of "balanced"; got {inner!r}'
            )
        if inner.ignore_index is not None or inner.targets is not None:
            raise ValueError(
                f"{owner}: ignore_index and targets are its own, not those of {inner!r}"
            )
        facts = {
            "binary": inner,
            "link": inner.link,
            "convex": inner.convex,
            "redescending": inner.redescending,
            "normalised": inner.normalised,
            "metric_name": f"one_vs_rest_{inner.metric_name}",
            "rules": {name: _entrywise(rule) for name, rule in inner.rules.items()},
        }
        for fact, value in facts.items():
            object.__setattr__(self, fact, value)

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return self.n_classes

    def _labels(self, y_true: Any, n: int | None) -> Array:
        owner = type(self).__name__
        if np.ndim(y_true) == 2:
            return check.label_matrix(owner, y_true, n, self.n_classes, check.UNIT_INTERVAL)
        return check.class_label_array(owner, y_true, n, self.n_classes)

    def _entries(self, y: Array, f: Array) -> tuple[Array, Array]:
        """Binary labels and scores of all outputs, in a row."""
        if y.ndim == 1:
            classes = y.astype(np.intp)[:, None] == np.arange(self.n_classes)
            y = classes.astype(f.dtype)
        return y.ravel(order="F"), f.ravel(order="F")

    def _value(self, y: Array, f: Array) -> Array:
        value: Array = (
            self.binary._value(*self._entries(y, f)).reshape(f.shape, order="F").sum(axis=1)
        )
        return value

    def _score(self, *arguments: Any) -> Array:
        y, f = arguments
        score: Array = (
            self.binary._score(*self._entries(y, f)).reshape(f.shape, order="F").sum(axis=1)
        )
        return score

    def _gradient(self, y: Array, f: Array) -> Array:
        return self.binary._gradient(*self._entries(y, f)).reshape(f.shape, order="F")

    def _hessian(self, y: Array, f: Array) -> Array:
        return self.binary._hessian(*self._entries(y, f)).reshape(f.shape, order="F")

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        for name, own in self.rules.items():
            if own is rule:
                y, f = arguments
                inner = self.binary.rules[name]
                g, h = self.binary._gradient_curvature(inner, *self._entries(y, f))
                return g.reshape(f.shape, order="F"), h.reshape(f.shape, order="F")
        return super()._gradient_curvature(rule, *arguments)

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Those of the binary loss."""
        y, f = self._entries(np.asarray(y_true), np.asarray(raw_prediction))
        return tuple(
            x.reshape(np.shape(raw_prediction), order="F") for x in self.binary.kinks(y, f)
        )

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        y = self._entries(batch.y, batch.f)[0].reshape(batch.f.shape, order="F")
        columns = (Batch(y[:, k], batch.f[:, k], batch.w) for k in range(self.n_classes))
        return [float(np.squeeze(self.binary._intercept(x, has_offset))) for x in columns]


def _entrywise(rule: Rule) -> Rule:
    """The rule of the binary loss, of a loss that applies it to every entry."""

    def kernel(loss: Any, y: Array, f: Array) -> Array:
        return rule.kernel(loss.binary, *loss._entries(y, f)).reshape(f.shape, order="F")

    return Rule(kernel, rule.guarantee, rule.formula, rule.relative_floor)
