"""Losses of the order of rows within a query."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups
from gbobjectives._numerics import Array
from gbobjectives.curvature import Rule
from gbobjectives.losses.kinds import GroupLoss

__all__ = ["MarginRankingLoss"]


@dataclass(frozen=True)
class MarginRankingLoss(GroupLoss):
    r"""Pairwise hinge, the mean of :math:`\max(0, m - (f_i - f_j))` over pairs with y_i > y_j.

    Pairs are taken within each group (query); a pair weighs the product of its rows' weights.
    Estimates an order. Domain: all reals, only their order matters. Link: identity. Convex.
    Units: those of the score, which the margin sets. A group without pairs has value 0. Time
    n log n log L for L distinct labels, memory n: no pair is ever written down.

    Parameters
    ----------
    margin : float
        m, positive: the lead that a better row should have. With 0 a constant score would be
        optimal.

    Raises
    ------
    ValueError
        If the margin is not positive, or the group sizes do not sum to the number of rows.

    Notes
    -----
    The exact Hessian is 0: the value is piecewise linear. ``safe`` and ``auto`` take the
    curvature 1/m for each pair that is, or within a step of a margin may become, active, with
    the factor 2 of two rows that move against each other: a majorizer of the hinge smoothed
    over one margin. For the hinge itself it is ``heuristic``, since at a kink no quadratic
    touches the loss from above. Intercept 0: only differences matter.

    References
    ----------
    .. [1] Herbrich, Graepel and Obermayer, Support vector learning for ordinal regression,
       1999, doi:10.1049/cp:19991091.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.MarginRankingLoss()
    >>> loss.value([1.0, 0.0, 2.0, 5.0], [0.5, 0.0, 0.0, 3.0], group=[2, 2])
    array([0.5, 0. ])
    """

    margin: float = 1.0

    aliases: ClassVar[tuple[str, ...]] = ("pairwise_hinge",)
    task: ClassVar[str] = "ranking"
    estimates: ClassVar[str] = "order"
    formula: ClassVar[str] = "mean over pairs of max(0, m - (f_i - f_j))"
    source: ClassVar[str] = "doi:10.1049/cp:19991091"

    def __post_init__(self) -> None:
        m = check.real_parameter("MarginRankingLoss", "margin", self.margin, check.POSITIVE)
        object.__setattr__(self, "margin", m)

    @staticmethod
    def _relative(w: Array, groups: Groups) -> tuple[Array, Array]:
        """Weights relative to the largest of the group, and that largest, in each row.

        The sums below run through all groups of a block: those of a light group would be lost
        beside a heavy one. Derivatives per unit of weight scale as one over the weights.
        """
        top = np.maximum.reduceat(w, groups.starts).astype(np.float64)
        heaviest = groups.spread(np.where(top > 0, top, 1))
        return w / heaviest, heaviest

    def _pair_weight(self, y: Array, w: Array, groups: Groups) -> Array:
        """Weight of all pairs of each row's group; 1 where there are none."""
        worse, _ = _pair_sums(y, np.zeros_like(y), w, groups, np.inf)
        total = groups.sum(worse * w)
        return np.where(total > 0, total, 1)

    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        # Scores relative to the group's median: sums of large common parts would cancel.
        dtype, f = f.dtype, f.astype(np.float64)
        median = np.lexsort((f, groups.ids))[groups.starts + groups.sizes // 2]
        f = f - groups.spread(f[median])
        w, _ = self._relative(w, groups)
        worse, better = _pair_sums(y, f, w, groups, self.margin)
        total = groups.sum(w * (worse * (self.margin - f) + better * f))
        return np.maximum(total / self._pair_weight(y, w, groups), 0).astype(dtype)

    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        w, heaviest = self._relative(w, groups)
        worse, better = _pair_sums(y, f, w, groups, self.margin)
        scale = groups.spread(self._pair_weight(y, w, groups)) * heaviest
        return np.asarray((better - worse) / scale, dtype=f.dtype)

    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        return np.zeros_like(f)

    def _safe(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        w, heaviest = self._relative(w, groups)
        near = sum(_pair_sums(y, f, w, groups, 2 * self.margin))
        scale = groups.spread(self._pair_weight(y, w, groups)) * heaviest * self.margin
        return np.asarray(2 * near / scale, dtype=f.dtype)

    rules = {
        name: Rule(lambda loss, *block: loss._safe(*block), "heuristic", "2 (pairs nearby) / m")
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return 0.0


def _pair_sums(y: Array, f: Array, w: Array, groups: Groups, margin: float) -> tuple[Array, Array]:
    """Weight of each row's active partners: those it should beat, and those that should beat it.

    In float64, whatever the dtype of the scores.

    A pair y_i > y_j is active where f_i - f_j < margin. Ranks of labels are compared bit by
    bit: two ranks differ first at one bit, so that each pair is counted at exactly one level,
    as "upper bit 1" against "upper bit 0" among rows that share the higher bits. Within a level
    the counts are prefix sums in the order of f_j, f_i - margin.
    """
    n = len(y)
    rank = np.unique(y, return_inverse=True)[1]
    lead = f.astype(np.float64)
    if np.isfinite(margin):
        # A tie f_i - f_j == margin is inactive: the lower row comes first.
        order = np.lexsort((np.repeat([0, 1], n), np.concatenate([lead, lead - margin])))
    else:
        order = np.concatenate([np.arange(n, 2 * n), np.arange(n)])
    row, is_lead = order % n, order < n
    worse, better = np.zeros(n), np.zeros(n)
    for bit in range(int(rank.max()).bit_length()):
        cell = groups.ids * (int(rank.max() >> (bit + 1)) + 1) + (rank >> (bit + 1))
        upper = (rank >> bit) & 1 == 1
        # As a lower row (by f) or as an upper row (by f - margin), never both.
        keep = is_lead != upper[row]
        i = row[keep]
        i = i[np.argsort(cell[i], kind="stable")]
        w_low, w_up = np.where(upper[i], 0, w[i]), np.where(upper[i], w[i], 0)
        first = np.flatnonzero(np.diff(cell[i], prepend=-1))
        sizes = np.diff(np.append(first, n))
        before_up = np.cumsum(w_up)
        start_up = (before_up - w_up)[first]
        after_low = np.cumsum(w_low)
        end_low = after_low[first + sizes - 1]
        # An upper row beats too little every lower row that follows it.
        worse[i] += np.where(upper[i], np.repeat(end_low, sizes) - after_low, 0)
        better[i] += np.where(upper[i], 0, before_up - np.repeat(start_up, sizes))
    return worse, better
