"""Losses that weigh rows by how many there are of their kind: a histogram comes first."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Groups
from gbobjectives._numerics import Array, expit, log1pexp
from gbobjectives.curvature import Rule
from gbobjectives.links import LOGIT, Interval, Link
from gbobjectives.losses.kinds import CoupledLoss

__all__ = ["GradientHarmonizedLoss"]


def _pulls(loss: Any, *block: Any) -> Array:
    pulls: Array = loss._derivatives(*block)[2]
    return pulls


def _trusted(loss: Any, *block: Any) -> Array:
    _, h, pulls = loss._derivatives(*block)
    trusted: Array = np.maximum(h, pulls / 2)
    return trusted


@dataclass(frozen=True)
class GradientHarmonizedLoss(CoupledLoss):
    r"""Log loss in which every bin of abs(p - y) weighs the same: gradient harmonizing, GHM-C.

    The mean over the non-empty bins of the mean log loss in the bin, over the whole batch, or
    over each group where groups are given; p = 1/(1+e^-f). Rows of a common kind, the many easy
    ones and the many hopeless ones, weigh less. Estimates a distorted probability. Domain:
    [0, 1], soft labels included. Link: logit. Not convex. Units: nats; f in log-odds.

    Parameters
    ----------
    bins : int
        Number of bins of equal width on [0, 1].
    momentum : float
        m in [0, 1): an objective takes in place of the histogram of a round m times its running
        average over the rounds before and 1 - m times that of this round. The running average
        is that of all groups together.
    past : sequence of float, optional
        Shares of the bins over the rounds before; set by the objective, not by hand.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range.

    Notes
    -----
    The counts do not change as long as no row passes the edge of a bin, so that derivatives are
    exact off the edges: with c = 1/(count x bins in use), gradient c (p - y), Hessian c p(1-p).
    For fixed weights ``safe``, the sum of the pulls y (1-p) and (1-y) p of log loss with these
    weights, is ``no_overshoot``; but a row that passes an edge changes the weights of two bins,
    and the loss jumps. So it is ``heuristic``, and so is ``auto``, max(h, safe/2), the exact
    curvature where it is large enough.

    An objective whose loss has a momentum remembers the histograms of each data set that it is
    given. A second call with the same raw predictions is the same round; copies begin anew, and
    so does each ``train`` of the adapters. An objective that is handed to the libraries' own
    ``train`` serves one training.

    References
    ----------
    .. [1] Li, Liu and Wang, Gradient harmonized single-stage detector, AAAI 2019,
       arXiv:1811.05181.

    Examples
    --------
    One hard row weighs as much as three easy ones.

    >>> import gbobjectives as gbo
    >>> loss = gbo.GradientHarmonizedLoss()
    >>> loss.gradient([1.0, 0.0, 0.0, 0.0], [-3.0, -3.0, -3.0, -3.0]).round(3)
    array([-0.476,  0.008,  0.008,  0.008])
    """

    bins: int = 10
    momentum: float = 0.0
    past: Any = field(default=None, kw_only=True)

    aliases: ClassVar[tuple[str, ...]] = ("ghm",)
    task: ClassVar[str] = "binary"
    estimates: ClassVar[str] = "distorted probability"
    formula: ClassVar[str] = "mean over bins of |p - y| of their mean log loss"
    source: ClassVar[str] = "arXiv:1811.05181"
    y_domain: ClassVar[Interval] = Interval(0.0, 1.0)
    link: ClassVar[Link] = LOGIT
    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        bins = check.count_parameter(owner, "bins", self.bins, 1)
        allowed = check.HALF_OPEN_UNIT_INTERVAL
        momentum = check.real_parameter(owner, "momentum", self.momentum, allowed)
        past = self.past
        if past is not None:
            past = check.real_parameters(owner, "past", past, bins, check.NON_NEGATIVE)
        for name, number in (("bins", bins), ("momentum", momentum), ("past", past)):
            object.__setattr__(self, name, number)

    @property
    def remembers(self) -> bool:
        """Whether a round depends on those before it: with a momentum."""
        return self.momentum > 0

    def _bin(self, y: Array, f: Array) -> Array:
        # naive abs(p - y) cancels for a row that is right
        size = np.abs((1 - y) * expit(f) - y * expit(-f))
        bins: Array = np.minimum((size * self.bins).astype(np.intp), self.bins - 1)
        return bins

    def _summary(self, y: Array, f: Array, w: Array, groups: Groups) -> Array:
        """Of each group its weight, the weight of each bin, the sum of log losses in each bin."""
        n = len(groups.sizes)
        cell = groups.ids * self.bins + self._bin(y, f)
        log_loss = y * log1pexp(-f) + (1 - y) * log1pexp(f)
        of_bins = [
            np.bincount(cell, weights=x, minlength=n * self.bins).reshape(n, self.bins).T
            for x in (w, w * log_loss)
        ]
        return np.concatenate([of_bins[0].sum(axis=0, keepdims=True), *of_bins])

    def _rates(self, sums: Any) -> Array:
        """What a row of each bin weighs in the value: 1 / (count x bins in use)."""
        total, counts = sums[0], np.stack(sums[1 : 1 + self.bins])
        used = counts > 0
        smoothed = counts
        if self.past is not None:
            past = np.asarray(self.past, dtype=counts.dtype).reshape(-1, *(1,) * (counts.ndim - 1))
            smoothed = self.momentum * past * total + (1 - self.momentum) * counts
        # A row of weight 0 may be alone in its bin.
        rates: Array = used / (np.where(used, smoothed, 1) * np.maximum(used.sum(axis=0), 1))
        return rates.astype(counts.dtype, copy=False)

    def _rate(self, y: Array, f: Array, sums: tuple[Array, ...]) -> Array:
        rates, at = self._rates(sums), self._bin(y, f)
        return rates[at] if rates.ndim == 1 else np.take_along_axis(rates, at[None], axis=0)[0]

    def _value(self, *sums: Array) -> Array:
        losses = np.stack(sums[1 + self.bins :])
        value: Array = (self._rates(sums) * losses).sum(axis=0)
        return value

    def _derivatives(
        self, y: Array, f: Array, w: Array, sums: tuple[Array, ...]
    ) -> tuple[Array, Array, Array]:
        """Gradient, Hessian, and the sum of the pulls up and down."""
        rate, p, q = self._rate(y, f, sums), expit(f), expit(-f)
        up, down = rate * y * q, rate * (1 - y) * p
        return down - up, rate * p * q, down + up

    def _gradient(self, *arguments: Any) -> Array:
        return self._derivatives(*arguments)[0]

    def _hessian(self, *arguments: Any) -> Array:
        return self._derivatives(*arguments)[1]

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        g, h, pulls = self._derivatives(*arguments)
        if rule.kernel is _trusted:
            return g, np.maximum(h, pulls / 2)
        return g, rule.kernel(self, *arguments)

    rules = {
        "safe": Rule(_pulls, "heuristic", "|g|"),
        "auto": Rule(_trusted, "heuristic", "max(h, |g| / 2)"),
    }

    def _recalled(self, batch: Batch, memory: dict[str, Any]) -> Self:
        # The same raw predictions are the same round.
        round_ = hash(batch.f.tobytes())
        if memory.get("round") != round_:
            counts = self._context(batch, None)[1 : 1 + self.bins].sum(axis=1)
            now, before = counts / counts.sum(), memory.get("now")
            if before is not None:
                now = self.momentum * before + (1 - self.momentum) * now
            memory.update({"round": round_, "now": now, "before": before})
        before = memory["before"]
        return self if before is None else replace(self, past=tuple(before.tolist()))
