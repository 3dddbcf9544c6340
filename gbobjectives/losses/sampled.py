"""Losses of many classes that look at a few of them at a time."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, expit, log1pexp, weighted_sum
from gbobjectives.curvature import Rule
from gbobjectives.links import SOFTMAX, Interval, Link
from gbobjectives.losses._draws import draw_of, uniform
from gbobjectives.losses._intercept import weights_of
from gbobjectives.losses.kinds import RowLoss

__all__ = ["NoiseContrastiveLoss"]

# Power of the class shares that "unigram" draws from: Mikolov et al. 2013, arXiv:1310.4546.
UNIGRAM_POWER = 0.75

# Log of the probability of a class that no row has: a few in 10^9, which no metric sees.
LEAST_SCORE = -20.0

# Halvings of a bracket of scores, of width below 1e3, to below the rounding of float64.
HALVINGS = 64


@dataclass(frozen=True)
class NoiseContrastiveLoss(RowLoss):
    r"""Noise-contrastive estimation: cross-entropy of very many classes, against a few at a time.

    The value is :math:`-\log\sigma(u_y) - \sum_j \log\sigma(-u_{n_j})`, :math:`u_k = f_k - \log(m
    q_k)`. The true class y against m noise classes n_j, drawn from q: cross-entropy for so many
    classes that the sum over all of them costs too much; on a hundred, cross-entropy is better and
    about as fast (examples/many_classes.py). Estimates the logs of the class probabilities,
    normalised by themselves: at the optimum f_k is log p_k, for any q, and no constant is free.
    Domain: integer labels 0 to K-1 of shape (n,). Link: softmax; n_outputs = K. Convex. Units:
    nats; f in log-probability. Gradient s(u) where drawn (times how often), s(u) - 1 where true;
    Hessian s(u) s(-u) there. Other columns have neither.

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    n_noise : int
        m, at least 1: noise classes a row; more are nearer to cross-entropy.
    noise : "uniform", "unigram" or sequence of K positive numbers
        q up to a factor. ``"unigram"`` is the 3/4 power of the class shares of the weighted
        training labels, a class without rows counting as the rarest one. On 100 classes of very
        different sizes it trained about as well as ``"uniform"``.
    seed : int
        At least 0; another seed gives other noise.
    draw : int, optional
        The noise of one round. By default a number made of the seed, the labels and the raw
        predictions: each round draws anew, and two runs give the same model.
    ignore_index : float, optional
        A label whose rows are left out.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range, or the raw prediction has not K columns.

    Notes
    -----
    Kernels are functions of a row, and a row is known by its label: within a round all rows of a
    class share their noise, and rounds and classes differ. The true class may be among the noise,
    and then counts as both, as in [1]_: without it the optimum would not be log p.

    ``safe`` and ``auto``, the pulls s(u) and 1 - s(u), are ``no_overshoot``, for the trees of all
    classes at once: columns do not see each other, and pulls have log-slopes in [-1, 1]. The
    statement is about the noise that was drawn. Columns that were not drawn have the curvature 0
    (the smallest float32): leaves of the tree of class k are as heavy as their rows of class k and
    those whose noise holds k, a share p_k + m q_k or so of all, and ``min_child_weight`` and
    ``min_sum_hessian_in_leaf`` are met by that weight alone: lower them with many classes.

    The metric is the mean over all noise, :math:`\sum_k m q_k \log(1 + e^{u_k})` in place of the
    sum over j: one fixed function, which costs as much as cross-entropy. Closed-form intercept:
    the logs of the weighted class shares, at least -20.

    References
    ----------
    .. [1] Gutmann and Hyvarinen, Noise-contrastive estimation, AISTATS 2010, PMLR 9:297-304.
    .. [2] Mnih and Teh, A fast and simple algorithm for training neural probabilistic language
       models, 2012, arXiv:1206.6426.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.NoiseContrastiveLoss(n_classes=6, n_noise=2, draw=2)
    >>> loss.gradient([5], [[0.0] * 6]).round(2) + 0
    array([[ 0.  ,  0.75,  0.75,  0.  ,  0.  , -0.25]])
    """

    n_classes: int
    n_noise: int = 8
    noise: Any = "uniform"
    seed: int = 0
    draw: int | None = field(default=None, kw_only=True)

    aliases: ClassVar[tuple[str, ...]] = ("nce",)
    task: ClassVar[str] = "multiclass"
    estimates: ClassVar[str] = "log class probabilities"
    formula: ClassVar[str] = "-log s(u_y) - sum over noise of log s(-u_n)"
    source: ClassVar[str] = "arXiv:1206.6426"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)
    link: ClassVar[Link] = SOFTMAX
    metric_name: ClassVar[str] = "nce"

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = "NoiseContrastiveLoss"
        lowest = {"n_classes": 2, "n_noise": 1, "seed": 0} | (
            {} if self.draw is None else {"draw": 0}
        )
        for name, low in lowest.items():
            value = check.count_parameter(owner, name, getattr(self, name), low)
            object.__setattr__(self, name, value)
        if isinstance(self.noise, str):
            if self.noise not in ("uniform", "unigram"):
                raise ValueError(
                    f'{owner}: noise must be "uniform", "unigram" or a sequence of numbers; '
                    f"got {self.noise!r}"
                )
        else:
            q = check.real_parameters(owner, "noise", self.noise, self.n_classes, check.POSITIVE)
            object.__setattr__(self, "noise", q)

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return self.n_classes

    @property
    def resolved(self) -> bool:
        """Whether the noise is drawn, from known shares."""
        return self.draw is not None and self.noise != "unigram"

    def _labels(self, y_true: Any, n: int | None) -> Array:
        owner = type(self).__name__
        y = check.label_array(owner, y_true, n, Interval(0, self.n_classes - 1))
        return check.class_label_array(owner, y, n, self.n_classes)

    def _label_statistics(self, batch: Batch) -> Any:
        """Total weight of each class; None where nothing is estimated from it."""
        return None if self.noise != "unigram" else self._totals(batch)

    def _totals(self, batch: Batch) -> Array:
        return np.bincount(batch.y.astype(np.intp), weights_of(batch), self.n_classes)

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        noise, draw = self.noise, self.draw
        if noise == "unigram":
            rarest = statistics[statistics > 0].min()
            noise = tuple((np.maximum(statistics, rarest) ** UNIGRAM_POWER).tolist())
        return replace(self, noise=noise, draw=draw_of(batch, self.seed) if draw is None else draw)

    def _shares(self) -> Array:
        """Shares q of the classes in the noise."""
        if self.noise == "uniform":
            return np.full(self.n_classes, 1 / self.n_classes)
        q: Array = np.asarray(self.noise, dtype=np.float64)
        shares: Array = q / q.sum()
        return shares

    def _level(self, dtype: Any) -> Array:
        """Scores log(m q) at which a class is as likely as its noise."""
        level: Array = np.log(self.n_noise * self._shares())
        return level.astype(dtype)

    def noise_classes(self, y: Array) -> Array:
        """Noise classes of rows with the labels `y`, shape (n, m)."""
        if self.draw is None:
            raise ValueError("NoiseContrastiveLoss: the noise of a recipe is not drawn yet")
        drawn = uniform(self.draw, np.asarray(y)[:, None], np.arange(self.n_noise))
        # The sum of all shares may round to below a number drawn.
        found: Array = np.searchsorted(np.cumsum(self._shares()), drawn, side="right")
        return np.minimum(found, self.n_classes - 1)

    def _columns(self, y: Array, f: Array) -> tuple[Array, Array, Array, Array]:
        """True and noise classes of each row, and their u."""
        true, noise = y.astype(np.intp)[:, None], self.noise_classes(y)
        level = self._level(f.dtype)
        up, down = (np.take_along_axis(f, k, axis=1) - level[k] for k in (true, noise))
        return true, noise, up, down

    def _scattered(self, f: Array, columns: Array, entries: Array) -> Array:
        """Zeros, and the entries added up where they belong; a class may be drawn twice."""
        out, rows = np.zeros_like(f), np.arange(len(f))
        for j in range(columns.shape[1]):
            out[rows, columns[:, j]] += entries[:, j]
        return out

    def _value(self, y: Array, f: Array) -> Array:
        _, _, up, down = self._columns(y, f)
        value: Array = log1pexp(-up)[:, 0] + log1pexp(down).sum(axis=1)
        return value

    def _pulls(self, y: Array, f: Array) -> tuple[Array, Array]:
        """Pulls down and up."""
        true, noise, up, down = self._columns(y, f)
        return self._scattered(f, noise, expit(down)), self._scattered(f, true, expit(-up))

    def _gradient(self, y: Array, f: Array) -> Array:
        down, up = self._pulls(y, f)
        return down - up

    def _hessian(self, y: Array, f: Array) -> Array:
        true, noise, up, down = self._columns(y, f)
        columns, u = np.hstack([true, noise]), np.hstack([up, down])
        return self._scattered(f, columns, expit(u) * expit(-u))

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if rule.guarantee == "no_overshoot":
            down, up = self._pulls(*arguments)
            return down - up, down + up
        return super()._gradient_curvature(rule, *arguments)

    rules = dict.fromkeys(
        ("safe", "auto"),
        Rule(lambda loss, y, f: sum(loss._pulls(y, f)), "no_overshoot", "s(u) + (1 - s(u))"),
    )

    def _score(self, *arguments: Any) -> Array:
        y, f = arguments
        u = f - self._level(f.dtype)
        noise = (self.n_noise * self._shares()).astype(f.dtype)
        expected = weighted_sum(noise, log1pexp(u).T)
        score: Array = expected + log1pexp(-u[np.arange(len(y)), y.astype(np.intp)])
        return score

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        totals = self._totals(batch)
        if not has_offset:
            # Of the mean over all noise, whose gradient in column k is m q s(u) - share s(-u).
            with np.errstate(divide="ignore"):
                return np.maximum(np.log(totals / totals.sum()), LEAST_SCORE)
        loss = self if self.noise != "unigram" else self._resolve(batch, totals)
        w, y = weights_of(batch)[:, None], batch.y.astype(np.intp)
        true = y[:, None] == np.arange(self.n_classes)
        u = batch.f.astype(np.float64) - loss._level(np.float64)
        drawn = self.n_noise * loss._shares()
        high = np.abs(u).max(axis=0) - LEAST_SCORE
        low = -high
        for _ in range(HALVINGS):
            c = (low + high) / 2
            rises = (w * (drawn * expit(u + c) - true * expit(-u - c))).sum(axis=0) > 0
            low, high = np.where(rises, low, c), np.where(rises, c, high)
        return (low + high) / 2
