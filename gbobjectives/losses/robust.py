"""Regression losses that are quadratic for small residuals and linear for large ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gbobjectives._numerics import (
    Array,
    at_least,
    at_most,
    log1p,
    log_cosh,
    root_one_plus_square,
    sech2,
)
from gbobjectives.losses.residual import AutoDelta, ResidualLoss

__all__ = ["FairLoss", "HuberLoss", "LogCoshLoss", "PseudoHuberLoss"]

# Below this abs(u) the series of Fair's loss is exact to the last digit in float64.
FAIR_SERIES = 0.1


@dataclass(frozen=True)
class HuberLoss(ResidualLoss):
    r"""Huber's loss: :math:`r^2/2` for :math:`|r| \le \delta`, else :math:`\delta|r| - \delta^2/2`.

    Estimates Huber's M-estimate of location, between mean and median. Domain: all reals. Link:
    identity. Convex. Units: value y squared, delta y. Gradient r, held within delta, Hessian 1 up
    to delta and 0 beyond; the safe curvature min(1, delta/abs(r)) is a majorizer.

    Parameters
    ----------
    delta : float or "auto"
        Where the loss turns linear; ``"auto"`` is 1.345 normal-consistent median absolute
        residuals of each round, which keeps 95 % efficiency under normal noise.

    Raises
    ------
    ValueError
        If delta is not positive.

    References
    ----------
    .. [1] Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics
       1964, doi:10.1214/aoms/1177703732.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.HuberLoss(delta=1.0)
    >>> loss.hessian([0.0, 0.0], [0.5, 4.0]), loss.curvature([0.0, 0.0], [0.5, 4.0])
    (array([1., 0.]), array([1.  , 0.25]))
    """

    aliases: ClassVar[tuple[str, ...]] = ("smooth_l1",)
    estimates: ClassVar[str] = "Huber location"
    formula: ClassVar[str] = "r^2 / 2 up to delta, then delta (|r| - delta / 2)"
    source: ClassVar[str] = "doi:10.1214/aoms/1177703732"

    def _rho(self, u: Array) -> Array:
        core = at_most(np.abs(u), 1)
        return core * (np.abs(u) - core / 2)

    def _psi(self, u: Array) -> Array:
        return np.clip(u, -1, 1)

    def _psi_derivative(self, u: Array) -> Array:
        return (np.abs(u) <= 1).astype(u.dtype)

    def _weight(self, u: Array) -> Array:
        return 1 / at_least(np.abs(u), 1)

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """Raw predictions at which the gradient is not differentiable."""
        return (y_true - self._width, y_true + self._width)


@dataclass(frozen=True)
class LogCosh(ResidualLoss):
    r"""Kernels of :math:`\delta^2 \log\cosh u`, which two losses share."""

    def _rho(self, u: Array) -> Array:
        return log_cosh(u)

    def _psi(self, u: Array) -> Array:
        return np.tanh(u)

    def _psi_derivative(self, u: Array) -> Array:
        return sech2(u)

    def _psi_weight(self, u: Array) -> tuple[Array, Array]:
        # one tanh for both; at u = 0 their limits, taken at the smallest normal number
        a = at_least(np.abs(u), float(np.finfo(u.dtype).tiny))
        psi = np.tanh(a)
        return np.copysign(psi, u), psi / a


@dataclass(frozen=True)
class LogCoshLoss(LogCosh):
    r"""Log-cosh, :math:`\delta^2 \log\cosh u`: squared error inside delta, absolute outside.

    Estimates a smooth M-estimate of location, between mean and median. Domain: all reals. Link:
    identity. Convex. Units: value y squared, delta y. Gradient delta tanh(u), Hessian 1/cosh(u)^2,
    which vanishes exponentially; the safe curvature tanh(u)/u is a majorizer.

    Parameters
    ----------
    delta : float or "auto"
        Width of the quadratic core; ``"auto"`` is 1.205 normal-consistent median absolute
        residuals of each round.

    Raises
    ------
    ValueError
        If delta is not positive.

    References
    ----------
    .. [1] Green, Bayesian reconstructions from emission tomography data, IEEE Transactions on
       Medical Imaging 1990, doi:10.1109/42.52985.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.LogCoshLoss(delta=1.0).value([0.0], [1e30])
    array([1.e+30])
    """

    aliases: ClassVar[tuple[str, ...]] = ("logcosh",)
    estimates: ClassVar[str] = "smoothed median"
    formula: ClassVar[str] = "delta^2 log cosh(r / delta)"
    source: ClassVar[str] = "doi:10.1109/42.52985"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 1.205)


@dataclass(frozen=True)
class SmoothAbsolute(ResidualLoss):
    r"""Kernels of :math:`\delta^2 (\sqrt{1 + u^2} - 1)`, which two losses share."""

    def _rho(self, u: Array) -> Array:
        # naive sqrt(1 + u^2) - 1 cancels at 0
        result: Array = u * (u / (1 + root_one_plus_square(u)))
        return result

    def _psi(self, u: Array) -> Array:
        return u / root_one_plus_square(u)

    def _psi_derivative(self, u: Array) -> Array:
        return self._weight(u) ** 3

    def _weight(self, u: Array) -> Array:
        return 1 / root_one_plus_square(u)

    def _psi_weight(self, u: Array) -> tuple[Array, Array]:
        root = root_one_plus_square(u)
        return u / root, 1 / root


@dataclass(frozen=True)
class PseudoHuberLoss(SmoothAbsolute):
    r"""Pseudo-Huber loss, :math:`\delta^2 (\sqrt{1 + u^2} - 1)`: a smooth Huber loss.

    Estimates a smooth M-estimate of location, between mean and median. Domain: all reals. Link:
    identity. Convex. Units: value y squared, delta y. Gradient r (1+u^2)^(-1/2), Hessian
    (1+u^2)^(-3/2), which vanishes in the tails; the safe curvature (1+u^2)^(-1/2) is a majorizer.
    ``curvature="exact"`` with ``scale=None`` is what ``reg:pseudohubererror`` does in XGBoost up
    to 3.4 (``huber_slope`` is delta).

    Parameters
    ----------
    delta : float or "auto"
        Width of the quadratic core; ``"auto"`` is 1.345 normal-consistent median absolute
        residuals of each round.

    Raises
    ------
    ValueError
        If delta is not positive.

    References
    ----------
    .. [1] Charbonnier et al., Deterministic edge-preserving regularization in computed imaging,
       IEEE Transactions on Image Processing 1997, doi:10.1109/83.551699.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.PseudoHuberLoss(delta=1.0).gradient([0.0], [0.75])
    array([0.6])
    """

    estimates: ClassVar[str] = "smoothed median"
    formula: ClassVar[str] = "delta^2 (sqrt(1 + r^2 / delta^2) - 1)"
    parity: ClassVar[str] = "reg:pseudohubererror (exact)"
    source: ClassVar[str] = "doi:10.1109/83.551699"


@dataclass(frozen=True)
class FairLoss(ResidualLoss):
    r"""Fair's loss, :math:`\delta^2 (|u| - \log(1 + |u|))`: between Huber's and the absolute error.

    Estimates a smooth M-estimate of location, between mean and median. Domain: all reals. Link:
    identity. Convex. Units: value y squared, delta y. Gradient r/(1+abs(u)), Hessian
    1/(1+abs(u))^2, which vanishes in the tails; the safe curvature 1/(1+abs(u)) is a majorizer.
    ``curvature="exact"`` with ``scale=None`` is what ``fair`` does in LightGBM (``fair_c`` is
    delta).

    Parameters
    ----------
    delta : float or "auto"
        Residual at which the gradient has reached half of its limit; ``"auto"`` is 1.40
        normal-consistent median absolute residuals of each round, which keeps 95 % efficiency
        under normal noise.

    Raises
    ------
    ValueError
        If delta is not positive.

    References
    ----------
    .. [1] Holland and Welsch, Robust regression using iteratively reweighted least-squares,
       Communications in Statistics, Theory and Methods 1977, doi:10.1080/03610927708827533.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.FairLoss(delta=2.0)
    >>> loss.gradient([0.0], [6.0]), loss.curvature([0.0], [6.0])
    (array([1.5]), array([0.25]))
    """

    estimates: ClassVar[str] = "smoothed median"
    formula: ClassVar[str] = "delta^2 (|u| - log(1 + |u|)), u = r / delta"
    parity: ClassVar[str] = "fair (exact)"
    source: ClassVar[str] = "doi:10.1080/03610927708827533"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 1.40)

    def _rho(self, u: Array) -> Array:
        a = np.abs(u)
        # naive |u| - log1p(|u|) cancels at 0; there log1p(a) = 2 artanh(t), t = a / (2 + a)
        near = np.minimum(a, FAIR_SERIES)
        t = near / (2 + near)
        s = t * t
        series = 2 * s * (1 / 3 + s * (1 / 5 + s * (1 / 7 + s * (1 / 9 + s / 11))))
        result: Array = np.where(a < FAIR_SERIES, t * (near - series), a - log1p(a))
        return result

    def _psi(self, u: Array) -> Array:
        psi: Array = u / (1 + np.abs(u))
        return psi

    def _psi_derivative(self, u: Array) -> Array:
        return 1 / (1 + np.abs(u)) ** 2

    def _weight(self, u: Array) -> Array:
        return 1 / (1 + np.abs(u))
