"""Losses of times to an event that is not always seen."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gbobjectives._batch import Batch, Groups
from gbobjectives._numerics import Array, exp_saturating
from gbobjectives.curvature import Rule
from gbobjectives.links import LOG, Link
from gbobjectives.losses.kinds import GroupLoss

__all__ = ["CoxLoss"]

# exp(-GAP) is 0, and so is what a score that far below another adds to its sum.
GAP = 800.0

# Scores of a group that spread no further need no care: their logarithms keep 12 digits.
WIDE = 1e3


class _AtRisk(NamedTuple):
    """Rows in the order of time within groups: places, and logarithms of weighted sums.

    `begin` and `end` are those of the rows of the same time; `log_event` is the log of the weight
    of an event, `log_risk` that of the sum of w exp(score) over those at risk at its time.
    """

    order: Array
    begin: Array
    end: Array
    score: Array
    log_weight: Array
    log_event: Array
    log_risk: Array


class _Pulls(NamedTuple):
    """Of each row, in float64: up and down pull, and what the second derivative lacks of it."""

    up: Array
    down: Array
    own: Array
    total: Array


@dataclass(frozen=True)
class CoxLoss(GroupLoss):
    r"""Cox loss, :math:`-\sum_i w_i (f_i - \log\sum_{j: t_j \ge t_i} w_j e^{f_j}) / \sum_j w_j`.

    The first sum runs over events, the second over the rows at risk at the time of the event:
    the negative partial log-likelihood, with Breslow's treatment of equal times. Estimates the
    hazard of a row relative to that of others. Domain: all reals; y > 0 is an event at the time
    y, y <= 0 is a row that was seen without event until the time abs(y) (as for
    ``survival:cox``). Link: log, so that predictions are relative risks. Convex. Units: nats; only
    differences of f within a group matter. Groups are strata, each with a baseline hazard of its
    own; without groups the batch is one.

    Raises
    ------
    ValueError
        If the group sizes do not sum to the number of rows.

    Notes
    -----
    A sum over those at risk runs along the order of time: no fixed number of sums over rows
    holds it, as `CoupledLoss` asks for. So the strata are groups, each of which is seen whole.

    With A = 1 for an event and 0 otherwise and B the row's share in the risk sets it was in,
    gradient B - A, Hessian B - C, with C the sum of the squared shares. ``safe`` and ``auto``, (A
    + B)/2, are ``no_overshoot``: as log x <= x - 1, moving each leaf by its t changes the loss by
    no more than the sum over leaves of -A t + B (e^t - 1), A and B summed over the leaf. Each term
    is the loss of a Poisson leaf, whose minimum log(A/B) is no nearer than (A - B) / ((A + B)/2).
    That of a single leaf lies further still, and all leaves of a tree at once lower the loss as
    well, over any number of strata. The Hessian is exact to the rounding of B.

    ``curvature="exact"`` is what ``survival:cox`` does where no times are equal and no weights
    are given. Within rows of equal time it is a sum over those that come first only, which depends
    on the order of rows; its weights do not count in the risk sets. Time n log n, memory n.
    Intercept 0: only differences matter.

    References
    ----------
    .. [1] Cox, Regression models and life-tables, Journal of the Royal Statistical Society B 1972,
       doi:10.1111/j.2517-6161.1972.tb00899.x.
    .. [2] Breslow, Covariance analysis of censored survival data, Biometrics 1974,
       doi:10.2307/2529620.

    Examples
    --------
    The first of three fails while all are at risk; the second is lost sight of.

    >>> import gbobjectives as gbo
    >>> gbo.CoxLoss().gradient([1.0, -2.0, 3.0], [0.0, 0.0, 0.0]).round(3)
    array([-0.222,  0.111,  0.111])
    """

    task: ClassVar[str] = "survival"
    estimates: ClassVar[str] = "relative hazard"
    formula: ClassVar[str] = "-sum over events of f_i - log sum over those at risk of exp(f_j)"
    parity: ClassVar[str] = "survival:cox (exact, no equal times)"
    source: ClassVar[str] = "doi:10.1111/j.2517-6161.1972.tb00899.x"
    link: ClassVar[Link] = LOG

    @staticmethod
    def _at_risk(y: Array, f: Array, w: Array, groups: Groups) -> "_AtRisk":
        y, f, w = (x.astype(np.float64) for x in (y, f, w))
        score, time = _close_by(f, groups), np.abs(y)
        order = np.lexsort((time, groups.ids))
        time, group = time[order], groups.ids[order]
        new = np.ones(len(y), dtype=bool)
        new[1:] = (np.diff(time) != 0) | (np.diff(group) != 0)
        tie, begin = np.cumsum(new) - 1, np.flatnonzero(new)
        end = np.append(begin[1:], len(y)) - 1
        with np.errstate(divide="ignore"):
            log_weight = np.log(w[order])
        log_event = np.where(y[order] > 0, log_weight, -np.inf)
        # In logarithms: sums of exp(f) overflow, and relative to the largest they vanish.
        sums = _running(np.logaddexp, log_weight + score[order], groups, backwards=True)
        # A row of weight 0 may have no one at risk.
        log_risk = np.where(log_event > -np.inf, sums[begin[tie]], 0.0)
        return _AtRisk(order, begin[tie], end[tie], score[order], log_weight, log_event, log_risk)

    def _value(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        rows, score = self._at_risk(y, f, w, groups), f.astype(np.float64)
        score = score[rows.order]

        def largest(scores: Array) -> Array:
            """The largest of those at risk."""
            counted = np.where(rows.log_weight > -np.inf, scores, -np.inf)
            top = _running(np.maximum, counted, groups, backwards=True)[rows.begin]
            return np.where(rows.log_event > -np.inf, top, scores)

        # From the row to the largest at risk, as far as that is, and from there to the sum.
        lead = (largest(score) - score) + (rows.log_risk - largest(rows.score))
        total = groups.sum(np.exp(rows.log_event) * lead)
        return (total / self._weight(w, groups)).astype(f.dtype)

    @staticmethod
    def _weight(w: Array, groups: Groups) -> Array:
        """Sum of weights of each group; 1 where there are none."""
        total = groups.sum(w.astype(np.float64))
        return np.where(total > 0, total, 1.0)

    def _pulls(self, y: Array, f: Array, w: Array, groups: Groups) -> _Pulls:
        rows = self._at_risk(y, f, w, groups)
        once, twice = (
            _running(np.logaddexp, rows.log_event - k * rows.log_risk, groups)[rows.end]
            for k in (1, 2)
        )
        down, own = np.empty((2, len(f)))
        down[rows.order] = exp_saturating(rows.score + once)
        own[rows.order] = exp_saturating(rows.log_weight + 2 * rows.score + twice)
        total = groups.spread(self._weight(w, groups))
        return _Pulls((y > 0).astype(np.float64), down, own, total)

    def _gradient(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        pulls = self._pulls(y, f, w, groups)
        return _narrow((pulls.down - pulls.up) / pulls.total, f.dtype)

    def _hessian(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        pulls = self._pulls(y, f, w, groups)
        return _narrow(np.maximum(pulls.down - pulls.own, 0) / pulls.total, f.dtype)

    def _safe(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        pulls = self._pulls(y, f, w, groups)
        return _narrow((pulls.up + pulls.down) / (2 * pulls.total), f.dtype)

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        pulls, dtype = self._pulls(*arguments), arguments[1].dtype
        g = _narrow((pulls.down - pulls.up) / pulls.total, dtype)
        if rule.guarantee == "no_overshoot":
            return g, _narrow((pulls.up + pulls.down) / (2 * pulls.total), dtype)
        return g, rule.kernel(self, *arguments)

    rules = {
        name: Rule(lambda loss, *block: loss._safe(*block), "no_overshoot", "(A + B) / 2")
        for name in ("safe", "auto")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return 0.0


def _narrow(x: Array, dtype: Any) -> Array:
    """In that dtype; beyond it, which only a row of weight 0 can be, its largest number."""
    return np.minimum(x, np.finfo(dtype).max).astype(dtype)


def _close_by(f: Array, groups: Groups) -> Array:
    """Scores relative to the largest of the group; far ones drawn near.

    Of scores of 1e19 the rounding is 1e3, and the logarithm of a sum is lost in it. exp(-GAP) is
    0: in a group that spreads further, gaps between neighbours are held at that.
    """
    low, high = (x.reduceat(f, groups.starts) for x in (np.minimum, np.maximum))
    near: Array = f - groups.spread(high)
    wide = high - low > WIDE
    if not wide.any():
        return near
    order = np.lexsort((f, groups.ids))
    gaps = np.minimum(np.diff(f[order], append=0.0), GAP)
    for i in np.flatnonzero(wide):
        rows = slice(groups.starts[i], groups.starts[i] + groups.sizes[i])
        near[order[rows]] = np.append(-np.cumsum(gaps[rows][-2::-1])[::-1], 0.0)
    return near


def _running(function: np.ufunc, x: Array, groups: Groups, backwards: bool = False) -> Array:
    """Running result of a function of two within each group.

    One pass of NumPy a group: differences of one pass over all would cancel, as the sums of a
    group may vanish beside those of another.
    """
    result = np.empty_like(x)
    step = -1 if backwards else 1
    for start, size in zip(groups.starts, groups.sizes, strict=True):
        part = slice(start, start + size)
        function.accumulate(x[part][::step], out=result[part][::step])
    return result
