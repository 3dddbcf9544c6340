"""Losses of pairs of rows of a query, logistic in the difference of their scores."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups
from gbobjectives._numerics import Array, log1p
from gbobjectives.curvature import Guarantee, Rule
from gbobjectives.links import Interval
from gbobjectives.losses._lists import Lists, Signed, side_by_side
from gbobjectives.losses.kinds import GroupLoss

__all__ = ["LambdaNDCGLoss", "PairwiseLogisticLoss"]

Term: TypeAlias = Callable[[Array, Array, Array], Array]


@dataclass(frozen=True)
class PairRule(Rule):
    """Curvature that is a sum over a row's pairs of a term of (abs(weight), e^-d, pull)."""

    term: Term = lambda size, e, pull: pull


def _rule(term: Term, guarantee: Guarantee, formula: str) -> Rule:
    """Rule whose kernel shares its pass over the pairs with the gradient."""
    return PairRule(lambda loss, *block: loss._sums(*block, term)[1], guarantee, formula, term=term)


def _pull(size: Array, e: Array, pull: Array) -> Array:
    return pull


def _second(size: Array, e: Array, pull: Array) -> Array:
    """Second derivative s (1 - s), of s = e / (1 + e) and of s = 1 / (1 + e)."""
    result: Array = size * e / (1 + e) ** 2
    return result


def _twice_second(size: Array, e: Array, pull: Array) -> Array:
    return 2 * _second(size, e, pull)


def _second_held(size: Array, e: Array, pull: Array) -> Array:
    return np.maximum(_second(size, e, pull), pull / 2)


def _pair_rules(proved: Guarantee) -> dict[str, Rule]:
    return {
        "safe": _rule(_pull, proved, "sum of s"),
        "auto": _rule(_second_held, "heuristic", "sum of max(s (1 - s), s / 2)"),
        "gershgorin": _rule(_twice_second, "heuristic", "2 (sum of s (1 - s))"),
    }


@dataclass(frozen=True)
class _PairwiseLogistic(GroupLoss):
    """Weighted sum over pairs of log(1 + e^-d), d the lead that the better row has.

    A subclass supplies the signed weights of the pairs of some lists, and what the sum over the
    pairs of a list is divided by.
    """

    @abstractmethod
    def _signed(self, lists: Lists) -> tuple[Signed, int]:
        """Signed weights of pairs, and how many leading rows have any."""

    @abstractmethod
    def _unit(self, lists: Lists, mass: Array) -> Array:
        """Divisor of each list; `mass` is the sum of the sizes of its pairs."""

    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        values = np.zeros(len(groups.sizes), dtype=f.dtype)
        for lists in side_by_side(y, f, w, groups):
            total, mass = np.zeros((2, len(lists.groups)))
            for p, q, c, e in lists.pairs(*self._signed(lists)):
                size = np.abs(c)
                mass += lists.w[p] * lists.inner(size, q)
                # log(1 + e^d) of a pair in the wrong order is log(1 + e^-d) + d.
                size *= log1p(e)
                size -= np.minimum(c, 0) * (lists.f[p] - lists.f[q])
                total += lists.w[p] * lists.inner(size, q)
            values[lists.groups] = total / self._unit(lists, mass)
        return values

    def _sums(
        self, y: Array, f: Array, w: Array, groups: Groups, term: Term
    ) -> tuple[Array, Array]:
        """Gradient and curvature: sums over the pairs of each row."""
        g, h = np.zeros((2, len(f)), dtype=f.dtype)
        for lists in side_by_side(y, f, w, groups):
            first, second = np.zeros_like(lists.f), np.zeros_like(lists.f)
            mass = np.zeros(len(lists.groups))
            for p, q, c, e in lists.pairs(*self._signed(lists)):
                size = np.abs(c)
                mass += lists.w[p] * lists.inner(size, q)
                # In the wrong order it is 1 less this: no digits are lost, as this is at most 1/2.
                pull = e / (1 + e)
                pull *= size
                pull += np.minimum(c, 0)
                first[p] -= lists.inner(pull, q)
                first[q] += pull * lists.w[p]
                bend = term(size, e, np.abs(pull, out=pull))
                second[p] += lists.inner(bend, q)
                second[q] += bend * lists.w[p]
            unit = self._unit(lists, mass) * lists.heaviest
            for rows, sums in ((g, first), (h, second)):
                rows[lists.rows[lists.real]] = (sums / unit)[lists.real]
        return g, h

    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        return self._sums(y, f, w, groups, _pull)[0]

    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        return self._sums(y, f, w, groups, _second)[1]

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if isinstance(rule, PairRule):
            y, f, w, groups = arguments
            return self._sums(y, f, w, groups, rule.term)
        return super()._gradient_curvature(rule, *arguments)

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return 0.0


@dataclass(frozen=True)
class PairwiseLogisticLoss(_PairwiseLogistic):
    r"""RankNet, the mean of :math:`\log(1 + e^{-(f_i - f_j)})` over pairs with y_i > y_j.

    Pairs are taken within each group (query); a pair weighs the product of its rows' weights.
    Estimates an order: f_i - f_j is the log-odds that row i is the better one. Domain: all reals,
    only their order matters. Link: identity. Convex. Units: log-odds. A group without pairs has
    value 0. A pair of lead d, s = 1/(1 + e^d), adds to the gradient -s for the better row and s
    for the other, and to the Hessian s(1-s) for both; all that over the number of pairs. Time is
    that of the pairs, memory that of the rows.

    Raises
    ------
    ValueError
        If the group sizes do not sum to the number of rows.

    Notes
    -----
    ``safe``, with s = 1/(1 + e^d) the pull of a pair of lead d, is the sum of a row's pulls, and
    ``descent`` for all leaves of a tree at once. If two rows step by a and b, the lead changes by
    a - b, and log(1 + s (e^(b - a) - 1)) <= s (e^(b - a) - 1) <= s (e^-2a - 1)/2 + s (e^2b - 1)/2:
    a sum over leaves, with pulls A up and B down, of A (e^-2t - 1)/2 + B (e^2t - 1)/2, which is
    not positive for t from 0 to log(A/B)/2. There lies (A - B)/(A + B) = tanh(log(A/B)/2).

    ``auto`` is the exact diagonal, s (1 - s) summed over pairs, with s/2 as its least: it trains
    faster, and no tree of our tests rises under it, but that is not proved: ``heuristic``. The
    exact diagonal vanishes where pairs are badly wrong. ``gershgorin`` is twice the diagonal, a
    bound at the current scores and not along a step: ``heuristic``; it is XGBoost's.

    An objective gives each query n times its mean, so that gradients are of order 1 per row.
    XGBoost's rank:pairwise and rank:ndcg and LightGBM's lambdarank add up pairs, and by default
    divide the sum by functions of itself. Intercept 0: only differences matter.

    References
    ----------
    .. [1] Burges et al., Learning to rank using gradient descent, 2005,
       doi:10.1145/1102351.1102363.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.PairwiseLogisticLoss()
    >>> loss.value([1.0, 0.0, 2.0, 5.0], [0.5, 0.0, 0.0, 3.0], group=[2, 2]).round(3)
    array([0.474, 0.049])
    """

    aliases: ClassVar[tuple[str, ...]] = ("ranknet",)
    task: ClassVar[str] = "ranking"
    estimates: ClassVar[str] = "order"
    formula: ClassVar[str] = "mean over pairs of log(1 + e^-(f_i - f_j))"
    parity: ClassVar[str] = "XGBoost rank:pairwise, all pairs, times a constant (gershgorin)"
    source: ClassVar[str] = "doi:10.1145/1102351.1102363"

    rules = _pair_rules("descent")

    def _signed(self, lists: Lists) -> tuple[Signed, int]:
        y = lists.y
        return lambda p, q: np.sign(y[p] - y[q]), len(y)

    def _unit(self, lists: Lists, mass: Array) -> Array:
        return np.where(mass > 0, mass, 1)


@dataclass(frozen=True)
class LambdaNDCGLoss(_PairwiseLogistic):
    r"""LambdaRank, the sum over pairs of :math:`|\Delta NDCG| \log(1 + e^{-(f_i - f_j)})`, over n.

    Delta NDCG is the change of NDCG@k if the two rows of a pair changed places: the difference of
    their gains 2^y - 1 times that of their discounts 1/log2(2 + place), which are 0 from place k
    on, over the DCG@k of the best order. Estimates an order whose top is right. Domain: [0, 31].
    Link: identity. Not convex. Units: log-odds. A pair of lead d, s = 1/(1 + e^d) and weight w
    adds to the gradient -w s for the better row and w s for the other, and to the Hessian w s(1-s)
    for both.

    The weights follow the order of the scores, and are constant between changes of it: value,
    gradient and Hessian are each other's derivatives off ties. Rows of equal score share their
    places, as the mean over all orders of them. The metric is 1 - NDCG@k, by the same rule.

    Parameters
    ----------
    truncation : int, optional
        k; all places by default. Time is that of pairs with a row among the first k.

    Raises
    ------
    ValueError
        If the truncation is no positive integer, or a label is out of range.

    Notes
    -----
    Rows take places: a row of weight 0 takes none, but one of weight 2 takes one, not two.
    Weights are those of queries; within one they weigh its pairs, relative to their mean.

    For an order that stays as it is, the rules are those of `PairwiseLogisticLoss`, and ``safe``
    is proved. A step that changes the order changes the weights, and the value jumps: hence all
    are ``heuristic``.

    An objective gives each query the plain sum over its pairs. With curvature ``gershgorin`` that
    is XGBoost's rank:ndcg with lambdarank_pair_method="topk" over all pairs, and
    lambdarank_normalization and lambdarank_score_normalization off; with ``exact`` LightGBM's
    lambdarank with lambdarank_norm off. Their truncation keeps the discount of the row below it,
    and rows of equal score have places in the order in which they are stored.

    References
    ----------
    .. [1] Wang et al., The LambdaLoss framework for ranking metric optimization, 2018,
       doi:10.1145/3269206.3271784.
    .. [2] McSherry and Najork, Computing information retrieval performance measures efficiently
       in the presence of tied scores, 2008, doi:10.1007/978-3-540-78646-7_38.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.LambdaNDCGLoss(truncation=10)
    >>> y = [3.0, 2.0, 0.0]
    >>> loss.metric_value(y, [2.0, 1.0, 0.0]), round(loss.metric_value(y, [0.0, 1.0, 2.0]), 3)
    (0.0, 0.394)
    """

    truncation: int | None = None

    aliases: ClassVar[tuple[str, ...]] = ("lambdarank",)
    task: ClassVar[str] = "ranking"
    estimates: ClassVar[str] = "order"
    formula: ClassVar[str] = "sum over pairs of |Delta NDCG| log(1 + e^-(f_i - f_j)) / n"
    parity: ClassVar[str] = "XGBoost rank:ndcg (gershgorin), LightGBM lambdarank (exact), plain"
    source: ClassVar[str] = "doi:10.1145/3269206.3271784"
    y_domain: ClassVar[Interval] = Interval(0.0, 31.0)
    convex: ClassVar[bool] = False
    takes_places: ClassVar[bool] = True
    # Not "ndcg...", which XGBoost would maximise.
    metric_name: ClassVar[str] = "one_minus_ndcg"

    rules = _pair_rules("heuristic")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.truncation is not None:
            k = check.count_parameter("LambdaNDCGLoss", "truncation", self.truncation, 1)
            object.__setattr__(self, "truncation", k)

    def _discount(self, n: int) -> Array:
        """Discount of each place, 0 below the truncation."""
        discount = 1 / np.log2(np.arange(2, n + 2))
        discount[self.truncation or n :] = 0
        return discount

    def _places(self, lists: Lists) -> tuple[Array, Array | None, Array]:
        """Discount of each row; and for rows of equal score, the mean difference of two of them.

        Tied rows share their places: each has the mean over all orders of them.
        """
        f, real = lists.f, lists.real
        discount = self._discount(len(f))
        tied = (f[1:] == f[:-1]) & real[1:]
        if not tied.any():
            return discount[:, None], None, f
        place = np.arange(len(f))[:, None]
        no = np.zeros((1, f.shape[1]), dtype=bool)
        start = np.maximum.accumulate(np.where(np.vstack([no, tied]), 0, place), axis=0)
        stop = np.where(np.vstack([tied, no]), len(f), place + 1)
        stop = np.minimum.accumulate(stop[::-1], axis=0)[::-1]
        n = stop - start
        sums, moments = (
            np.concatenate([[0], np.cumsum(x)]) for x in (discount, discount * np.arange(len(f)))
        )
        share, moment = sums[stop] - sums[start], moments[stop] - moments[start]
        spread = (n - 1 + 2 * start) * share - 2 * moment
        return share / n, np.maximum(2 * spread / np.maximum(n * (n - 1), 1), 0), start

    def _signed(self, lists: Lists) -> tuple[Signed, int]:
        gain = np.exp2(lists.y)
        discount, spread, start = self._places(lists)

        def signed(p: int, q: slice) -> Array:
            gap = discount[p] - discount[q]
            if spread is not None:
                gap = gap + spread[p] * (start[q] == start[p])
            weight: Array = (gain[p] - gain[q]) * gap
            return weight

        return signed, int(np.count_nonzero(discount.any(axis=1)))

    def _ideal(self, lists: Lists) -> Array:
        """DCG of the best order."""
        gain = np.where(lists.real, np.exp2(lists.y) - 1, 0)
        # not a matrix product, whose order of summation is the machine's: summed as `_score` sums
        # its rows, so that the best order scores 0 and no rounding
        best: Array = (self._discount(len(gain))[:, None] * -np.sort(-gain, axis=0)).sum(axis=0)
        return best

    def _unit(self, lists: Lists, mass: Array) -> Array:
        n, w, ideal = lists.real.sum(axis=0), lists.w.sum(axis=0), self._ideal(lists)
        unit: Array = np.where(ideal > 0, ideal, 1) * w * w / n
        return unit

    def _score(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        lost = np.zeros(len(groups.sizes), dtype=f.dtype)
        for lists in side_by_side(y, f, w, groups):
            gain = np.where(lists.real, np.exp2(lists.y) - 1, 0)
            got, best = (self._places(lists)[0] * gain).sum(axis=0), self._ideal(lists)
            lost[lists.groups] = np.where(best > 0, 1 - got / np.where(best > 0, best, 1), 0)
        return lost
