"""Losses of an order statistic: the median and other quantiles, smoothed."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array
from gbobjectives.links import SORTED
from gbobjectives.losses._intercept import weighted_quantile, weights_of
from gbobjectives.losses.residual import WIDTHS, AutoDelta, bounded_delta
from gbobjectives.losses.robust import LogCosh, SmoothAbsolute

__all__ = ["AbsoluteErrorLoss", "QuantileLoss"]

# Passes over ordered outputs with an offset; a handful settle them.
MAX_PASSES = 100


@dataclass(frozen=True)
class AbsoluteErrorLoss(SmoothAbsolute):
    r"""Absolute error, smoothed: :math:`\delta(\sqrt{r^2 + \delta^2} - \delta)`.

    Estimates the median. Domain: all reals. Link: identity. Convex. Units: value y squared, delta
    y. Gradient r (1+u^2)^(-1/2), Hessian (1+u^2)^(-3/2); the safe curvature (1+u^2)^(-1/2) is a
    majorizer. The metric is the exact ``mae``, and the intercept the exact weighted median.

    Parameters
    ----------
    delta : float or "auto"
        Width of the smoothing; ``"auto"`` is the squared mean of sqrt(abs(r)) of each round,
        which shrinks as the fit improves.

    Raises
    ------
    ValueError
        If delta is not positive.

    Notes
    -----
    The built-in objectives that renew their leaves to the exact median are ahead in the first
    rounds, by 1 to 3 %; they cannot keep monotone constraints while doing so.

    References
    ----------
    .. [1] Hunter and Lange, Quantile regression via an MM algorithm, Journal of Computational
       and Graphical Statistics 2000, doi:10.1080/10618600.2000.10474866.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.AbsoluteErrorLoss().intercept([1.0, 2.0, 60.0])
    array([2.])
    """

    aliases: ClassVar[tuple[str, ...]] = ("mae", "l1")
    estimates: ClassVar[str] = "median"
    formula: ClassVar[str] = "delta (sqrt(r^2 + delta^2) - delta)"
    source: ClassVar[str] = "doi:10.1080/10618600.2000.10474866"
    metric_name: ClassVar[str] = "mae"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("root", 1.0)

    def _score(self, y: Array, f: Array) -> Array:
        score: Array = np.abs(f - y)
        return score

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return weighted_quantile(batch, 0.5)


@dataclass(frozen=True)
class QuantileLoss(LogCosh):
    r"""Pinball loss for quantiles, smoothed: :math:`\delta^2 (\log\cosh u + (1 - 2q) u)`.

    Estimates the quantile q, or several at once: K levels are one model of K outputs, whose value
    is the sum over the levels. Domain: all reals. Link: identity; where outputs are ordered, the
    row sorted. Convex, but for ordered outputs. Units: value y squared, delta y; divided by 2
    delta it tends to the pinball loss max(q (y-f), (q-1)(y-f)) as delta tends to 0. Gradient delta
    (tanh(u) + 1 - 2q), Hessian 1/cosh(u)^2. The linear term has no curvature, so that tanh(u)/u,
    the majorizer of log-cosh, is one here too. The metric is the exact pinball loss, of several
    levels its mean, and the intercept the exact weighted quantiles.

    Parameters
    ----------
    quantile : float or sequence of float
        In (0, 1): the share of labels that should lie below the prediction. A strictly
        increasing sequence of K levels gives raw predictions the shape (n, K), labels staying
        (n,); a sequence of one level is that level, and the shape stays (n,).
    delta : float, sequence of K floats, or "auto"
        Width of the smoothing; ``"auto"`` is a fifth of the squared mean of sqrt(abs(r)) of
        each round, which shrinks as the fit improves, or of twice the product of that mean over
        the labels above and over those below, if less. Every output has its own, that of the
        loss of its level alone, unless they are ordered.
    ordered : bool
        Whether quantiles must not cross: `predict` sorts each row, and the smallest raw
        prediction of a row is held to the lowest level, whichever output it comes from. All
        outputs then have one delta, ``"auto"`` being that of all their residuals together.

    Raises
    ------
    ValueError
        If a quantile is not inside (0, 1) or the sequence does not increase, or if delta is not
        positive, or not a single number where outputs are ordered.

    Notes
    -----
    Sorting never raises the pinball loss. It gives :math:`\min_\pi \sum_k L_k(f_{\pi(k)})`
    over all orders :math:`\pi`: with one delta the log-cosh terms do not depend on the order,
    and :math:`\sum_k (1 - 2 q_k) f_{\pi(k)}` is smallest where the largest f meets the
    smallest factor. A bound on the loss in the present order is a bound on the minimum, so that
    tanh(u)/u stays a majorizer, for all outputs at once. Where two outputs meet there is a
    kink, and it is concave. With an offset that crosses, the intercept is a set of constants
    of which no single one can be improved.

    References
    ----------
    .. [1] Koenker and Bassett, Regression quantiles, Econometrica 1978, doi:10.2307/1913643.
    .. [2] Hunter and Lange, Quantile regression via an MM algorithm, Journal of Computational
       and Graphical Statistics 2000, doi:10.1080/10618600.2000.10474866.
    .. [3] Chernozhukov, Fernandez-Val and Galichon, Quantile and probability curves without
       crossing, Econometrica 2010, doi:10.3982/ECTA7880.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.QuantileLoss(0.9).intercept(range(101))
    array([90.])
    >>> loss = gbo.QuantileLoss([0.1, 0.5, 0.9], ordered=True)
    >>> loss.intercept(range(101))
    array([10., 50., 90.])
    >>> loss.predict([[30.0, 20.0, 70.0]])
    array([[20., 30., 70.]])
    """

    quantile: float | tuple[float, ...] = 0.5
    delta: float | tuple[float, ...] | Literal["auto"] = field(  # type: ignore[assignment]
        default="auto", kw_only=True
    )
    ordered: bool = field(default=False, kw_only=True)

    aliases: ClassVar[tuple[str, ...]] = ("pinball",)
    estimates: ClassVar[str] = "quantile"
    formula: ClassVar[str] = "delta^2 (log cosh u + (1 - 2 q) u), u = r / delta"
    source: ClassVar[str] = "doi:10.2307/1913643"
    metric_name: ClassVar[str] = "pinball"
    # Twice as wide few rows fit better and sooner (benchmarks/defaults.py), but of many too few lie
    # below a low quantile (tried in examples/prediction_intervals.py).
    auto_delta: ClassVar[AutoDelta] = AutoDelta("sides", 0.2)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quantile", _levels(self.quantile))
        if not isinstance(self.ordered, bool):
            raise ValueError(f"QuantileLoss: ordered must be True or False; got {self.ordered!r}")
        super().__post_init__()
        if self._sorts:
            object.__setattr__(self, "link", SORTED)
            object.__setattr__(self, "convex", False)

    def _checked_delta(self, delta: Any) -> Any:
        if self.n_outputs == 1 or np.ndim(delta) == 0:
            return super()._checked_delta(delta)
        if self.ordered:
            raise ValueError(
                f"QuantileLoss: delta must be one number where outputs are ordered; got {delta!r}"
            )
        return check.real_parameters("QuantileLoss", "delta", delta, self.n_outputs, WIDTHS)

    @property
    def n_outputs(self) -> int:
        """Number of quantiles."""
        return np.size(self.quantile)

    @property
    def _sorts(self) -> bool:
        """Whether there is anything to order."""
        return self.ordered and self.n_outputs > 1

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Raw predictions at which an ordered output meets another."""
        others = range(1, self.n_outputs) if self.ordered else ()
        return tuple(np.roll(raw_prediction, i, axis=1) for i in others)

    # ---- kernels -----------------------------------------------------------------------

    def _widths(self, f: Array) -> Array:
        """delta, or that of each output."""
        return np.asarray(self.delta, dtype=f.dtype)

    def _residuals(self, y: Array, f: Array) -> Array:
        # Column by column: NumPy's loop along a row of K would be three times slower.
        return f - y if f.ndim == 1 else np.asfortranarray(f) - y[:, None]

    def _u(self, y: Array, f: Array) -> Array:
        return self._residuals(y, f) / self._widths(f)

    def _tilt(self, f: Array) -> Array:
        """1 - 2 q: the slope of the linear term."""
        return self._by_rank(np.asarray(1 - 2 * np.asarray(self.quantile), dtype=f.dtype), f)

    def _by_rank(self, numbers: Array, f: Array) -> Array:
        """The number of each output; of ordered ones, that which goes with its rank in the row."""
        if not self._sorts:
            return numbers
        f = np.asfortranarray(f)
        crossing = (f[:, 1:] < f[:, :-1]).any(axis=1)
        if not crossing.any():
            return numbers
        each = np.empty_like(f)
        each[:] = numbers
        order = f[crossing].argsort(axis=1, kind="stable")
        each[crossing] = numbers[order.argsort(axis=1)]
        return each

    def _value(self, y: Array, f: Array) -> Array:
        u, delta = self._u(y, f), self._widths(f)
        each: Array = (self._rho(u) + self._tilt(f) * u) * delta * delta
        return each if f.ndim == 1 else each.sum(axis=1)

    def _pull(self, psi: Array, f: Array) -> Array:
        pull: Array = (psi + self._tilt(f)) * self._widths(f)
        return pull

    def _score(self, y: Array, f: Array) -> Array:
        q = np.asarray(self.quantile)
        r = self._residuals(y, self.link.inverse(f))
        each: Array = np.maximum((-q).astype(f.dtype) * r, (1 - q).astype(f.dtype) * r)
        return each if f.ndim == 1 else each.mean(axis=1)

    # ---- of the batch ------------------------------------------------------------------

    def _outputs(self, batch: Batch) -> list[Batch]:
        """The batch as each output sees it."""
        return [Batch(batch.y, f, batch.w) for f in batch.f.reshape(batch.n_rows, -1).T]

    def _label_statistics(self, batch: Batch) -> tuple[float, float]:
        # of the labels alone: the same for every output
        return super()._label_statistics(self._outputs(batch)[0])

    def _resolve(self, batch: Batch, statistics: tuple[float, float]) -> Self:
        if self.n_outputs == 1 or self.ordered or self.resolved:
            return super()._resolve(batch, statistics)
        unit, at_median = statistics
        widths = [self.auto_delta.of(output, unit) for output in self._outputs(batch)]
        return replace(self, delta=tuple(bounded_delta(x, at_median) for x in widths))

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        pairs = zip(self._outputs(batch), np.atleast_1d(self.quantile), strict=True)
        best = np.array([weighted_quantile(output, float(q)) for output, q in pairs])
        if not (self._sorts and has_offset):
            return best
        for _ in range(MAX_PASSES):
            before = best.copy()
            for output in range(self.n_outputs):
                best[output] = _best_shift(batch, np.asarray(self.quantile), best, output)
            if np.array_equal(before, best):
                break
        return best


def _best_shift(batch: Batch, levels: Array, shifts: Array, output: int) -> float:
    """The best constant for one ordered output, with those of the others as they are.

    Along it the pinball loss of a row is piecewise linear. Its slope rises by 1 at the label,
    and falls where another output is passed, from which on a higher level counts.
    """
    w, own = weights_of(batch), batch.f[:, output]
    others = np.sort(np.delete(batch.f + shifts, output, axis=1), axis=1)
    ends = (np.column_stack([batch.y, others]) - own[:, None]).ravel()
    rises = np.outer(w, np.concatenate([[1.0], -np.diff(levels)])).ravel()
    order = ends.argsort()
    ends = ends[order]
    slopes = rises[order].cumsum() - levels[0] * w.sum()
    values = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(ends))])
    return float(ends[values.argmin()])


def _levels(quantile: Any) -> float | tuple[float, ...]:
    """One level as a number, several as a tuple; checked."""
    owner, allowed = "QuantileLoss", check.OPEN_UNIT_INTERVAL
    if np.ndim(quantile) == 0:
        return check.real_parameter(owner, "quantile", quantile, allowed)
    levels = check.real_parameters(owner, "quantile", quantile, None, allowed)
    if any(b <= a for a, b in pairwise(levels)):
        raise ValueError(f"{owner}: quantile must be strictly increasing; got {levels!r}")
    return levels if len(levels) > 1 else levels[0]
