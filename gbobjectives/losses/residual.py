"""Regression losses of the residual r = f - y (identity link), and their automatic scale.

With ``u = r / delta`` a loss of this family is ``delta^2 rho(u)``: gradient ``delta psi(u)``,
Hessian ``psi'(u)``, and ``psi'(0) = 1``, so that the Hessian has no unit and is 1 for small
residuals, as for squared error.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch, Piece
from gbobjectives._numerics import (
    N_MAGNITUDE_BINS,
    Array,
    at_least,
    log_magnitude_bins,
    median_from_bins,
)
from gbobjectives.curvature import Rule
from gbobjectives.links import Interval
from gbobjectives.losses._intercept import (
    solve_intercept,
    weighted_mean,
    weighted_quantile,
    weighted_quantiles,
)
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.parallel import map_blocks, total

__all__ = ["ResidualLoss", "SquaredErrorLoss"]

# Standard deviation of a normal variable over its median and over its mean absolute value.
SIGMA_OVER_MEDIAN = 1.4826022185056018
SIGMA_OVER_MEAN = 1.2533141373155003

# delta never falls below this share of what the labels alone give, so that a model that fits
# most rows exactly does not end with a loss of no width.
DELTA_FLOOR = 0.25

# Around the median of a symmetric distribution the two sizes of `_of_sides` are one; the narrow
# side only counts where it is clearly the narrower.
SIDES = 2.0

# Widths of which r / delta and delta rho stay inside float32 for residuals of ordinary size.
WIDTHS = Interval(1e-30, 1e30)


@dataclass(frozen=True)
class AutoDelta:
    """How ``delta="auto"`` follows the residuals: a constant times a robust size of them.

    ``"mad"`` is the median absolute deviation, ``"root"`` the squared mean of sqrt(abs(r)),
    ``"sides"`` that or, if less, `SIDES` times the product of its means over r >= 0 and over r < 0.
    """

    size: Literal["mad", "root", "sides"]
    factor: float

    def of(self, batch: Batch, unit: float) -> float:
        """Delta for the residuals of the batch."""
        if self.size == "mad":
            return self.factor * _mad(batch, unit)
        if self.size == "sides":
            return self.factor * _of_sides(batch)
        return self.factor * _mean_of(np.sqrt, batch) ** 2


def _residuals(batch: Batch, piece: Piece) -> tuple[Array, Array | None]:
    """Residuals of a block, of all its outputs, and their weights, None where all are 1."""
    y, f = batch.rows(piece.rows)
    w = None if batch.w is None else batch.weights(piece.rows)
    if f.ndim == 1:
        return f - y, w
    return (f.T - y).ravel(), None if w is None else np.tile(w, f.shape[1])


def _mean_of(function: Callable[[Array], Array], batch: Batch) -> float:
    """Weighted mean of a function of abs(r)."""

    def block(piece: Piece) -> Array:
        r, w = _residuals(batch, piece)
        values = function(np.abs(r))
        if w is None:
            return np.array([values.sum(dtype=np.float64), len(r)])
        return np.array([(w * values).sum(dtype=np.float64), w.sum(dtype=np.float64)])

    weighted, weight = total(map_blocks(block, batch.row_pieces(), batch.n_rows))
    return float(weighted / weight)


def _of_sides(batch: Batch) -> float:
    """Squared mean of sqrt(abs(r)), held to what suits the side of the smaller residuals.

    Of amounts, labels below a low quantile are near to it and those above are far: a width of the
    size of them all would blur that quantile, which comes out too low. The product of the means of
    the two sides is the geometric mean of their sizes. By itself it would run away: where nearly
    all labels are on one side it grows, and so does what moves the quantile past the rest.
    """

    def block(piece: Piece) -> Array:
        r, w = _residuals(batch, piece)
        root = np.sqrt(np.abs(r))
        if w is None:
            weight, excess = len(r), len(r) - 2 * np.count_nonzero(r < 0)
        else:
            root *= w
            weight, excess = (x.sum(dtype=np.float64) for x in (w, np.where(r < 0, -w, w)))
        roots = (x.sum(dtype=np.float64) for x in (root, np.copysign(root, r)))
        return np.array([*roots, weight, excess])

    root, difference, weight, excess = total(map_blocks(block, batch.row_pieces(), batch.n_rows))
    size = float((root / weight) ** 2)
    if abs(excess) == weight:
        return size
    one, other = ((root + s * difference) / (weight + s * excess) for s in (1, -1))
    return min(size, SIDES * float(one * other))


def _mad(batch: Batch, unit: float) -> float:
    """Normal-consistent weighted median of abs(r), from an additive histogram of abs(r) / unit.

    The unit scales with the labels, so that the bins, 0.8 % wide, do so too. Where at least
    half of the residuals are 0 the mean takes over.
    """

    def block(piece: Piece) -> Array:
        r, w = _residuals(batch, piece)
        return np.bincount(
            log_magnitude_bins(np.abs(r) / unit), weights=w, minlength=N_MAGNITUDE_BINS
        )

    median = median_from_bins(total(map_blocks(block, batch.row_pieces(), batch.n_rows)))
    # A median this far below the unit lies in the bin of the zeros.
    if median > 1e-6:
        return SIGMA_OVER_MEDIAN * median * unit
    return SIGMA_OVER_MEAN * _mean_of(np.abs, batch)


def bounded_delta(delta: float, at_median: float) -> float:
    """Delta of the residuals, no smaller than its floor: a share of that at the labels' median."""
    delta = max(delta, DELTA_FLOOR * at_median)
    # Constant labels fitted exactly: any width will do.
    return min(delta, WIDTHS.high) if delta >= WIDTHS.low else 1.0


def safe_kernel(loss: "ResidualLoss", y: Array, f: Array) -> Array:
    return loss._weight(loss._u(y, f))


@dataclass(frozen=True)
class ResidualLoss(RowLoss):
    r"""Base of losses of one residual, :math:`\delta^2 \rho(u)` with :math:`u = (f - y)/\delta`.

    A subclass supplies ``_rho(u)``, ``_psi(u)`` (its derivative) and ``_psi_derivative(u)``.
    Without more, its safe curvature is psi(u)/u, a majorizer if rho is even and psi(u)/u does
    not increase for u > 0: the tangent of the concave rho(sqrt(s)) at s = u^2 lies above it.

    Parameters
    ----------
    delta : float or "auto"
        Residual, in units of y, at which the loss leaves its quadratic core. ``"auto"``
        follows the scale of the residuals.

    Examples
    --------
    One's own loss is three lines:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import gbobjectives as gbo
    >>> @dataclass(frozen=True)
    ... class MyFairLoss(gbo.ResidualLoss):
    ...     def _rho(self, u): return np.abs(u) - np.log1p(np.abs(u))
    ...     def _psi(self, u): return u / (1 + np.abs(u))
    ...     def _psi_derivative(self, u): return 1 / (1 + np.abs(u)) ** 2
    >>> MyFairLoss(delta=1.0).curvature([0.0], [3.0])
    array([0.25])
    """

    delta: float | Literal["auto"] = field(default="auto", kw_only=True)

    task: ClassVar[str] = "regression"
    normalised: ClassVar[bool] = True
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 1.345)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.delta, str):
            object.__setattr__(self, "delta", self._checked_delta(self.delta))
        elif self.delta != "auto":
            raise ValueError(
                f'{type(self).__name__}: delta must be "auto" or a positive number; '
                f"got {self.delta!r}"
            )

    def _checked_delta(self, delta: Any) -> Any:
        """A delta that is given, as a number; a loss of several outputs may take several."""
        return check.real_parameter(type(self).__name__, "delta", delta, WIDTHS)

    @abstractmethod
    def _rho(self, u: Array) -> Array: ...

    @abstractmethod
    def _psi(self, u: Array) -> Array: ...

    @abstractmethod
    def _psi_derivative(self, u: Array) -> Array: ...

    def _weight(self, u: Array) -> Array:
        """psi(u) / u; at u = 0 its limit, taken at the smallest normal number."""
        a = at_least(np.abs(u), float(np.finfo(u.dtype).tiny))
        weight: Array = self._psi(a) / a
        return weight

    @property
    def _width(self) -> float:
        """delta; a kernel is only ever called on a resolved loss."""
        return float(self.delta)

    def _u(self, y: Array, f: Array) -> Array:
        return (f - y) / self._width

    def _value(self, y: Array, f: Array) -> Array:
        # delta twice, not its square: the square of a small delta underflows
        value: Array = self._rho(self._u(y, f)) * self._width * self._width
        return value

    def _psi_weight(self, u: Array) -> tuple[Array, Array]:
        """Both at once; a subclass overrides it to share work between the two."""
        return self._psi(u), self._weight(u)

    def _pull(self, psi: Array, f: Array) -> Array:
        """Gradient, of psi."""
        return psi * self._width

    def _gradient(self, y: Array, f: Array) -> Array:
        return self._pull(self._psi(self._u(y, f)), f)

    def _gradient_curvature(self, rule: Rule, *arguments: Any) -> tuple[Array, Array]:
        if rule.kernel is not safe_kernel:
            return super()._gradient_curvature(rule, *arguments)
        psi, weight = self._psi_weight(self._u(*arguments))
        return self._pull(psi, arguments[1]), weight

    def _hessian(self, y: Array, f: Array) -> Array:
        return self._psi_derivative(self._u(y, f))

    def _unit(self, y: Array, f: Array) -> Array:
        return np.ones_like(f)

    rules = {
        "safe": Rule(safe_kernel, "majorizer", "psi(u) / u"),
        "auto": Rule(safe_kernel, "majorizer", "psi(u) / u", 0.05),
        # psi' never exceeds psi'(0) = 1 in this family.
        "unit": Rule(lambda loss, y, f: loss._unit(y, f), "majorizer", "1"),
    }

    @property
    def resolved(self) -> bool:
        """Whether delta is a number."""
        return self.delta != "auto"

    def _label_statistics(self, batch: Batch) -> tuple[float, float]:
        """Mean distance of the labels from their weighted median, and delta there."""
        if self.resolved:
            return 1.0, 0.0
        y = batch.y.astype(batch.f.dtype)
        median = weighted_quantile(Batch(y, np.zeros_like(batch.f), batch.w), 0.5)
        at_median = Batch(y, np.full_like(batch.f, median), batch.w)
        unit = _mean_of(np.abs, at_median)
        unit = unit if WIDTHS.includes(unit) else 1.0
        return unit, self.auto_delta.of(at_median, unit)

    def _resolve(self, batch: Batch, statistics: tuple[float, float]) -> Self:
        if self.resolved:
            return self
        unit, at_median = statistics
        return replace(self, delta=bounded_delta(self.auto_delta.of(batch, unit), at_median))

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        x = batch.y.astype(np.float64) - batch.f
        left, median, right = weighted_quantiles(batch, np.array([0.25, 0.5, 0.75])).tolist()
        centred = Batch(x, np.full_like(x, median), batch.w)
        loss = self._resolved_on(centred)
        if loss.convex and loss.n_outputs == 1:
            # Around the median: from the range of the labels, some far, it takes twice as long.
            low, high = min(left - median, -loss._width), max(right - median, loss._width)
            return median + solve_intercept(loss, centred, low, high)
        # Far labels stretch the range; the valleys of a loss that forgets them lie where most are.
        places = () if loss.convex else weighted_quantiles(batch, np.linspace(0, 1, 65))
        return solve_intercept(loss, batch, float(x.min()), float(x.max()), places)


@dataclass(frozen=True)
class SquaredErrorLoss(RowLoss):
    r"""Squared error, :math:`r^2 / 2`: least squares.

    Estimates the mean. Domain: all reals. Link: identity. Convex. Units: y squared.
    Gradient r, Hessian 1, which is its own majorizer.

    Raises
    ------
    ValueError
        If a label is not finite.

    Notes
    -----
    The metric is ``mse``, the mean of r squared without the half. Closed-form intercept: the
    weighted mean.

    References
    ----------
    .. [1] Friedman, Greedy function approximation, Annals of Statistics 2001,
       doi:10.1214/aos/1013203451.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.SquaredErrorLoss().gradient([1.0, 2.0], [1.5, 1.0])
    array([ 0.5, -1. ])
    """

    aliases: ClassVar[tuple[str, ...]] = ("mse", "l2")
    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "mean"
    formula: ClassVar[str] = "r^2 / 2"
    parity: ClassVar[str] = "reg:squarederror, regression"
    source: ClassVar[str] = "doi:10.1214/aos/1013203451"
    metric_name: ClassVar[str] = "mse"

    def _value(self, y: Array, f: Array) -> Array:
        return (f - y) ** 2 / 2

    def _gradient(self, y: Array, f: Array) -> Array:
        return f - y

    def _hessian(self, y: Array, f: Array) -> Array:
        return np.ones_like(f)

    def _score(self, y: Array, f: Array) -> Array:
        return (f - y) ** 2

    rules = {
        name: Rule(lambda loss, y, f: loss._hessian(y, f), "majorizer", "1")
        for name in ("safe", "auto", "unit", "fisher", "exact")
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return weighted_mean(batch, batch.y.astype(np.float64) - batch.f)
