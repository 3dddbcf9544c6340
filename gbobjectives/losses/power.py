"""Regression losses that are quadratic for small residuals and a power for large ones."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, log1p, root_one_plus_square
from gbobjectives.curvature import ABSOLUTE, EXACT, Rule, exact_kernel
from gbobjectives.links import Interval
from gbobjectives.losses._intercept import weighted_quantile, weights_of
from gbobjectives.losses.residual import AutoDelta, ResidualLoss

__all__ = ["LqLoss"]

# Powers this close to 0 are 0 in float32.
NO_POWER = 1e-30

# Powers beyond which ordinary residuals, of 2.4 widths, leave float32.
POWERS = Interval(1.0, 100.0)

# Head room below the largest number, as in exp_saturating: sums of what saturates stay finite.
HEAD_ROOM = 2.0**20


@dataclass(frozen=True)
class RootPower(ResidualLoss):
    r"""Kernels of :math:`\delta^2 c^2 ((1 + v^2)^{p/2} - 1) / p`, v = u / c, for two families.

    At p = 0 it is its limit, the logarithm of the root.
    """

    @property
    @abstractmethod
    def _power(self) -> float:
        """p, at most 2 for a bounded second derivative."""

    @property
    def _core(self) -> float:
        return 1.0

    def _log_root(self, u: Array) -> Array:
        """Logarithm of sqrt(1 + v^2)."""
        # naive log1p(v^2) / 2 overflows at 1e20 in float32
        a, c = np.abs(u), self._core
        large = np.maximum(a, c)
        ratio = np.minimum(a, c) / large
        return np.log(large / c) + log1p(ratio * ratio) / 2

    def _rho(self, u: Array) -> Array:
        p, grown = self._power, self._log_root(u)
        if abs(p) > NO_POWER:
            # naive power less 1 cancels at 0
            grown = np.expm1(p * grown) / p
        return grown * self._core * self._core

    def _psi(self, u: Array) -> Array:
        # naive u (1 + v^2)^(p/2 - 1) underflows in its power long before it does itself
        c = self._core
        return (
            c
            * ((u / c) / root_one_plus_square(u / c))
            * np.exp((self._power - 1) * self._log_root(u))
        )

    def _psi_derivative(self, u: Array) -> Array:
        p, c, root = self._power, self._core, self._core * root_one_plus_square(u / self._core)
        # weight (1 + (p-1) v^2) / (1 + v^2), whose squares overflow; of the two forms without
        # them the second cancels in the tails of p = 1, the first for p far below 0
        if p < 1:
            return self._weight(u) * (1 - (2 - p) * (u / root) ** 2)
        return self._weight(u) * ((p - 1) + (2 - p) * (c / root) ** 2)

    def _weight(self, u: Array) -> Array:
        weight: Array = np.exp((self._power - 2) * self._log_root(u))
        return weight


@dataclass(frozen=True)
class LqLoss(RootPower):
    r"""Power loss, :math:`|r|^q`, smoothed: :math:`\frac{\delta^2}{q} ((1 + u^2)^{q/2} - 1)`.

    Estimates the median (q = 1) to the mean (2), and towards the middle of the range (above).
    Domain: all reals. Link: identity. Convex. Units: value y squared, delta y. Gradient r
    (1+u^2)^(q/2-1), Hessian (1 + (q-1) u^2) (1+u^2)^(q/2-2). The metric is the exact abs(r)^q,
    whose Hessian is infinite at 0 for q < 2, and the intercept its minimum. Beyond the largest
    finite number of the dtype value, gradient and Hessian of q > 2 saturate.

    Parameters
    ----------
    q : float
        Power, from 1 to 100.
    delta : float or "auto"
        Width of the smoothing at 0; ``"auto"`` is the squared mean of sqrt(abs(r)) of each
        round, as for `AbsoluteErrorLoss`, which the loss is at q = 1.

    Raises
    ------
    ValueError
        If q is out of range, or delta is not positive.

    Notes
    -----
    For q <= 2 the safe curvature is psi(u)/u, (1 + u^2)^(q/2 - 1), a majorizer as it does not
    increase in abs(u). For q > 2 no quadratic lies above the loss, and ``safe`` and ``auto``
    are the exact Hessian, at least 1: heuristic. One far row among many that fit can make a
    step that raises the leaf, which no curvature of single rows can prevent; a smaller learning
    rate makes it rarer.

    References
    ----------
    .. [1] Barron, A general and adaptive robust loss function, Conference on Computer Vision
       and Pattern Recognition 2019, arXiv:1701.03077.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.LqLoss(q=1.5).metric_value([0.0, 0.0], [1.0, 4.0])
    4.5
    >>> gbo.LqLoss(q=1.5).guarantee("safe"), gbo.LqLoss(q=3.0).guarantee("safe")
    ('majorizer', 'heuristic')
    """

    q: float = 1.5

    estimates: ClassVar[str] = "Lq location"
    formula: ClassVar[str] = "delta^2 ((1 + u^2)^(q / 2) - 1) / q, u = r / delta"
    source: ClassVar[str] = "arXiv:1701.03077"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("root", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        q = check.real_parameter("LqLoss", "q", self.q, POWERS)
        object.__setattr__(self, "q", q)
        if q > 2:
            rule = Rule(exact_kernel, "heuristic", "h")
            own = {"exact": EXACT, "absolute": ABSOLUTE, "safe": rule, "auto": rule}
            object.__setattr__(self, "rules", own)

    @property
    def _power(self) -> float:
        return self.q

    def _gradient(self, y: Array, f: Array) -> Array:
        return self._held(super()._gradient(y, f))

    def _hessian(self, y: Array, f: Array) -> Array:
        return self._held(super()._hessian(y, f))

    def _held(self, derivative: Array) -> Array:
        """Within what the dtype holds; for q <= 2 the gradient is no larger than r."""
        if self.q <= 2:
            return derivative
        limit = np.finfo(derivative.dtype).max / HEAD_ROOM
        return np.clip(derivative, -limit, limit)

    def _score(self, y: Array, f: Array) -> Array:
        score: Array = np.abs(f - y) ** self.q
        return score

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        if self.q == 1:
            return weighted_quantile(batch, 0.5)
        w = weights_of(batch)
        x, w = (batch.y.astype(np.float64) - batch.f)[w > 0], w[w > 0]
        low, size = float(x.min()), float(np.ptp(x))
        if size == 0:
            return low
        # Over the range of the labels, so that no power overflows.
        places = (x - low) / size

        def pull(c: float) -> float:
            r = c - places
            return float((w * np.copysign(np.abs(r) ** (self.q - 1), r)).sum())

        return low + size * brentq(pull, 0.0, 1.0, xtol=1e-16, rtol=1e-14)
