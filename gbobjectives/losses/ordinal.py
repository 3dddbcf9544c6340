"""Losses of classes in an order."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, expit, log1pexp
from gbobjectives.curvature import Rule
from gbobjectives.links import Interval
from gbobjectives.losses._intercept import MAX_SCORE, solve_intercept, weights_of
from gbobjectives.losses.kinds import RowLoss

__all__ = ["OrdinalLogitLoss"]

# Log-odds that neighbouring thresholds keep between each other: a class without rows has a
# probability of up to a quarter of it, which is not 0.
MIN_GAP = 1e-3

# Where a constant score ends: MAX_SCORE beyond the last threshold.
LAST_SCORE = 2 * MAX_SCORE

FINITE = Interval(-np.inf, np.inf, False, False)


@dataclass(frozen=True)
class OrdinalLogitLoss(RowLoss):
    r"""Proportional odds, :math:`-\log(\sigma(\theta_y - f) - \sigma(\theta_{y-1} - f))`.

    Estimates a latent score that orders the rows; `class_probabilities` turns it into the
    probabilities of the classes. Domain: integers 0 to K-1, whose order counts. Link: identity; one
    output. Convex. Units: nats; f and the thresholds in log-odds. With pulls down
    :math:`a = \sigma(f - \theta_y)` and up :math:`b = \sigma(\theta_{y-1} - f)`, gradient
    a - b, Hessian a(1-a) + b(1-b).

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    thresholds : sequence of K-1 numbers, or "auto"
        :math:`\theta_0 < ... < \theta_{K-2}`; the odds of a class above k are
        :math:`e^{f - \theta_k}`. ``"auto"`` takes the logits of the cumulative class shares
        of the training labels, within 15 of 0 and at least 0.001 apart, with which f = 0 is the
        best constant.
    ignore_index : float, optional
        A label whose rows are left out.

    Raises
    ------
    ValueError
        If a parameter or a label is out of range, or thresholds do not ascend.

    Notes
    -----
    ``safe``, a + b, is ``no_overshoot`` with kappa = 1: the pulls have the log-slopes 1 - a and
    b - 1. ``auto``, max(h, safe/2), is ``heuristic``, as for log loss, which this loss is for
    two classes: the exact curvature where it is large enough, and no step beyond 2.

    References
    ----------
    .. [1] McCullagh, Regression models for ordinal data, Journal of the Royal Statistical
       Society B 1980, doi:10.1111/j.2517-6161.1980.tb01109.x.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.OrdinalLogitLoss(n_classes=3, thresholds=[-1.0, 2.0])
    >>> loss.class_probabilities([-5.0, 0.0, 5.0]).round(3)
    array([[0.982, 0.017, 0.001],
           [0.269, 0.612, 0.119],
           [0.002, 0.045, 0.953]])
    """

    n_classes: int
    thresholds: tuple[float, ...] | Literal["auto"] = "auto"

    task: ClassVar[str] = "ordinal"
    estimates: ClassVar[str] = "latent score"
    formula: ClassVar[str] = "-log(sigma(theta_y - f) - sigma(theta_(y-1) - f))"
    source: ClassVar[str] = "doi:10.1111/j.2517-6161.1980.tb01109.x"
    y_domain: ClassVar[Interval] = Interval(0.0, np.inf, True, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = "OrdinalLogitLoss"
        k = check.count_parameter(owner, "n_classes", self.n_classes, 2)
        object.__setattr__(self, "n_classes", k)
        object.__setattr__(self, "y_domain", Interval(0, k - 1))
        if isinstance(self.thresholds, str) and self.thresholds == "auto":
            return
        found = check.real_parameters(owner, "thresholds", self.thresholds, k - 1, FINITE)
        if any(b <= a for a, b in pairwise(found)):
            raise ValueError(f"{owner}: thresholds must ascend; got {self.thresholds!r}")
        object.__setattr__(self, "thresholds", found)

    @property
    def resolved(self) -> bool:
        """Whether the thresholds are numbers."""
        return not isinstance(self.thresholds, str)

    def class_probabilities(self, raw_prediction: Any) -> Array:
        """Probability of each class, shape (n, n_classes).

        Of a loss with ``thresholds="auto"`` only ``loss.resolve(y_true, raw_prediction)``, with the
        training labels, knows them.
        """
        if not self.resolved:
            raise ValueError(
                'OrdinalLogitLoss: thresholds="auto" says nothing of the probabilities; take them '
                "from the training labels: loss.resolve(y_true, raw_prediction)"
            )
        f = self._raw(raw_prediction)[:, None]
        lower, upper = self._ends(f.dtype)
        # naive sigma(upper - f) - sigma(lower - f) cancels where both round to 1
        p: Array = self._widths().astype(f.dtype) * expit(upper - f) * expit(f - lower)
        return p

    def _labels(self, y_true: Any, n: int | None) -> Array:
        owner = type(self).__name__
        y = check.label_array(owner, y_true, n, self.y_domain)
        return check.class_label_array(owner, y, n, self.n_classes)

    def _label_statistics(self, batch: Batch) -> Array:
        """Total weight of each class."""
        y = batch.y.astype(np.intp)
        return np.bincount(y, weights_of(batch), minlength=self.n_classes)

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        if self.resolved:
            return self
        below = np.cumsum(statistics)[:-1]
        with np.errstate(divide="ignore"):
            logits = np.log(below) - np.log(statistics.sum() - below)
        logits = np.clip(np.nan_to_num(logits), -MAX_SCORE, MAX_SCORE)
        apart = MIN_GAP * np.arange(len(logits))
        spaced = np.maximum.accumulate(logits - apart) + apart
        return replace(self, thresholds=tuple(spaced.tolist()))

    def _ends(self, dtype: Any) -> tuple[Array, Array]:
        """Thresholds below and above each class; those of the outer classes are infinite."""
        inner = np.asarray(self.thresholds, dtype=dtype)
        low, high = (np.asarray([x], dtype=dtype) for x in (-np.inf, np.inf))
        return np.concatenate([low, inner]), np.concatenate([inner, high])

    def _widths(self) -> Array:
        """1 - e^(lower - upper) of each class; in float32 thresholds close together cancel."""
        lower, upper = self._ends(np.float64)
        width: Array = -np.expm1(lower - upper)
        return width

    def _offsets(self, y: Array, f: Array) -> tuple[Array, Array]:
        """How far f lies above the label's upper threshold, and below its lower one."""
        lower, upper = self._ends(f.dtype)
        k = y.astype(np.intp)
        return f - upper[k], lower[k] - f

    def _value(self, y: Array, f: Array) -> Array:
        # naive -log of a difference of probabilities is infinite where both round to 1
        above, below = self._offsets(y, f)
        constant = -np.log(self._widths()).astype(f.dtype)
        value: Array = log1pexp(above) + log1pexp(below) + constant[y.astype(np.intp)]
        return value

    def _pulls(self, y: Array, f: Array) -> tuple[Array, Array]:
        """Pulls down and up."""
        above, below = self._offsets(y, f)
        return expit(above), expit(below)

    def _gradient(self, y: Array, f: Array) -> Array:
        down, up = self._pulls(y, f)
        return down - up

    def _hessian(self, y: Array, f: Array) -> Array:
        above, below = self._offsets(y, f)
        # naive p (1 - p) cancels to 0 where p rounds to 1
        h: Array = expit(above) * expit(-above) + expit(below) * expit(-below)
        return h

    def _safe(self, y: Array, f: Array) -> Array:
        down, up = self._pulls(y, f)
        return down + up

    def _auto(self, y: Array, f: Array) -> Array:
        return np.maximum(self._hessian(y, f), self._safe(y, f) / 2)

    rules = {
        "safe": Rule(lambda loss, y, f: loss._safe(y, f), "no_overshoot", "sum of the pulls"),
        "auto": Rule(lambda loss, y, f: loss._auto(y, f), "heuristic", "max(h, safe / 2)"),
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        loss = self._resolved_on(batch)
        return np.clip(solve_intercept(loss, batch), -LAST_SCORE, LAST_SCORE)
