"""Losses of whole lists: shares that scores give to rows, against target shares."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups
from gbobjectives._numerics import Array
from gbobjectives.curvature import Rule
from gbobjectives.links import Interval
from gbobjectives.losses._draws import draw_of, uniform
from gbobjectives.losses.kinds import GroupLoss

__all__ = ["ListNetLoss", "XENDCGLoss"]


@dataclass(frozen=True)
class _ShareDivergence(GroupLoss):
    """Divergence of the shares p = e^f / sum(e^f) of a list from target shares t.

    A row of weight k is k rows, each of which has the share.
    """

    @abstractmethod
    def _log_amounts(self, y: Array, w: Array, groups: Groups) -> Array:
        """Logarithm of the target shares, but for a common part."""

    def _log_shares(self, y: Array, f: Array, w: Array, groups: Groups) -> tuple[Array, Array]:
        """Logarithms of t and p."""
        amounts = self._log_amounts(y.astype(np.float64), w, groups)
        return _log_shares(amounts, w, groups), _log_shares(f, w, groups)

    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        t, p = self._log_shares(y, f, w, groups)
        # Of an absent row both are -inf.
        lost = np.subtract(t, p, out=np.zeros_like(t), where=w > 0)
        return np.maximum(groups.sum(w * np.exp(t) * lost), 0).astype(f.dtype)

    def _derivatives(self, y: Array, f: Array, w: Array, groups: Groups) -> tuple[Array, Array]:
        """Gradient p - t, and (p + t) / 2."""
        t, p = (np.exp(x) for x in self._log_shares(y, f, w, groups))
        return (p - t).astype(f.dtype), ((p + t) / 2).astype(f.dtype)

    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        return self._derivatives(y, f, w, groups)[0]

    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        p = np.exp(_log_shares(f, w, groups))
        own = w * p
        # 1 - own loses its digits in the row that has nearly all; there the others add up.
        top = np.flatnonzero(own == groups.spread(np.maximum.reduceat(own, groups.starts)))
        of, first = np.unique(groups.ids[top], return_index=True)
        top, others = top[first], 1 - own
        own[top] = 0
        others[top] = groups.sum(own)[of]
        return np.asarray(p * others, dtype=f.dtype)

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if rule.guarantee == "descent":
            return self._derivatives(*arguments)
        return super()._gradient_curvature(rule, *arguments)

    rules = {
        name: Rule(lambda loss, *block: loss._derivatives(*block)[1], "descent", "(p + t) / 2")
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return 0.0


@dataclass(frozen=True)
class ListNetLoss(_ShareDivergence):
    r"""ListNet, :math:`\sum t_i \log(t_i / p_i)`: shares e^f / sum(e^f) against e^y / sum(e^y).

    Shares are those of a group (query), and the probabilities that a row is put first. The value
    is ListNet's cross entropy :math:`-\sum t_i \log p_i` less its minimum, so that 0 is the best.
    Estimates the label, but for a constant of the query. Domain: all reals. Link: identity.
    Convex. Units: those of the label, whose differences are log-odds; scale it as confident as the
    order of two rows is. Rows of equal labels are asked for equal scores. Gradient p - t,
    Hessian's diagonal p(1-p).

    Raises
    ------
    ValueError
        If the group sizes do not sum to the number of rows.

    Notes
    -----
    ``safe`` and ``auto``, h = (p + t)/2, are ``descent`` for all leaves of a tree at once: with
    P and T the sums of p and t in a leaf, log sum(P e^a) <= sum(P (e^a - 1)), so the value rises
    by no more than the sum over leaves of P (e^a - 1) - T a, each least at a = log(T/P); and the
    step, T - P over the mean of T and P, does not pass it, as a logarithmic mean is no larger.
    A row alone in its group has gradient 0, and h = 1. Intercept 0: only differences matter.

    A row of weight k is k rows, each with the share of one. An objective gives each query n times
    its value, so that gradients p - t are of order 1 per row.

    References
    ----------
    .. [1] Cao et al., Learning to rank: from pairwise approach to listwise approach, 2007,
       doi:10.1145/1273496.1273513.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.ListNetLoss()
    >>> loss.value([2.0, 1.0, 0.0, 1.0], [3.0, 2.0, 1.0, 0.0], group=[3, 1])
    array([0., 0.])
    >>> loss.gradient([2.0, 1.0, 0.0], [0.0, 0.0, 0.0]).round(2)
    array([-0.33,  0.09,  0.24])
    """

    aliases: ClassVar[tuple[str, ...]] = ("listnet",)
    task: ClassVar[str] = "ranking"
    estimates: ClassVar[str] = "label, but for a constant"
    formula: ClassVar[str] = "sum of t log(t / p), t = softmax(y), p = softmax(f)"
    source: ClassVar[str] = "doi:10.1145/1273496.1273513"

    def _log_amounts(self, y: Array, w: Array, groups: Groups) -> Array:
        return y


@dataclass(frozen=True)
class XENDCGLoss(_ShareDivergence):
    r"""XE-NDCG, :math:`\sum t_i \log(t_i / p_i)` with random :math:`t_i \propto 2^{y_i} - \gamma`.

    p = e^f / sum(e^f) within a group (query); gamma, in [0, 1), is drawn anew each round. The
    value is the cross entropy of the source less its minimum. It bounds 1 - NDCG, and estimates an
    order whose top is right. Domain: [0, 31]. Link: identity. Convex. Units: log-odds. Gradient p
    - t, Hessian's diagonal p(1-p).

    Parameters
    ----------
    seed : int
        Of the draws: the same seed trains the same model.
    draw : int, optional
        The draw of one round. An objective sets it each round, from the seed, the labels and the
        scores; a metric sets it once.

    Raises
    ------
    ValueError
        If the seed is negative, or a label is out of range.

    Notes
    -----
    ``safe`` and ``auto`` are those of `ListNetLoss`, and ``descent`` by the same proof: each
    round descends on its own draw. gamma is drawn for each label of a query (of its mean label),
    not for each row, so that rows may come in any order, and a row of weight k is k rows.

    LightGBM's rank_xendcg draws for each row, and adds to the gradient p - t two terms of
    products of shares, an approximation of the second and third order, with h = p (1 - p).
    Here the gradient is the derivative of the value. Intercept 0: only differences matter.

    References
    ----------
    .. [1] Bruch, An alternative cross entropy loss for learning-to-rank, 2019, arXiv:1911.09798.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.XENDCGLoss(draw=1)
    >>> bool(loss([3.0, 1.0, 0.0], [3.0, 1.0, 0.0]) < loss([3.0, 1.0, 0.0], [0.0, 1.0, 3.0]))
    True
    """

    seed: int = 0
    draw: int | None = field(default=None, kw_only=True)

    aliases: ClassVar[tuple[str, ...]] = ("rank_xendcg", "xe_ndcg")
    task: ClassVar[str] = "ranking"
    estimates: ClassVar[str] = "order"
    formula: ClassVar[str] = "sum of t log(t / p), t ~ 2^y - gamma, p = softmax(f)"
    source: ClassVar[str] = "arXiv:1911.09798"
    y_domain: ClassVar[Interval] = Interval(0.0, 31.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seed", "draw"):
            if (value := getattr(self, name)) is not None:
                number = check.count_parameter("XENDCGLoss", name, value, 0)
                object.__setattr__(self, name, number)

    @property
    def resolved(self) -> bool:
        """Whether this is the loss of one round."""
        return self.draw is not None

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        return replace(self, draw=draw_of(batch, self.seed))

    def _noise(self, y: Array, w: Array, groups: Groups) -> Array:
        """Noise of each row: in [0, 1), a function of the draw, its label and its query's mean.

        The mean is rounded to 2^-20, far above the error of a sum in another order.
        """
        w = w.astype(np.float64)
        weight = groups.sum(w)
        mean = groups.sum(w * y) / np.where(weight > 0, weight, 1)
        query = groups.spread(np.round(mean * 2.0**20))
        # A label of -0 is that of 0.
        return uniform(self.draw or 0, query, (y + 0.0).view(np.uint64))

    def _log_amounts(self, y: Array, w: Array, groups: Groups) -> Array:
        amounts: Array = np.log(np.exp2(y) - self._noise(y, w, groups))
        return amounts


def _log_shares(x: Array, w: Array, groups: Groups) -> Array:
    """``log(e^x / sum(w e^x))`` of each group, in float64; the naive form overflows.

    A row of weight 0 has no share.
    """
    x = x.astype(np.float64)
    if (w == 0).any():
        x = np.where(w > 0, x, -np.inf)
    top = np.maximum.reduceat(x, groups.starts)
    top = np.where(np.isfinite(top), top, 0)
    total = groups.sum(w * np.exp(x - groups.spread(top)))
    result: Array = x - groups.spread(top + np.log(np.where(total > 0, total, 1)))
    return result
