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
    Estimates an order. Domain: all reals, only their order matters. Link: identity. Convex. Units:
    those of the score, which the margin sets. A group without pairs has value 0. Gradient -1 for
    the better row of a pair of lead below m and 1 for the other, over the number of pairs, Hessian
    0. Time n log n log L for L distinct labels, memory n: no pair is ever written down.

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
    The value is piecewise linear. ``safe`` and ``auto`` take the curvature 1/m for each pair that
    is, or within a step of a margin may become, active, with the factor 2 of two rows that move
    against each other: a majorizer of the hinge smoothed over one margin. For the hinge itself it
    is ``heuristic``, since at a kink no quadratic touches the loss from above. Intercept 0: only
    differences matter.

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

    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        # Scores relative to the group's median: sums of large common parts would cancel.
        dtype, f = f.dtype, f.astype(np.float64)
        median = np.lexsort((f, groups.ids))[groups.starts + groups.sizes // 2]
        f = f - groups.spread(f[median])
        w, _ = self._relative(w, groups)
        rank = _ranks(y)
        worse, better = _pair_sums(rank, f, w, groups, self.margin)
        total = groups.sum(w * (worse * (self.margin - f) + better * f))
        return np.maximum(total / _pair_weight(rank, w, groups), 0).astype(dtype)

    def _derivatives(
        self, y: Array, f: Array, w: Array, groups: Groups, curvature: bool = True
    ) -> tuple[Array, Array]:
        """Gradient and the curvature of ``safe``, which is left out where it is not wanted."""
        w, heaviest = self._relative(w, groups)
        rank = _ranks(y)
        scale = groups.spread(_pair_weight(rank, w, groups)) * heaviest
        worse, better = _pair_sums(rank, f, w, groups, self.margin)
        near = sum(_pair_sums(rank, f, w, groups, 2 * self.margin)) if curvature else 0 * worse
        return (
            np.asarray((better - worse) / scale, dtype=f.dtype),
            np.asarray(2 * near / (scale * self.margin), dtype=f.dtype),
        )

    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        return self._derivatives(y, f, w, groups, curvature=False)[0]

    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        return np.zeros_like(f)

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if rule.guarantee == "heuristic":
            return self._derivatives(*arguments)
        return super()._gradient_curvature(rule, *arguments)

    rules = {
        name: Rule(
            lambda loss, *block: loss._derivatives(*block)[1],
            "heuristic",
            "2 (pairs nearby) / m",
        )
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return 0.0


def _ranks(y: Array) -> Array:
    """Labels as integers from 0, in their order."""
    labels, rank = np.unique(y, return_inverse=True)
    return np.asarray(rank.astype(np.min_scalar_type(len(labels))))


def _by_cell(cell: Array) -> Array:
    """Rows sorted by cell, otherwise in their order; integers of 16 bits in linear time."""
    return np.argsort(cell.astype(np.min_scalar_type(int(cell.max()))), kind="stable")


def _pair_weight(rank: Array, w: Array, groups: Groups) -> Array:
    """Weight of all pairs of each group; 1 where there are none."""
    cell = groups.ids * (int(rank.max()) + 1) + rank
    order = _by_cell(cell)
    cell, w = cell[order], w[order]
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    of_label = np.add.reduceat(w, first)
    below = np.cumsum(of_label) - of_label
    # What is below the labels of a group begins anew with each group.
    of_group = groups.ids[order][first]
    begins = np.flatnonzero(np.diff(of_group, prepend=-1))
    below -= below[begins][of_group]
    total = np.add.reduceat(of_label * below, begins)
    return np.where(total > 0, total, 1)


def _pair_sums(
    rank: Array, f: Array, w: Array, groups: Groups, margin: float
) -> tuple[Array, Array]:
    """Weight of each row's active partners: those it should beat, and those that should beat it.

    In float64, whatever the dtype of the scores.

    A pair of ranks r_i > r_j is active where f_i - f_j < margin. Ranks of labels are compared
    bit by bit: two ranks differ first at one bit, so that each pair is counted at exactly one
    level, as "upper bit 1" against "upper bit 0" among rows that share the higher bits. Within a
    level the counts are prefix sums in the order of f_j, f_i - margin.
    """
    n, top = len(f), int(rank.max())
    by_score = np.argsort(f)
    lead = f[by_score].astype(np.float64)
    # Both sorted lists, merged. A tie f_i - f_j == margin is inactive: the lower row comes first.
    is_lead = np.ones(2 * n, dtype=bool)
    is_lead[np.searchsorted(lead, lead - margin, side="right") + np.arange(n)] = False
    row = np.empty(2 * n, dtype=np.intp)
    row[is_lead] = row[~is_lead] = by_score
    worse, better = np.zeros(n), np.zeros(n)
    for bit in range(top.bit_length()):
        cell = groups.ids * ((top >> (bit + 1)) + 1) + (rank >> (bit + 1))
        upper = (rank >> bit) & 1 == 1
        # As a lower row (by f) or as an upper row (by f - margin), never both.
        i = row[is_lead != upper[row]]
        i = i[_by_cell(cell[i])]
        is_upper, weight = upper[i], w[i]
        w_up = weight * is_upper
        first = np.flatnonzero(np.diff(cell[i], prepend=-1))
        sizes = np.diff(np.append(first, n))
        before_up = np.cumsum(w_up)
        start_up = (before_up - w_up)[first]
        after_low = np.cumsum(weight - w_up)
        end_low = after_low[first + sizes - 1]
        # An upper row beats too little every lower row that follows it.
        worse[i] += np.where(is_upper, np.repeat(end_low, sizes) - after_low, 0)
        better[i] += np.where(is_upper, 0, before_up - np.repeat(start_up, sizes))
    return worse, better
