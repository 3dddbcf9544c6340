"""Losses of counts and positive amounts (log link)."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, exp_saturating
from gbobjectives.curvature import EXACT, Rule
from gbobjectives.links import LOG, Interval, Link
from gbobjectives.losses._intercept import MAX_SCORE, weighted_mean
from gbobjectives.losses.kinds import RowLoss

__all__ = ["PoissonLoss"]

# max_delta_step of count:poisson in XGBoost and poisson_max_delta_step in LightGBM.
MAX_DELTA_STEP = 0.7


@dataclass(frozen=True)
class PoissonLoss(RowLoss):
    r"""Poisson loss with log link, :math:`e^f - y f`: for counts and rates.

    Estimates the mean. Domain: y >= 0 (it need not be an integer). Link: log, y_pred = exp(f).
    Convex. Units: nats; f in log units of y. Gradient :math:`e^f - y`, Hessian :math:`e^f`.
    Dropped from the value: the constant log y!.

    Raises
    ------
    ValueError
        If a label is negative.

    Notes
    -----
    Write a = y, what pulls the score up, and b = e^f, what pushes it down; over a leaf,
    F(t) - F(0) = -A t + B (e^t - 1).

    - ``safe``, (a + b)/2, is ``no_overshoot``: the step (A-B)/((A+B)/2) is no longer than
      log(A/B), the minimum, because the logarithmic mean is at most the arithmetic one.
    - ``auto``, (a + 2b)/3, is ``descent``: at its step t the ratio A/B is (3+2t)/(3-t), and
      (3 + 2t + 2t^2) - (3-t) e^t is convex in t with its minimum 0 at t = 0, hence F(t) <= F(0);
      F is convex, so that shorter steps descend as well. It needs about half the rounds.
    - ``damped``, e^(f + 0.7), is what ``count:poisson`` of XGBoost and ``poisson`` of LightGBM
      do at their default max_delta_step.

    Beyond the largest finite number of the dtype e^f saturates. Exposure enters as an offset:
    its logarithm as base_margin or init_score. Closed-form intercept: the log of the weighted
    mean; -15 for labels that are all 0.

    References
    ----------
    .. [1] McCullagh and Nelder, Generalized Linear Models, 2nd edition 1989,
       doi:10.1201/9780203753736.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.PoissonLoss().gradient([2.0, 0.0], [0.0, 0.0])
    array([-1.,  1.])
    """

    aliases: ClassVar[tuple[str, ...]] = ("count:poisson",)
    task: ClassVar[str] = "count"
    estimates: ClassVar[str] = "mean"
    formula: ClassVar[str] = "exp(f) - y f"
    parity: ClassVar[str] = "count:poisson, poisson (damped)"
    source: ClassVar[str] = "doi:10.1201/9780203753736"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)
    link: ClassVar[Link] = LOG

    def _value(self, y: Array, f: Array) -> Array:
        mean = exp_saturating(f)
        # Past the saturation both terms stand still: inf - inf would be NaN.
        value: Array = mean - y * np.minimum(f, np.log(np.finfo(f.dtype).max))
        return value

    def _gradient(self, y: Array, f: Array) -> Array:
        return exp_saturating(f) - y

    def _hessian(self, y: Array, f: Array) -> Array:
        return exp_saturating(f)

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        y, f = arguments
        h = exp_saturating(f)
        if rule is self.rules["auto"]:
            return h - y, (y + 2 * h) / 3
        return h - y, rule.kernel(self, y, f)

    rules = {
        "safe": Rule(
            lambda loss, y, f: (y + exp_saturating(f)) / 2, "no_overshoot", "(y + exp(f)) / 2"
        ),
        "auto": Rule(
            lambda loss, y, f: (y + 2 * exp_saturating(f)) / 3, "descent", "(y + 2 exp(f)) / 3"
        ),
        "damped": Rule(
            lambda loss, y, f: exp_saturating(f + MAX_DELTA_STEP), "none", "exp(f + 0.7)"
        ),
        "fisher": EXACT,
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        # The offset's own mean is taken relative to its maximum, which exp cannot overflow.
        top = batch.f.max()
        ratio = weighted_mean(batch, batch.y) / weighted_mean(batch, np.exp(batch.f - top))
        return float((np.log(ratio) if ratio > 0 else -MAX_SCORE) - top)
