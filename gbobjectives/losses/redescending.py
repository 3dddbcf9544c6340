"""Redescending losses: badly wrong rows lose their gradient (identity link).

All are majorized by psi(u)/u, which does not increase in abs(u); their exact Hessians are negative
in the tails. Side valleys make a fitting delta and a start from the intercept matter.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._numerics import Array, at_least, at_most, log1p, root_one_plus_square
from gbobjectives.links import Interval
from gbobjectives.losses.power import RootPower
from gbobjectives.losses.residual import AutoDelta, ResidualLoss

__all__ = [
    "BarronLoss",
    "CauchyLoss",
    "GemanMcClureLoss",
    "StudentTLoss",
    "TukeyLoss",
    "WelschLoss",
]

# exp(-FAR) is 0 in both dtypes, and FAR times 0 is no NaN.
FAR = 1000.0

# Degrees of freedom that leave sqrt(df) and u / sqrt(df) inside float32; above, t is normal.
DEGREES = Interval(0.01, 1e9)

# The shape of `BarronLoss` that stands for -inf: the exponents of the weights differ by
# u^4 / 4e20, which is less than their rounding.
WELSCH_SHAPE = -1e20


@dataclass(frozen=True)
class Redescending(ResidualLoss):
    """The facts that redescending losses share."""

    convex: ClassVar[bool] = False
    redescending: ClassVar[bool] = True


@dataclass(frozen=True)
class LogOfSquare(Redescending):
    r"""Kernels of :math:`\delta^2 c^2 \log(1 + v^2) / 2`, v = u / c, which two losses share."""

    @property
    def _core(self) -> float:
        return 1.0

    def _rho(self, u: Array) -> Array:
        # naive log1p(v^2) overflows at 1e20 in float32
        a, c = np.abs(u) / self._core, self._core
        large = at_least(a, 1)
        ratio = at_most(a, 1) / large
        return (np.log(large) + log1p(ratio * ratio) / 2) * c * c

    def _psi(self, u: Array) -> Array:
        # v / (1 + v^2) is the same for 1 / v, whose square cannot overflow
        a, c = np.abs(u) / self._core, self._core
        ratio = at_most(a, 1) / at_least(a, 1)
        return np.copysign(c * ratio / (1 + ratio * ratio), u)

    def _psi_derivative(self, u: Array) -> Array:
        # naive (1 - v^2) / (1 + v^2)^2 is inf / inf far off
        weight = self._weight(u)
        slope: Array = weight * (2 * weight - 1)
        return slope

    def _weight(self, u: Array) -> Array:
        v = u / self._core
        return 1 / (1 + v * v)


@dataclass(frozen=True)
class CauchyLoss(LogOfSquare):
    r"""Cauchy (Lorentzian) loss, :math:`\frac{\delta^2}{2} \log(1 + u^2)`: very robust.

    Estimates the location of a Cauchy distribution. Domain: all reals. Link: identity. Not convex:
    badly wrong rows lose their gradient. Units: value y squared, delta y. Gradient r/(1+u^2),
    Hessian (1-u^2)/(1+u^2)^2, negative beyond delta. The safe curvature 1/(1+u^2) is a majorizer.

    Parameters
    ----------
    delta : float or "auto"
        Residual of the largest gradient; ``"auto"`` is 2.385 normal-consistent median absolute
        residuals of each round, which keeps 95 % efficiency under normal noise.

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
    >>> loss = gbo.CauchyLoss(delta=1.0)
    >>> loss.gradient([0.0, 0.0], [1.0, 1e10]), loss.hessian([0.0], [2.0])
    (array([5.e-01, 1.e-10]), array([-0.12]))
    """

    estimates: ClassVar[str] = "Cauchy location"
    formula: ClassVar[str] = "delta^2 log(1 + u^2) / 2, u = r / delta"
    source: ClassVar[str] = "doi:10.1080/03610927708827533"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 2.385)


@dataclass(frozen=True)
class StudentTLoss(LogOfSquare):
    r"""Student's t, :math:`\delta^2 \frac{\nu}{2} \log(1 + u^2 / \nu)`: a tail of chosen weight.

    Estimates the location of a t distribution with df degrees of freedom and scale delta sqrt(df /
    (df + 1)). Domain: all reals. Link: identity. Not convex. Units: value y squared, delta y. With
    v = u/sqrt(df), gradient r/(1+v^2), Hessian (1-v^2)/(1+v^2)^2, negative beyond delta sqrt(df).
    The safe curvature 1/(1+v^2) is a majorizer. It is Cauchy's loss of width delta sqrt(df), and
    squared error for many degrees of freedom.

    Parameters
    ----------
    df : float
        Degrees of freedom, from 0.01 to 1e9: the fewer, the more robust.
    delta : float or "auto"
        Scale; ``"auto"`` is the normal-consistent median absolute residual of each round.

    Raises
    ------
    ValueError
        If df is out of range, or delta is not positive.

    References
    ----------
    .. [1] Lange, Little and Taylor, Robust statistical modeling using the t distribution,
       Journal of the American Statistical Association 1989,
       doi:10.1080/01621459.1989.10478852.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.StudentTLoss(df=4.0, delta=1.0).curvature([0.0, 0.0], [0.0, 2.0])
    array([1. , 0.5])
    """

    df: float = 4.0

    estimates: ClassVar[str] = "location of a t distribution"
    formula: ClassVar[str] = "delta^2 df log(1 + u^2 / df) / 2, u = r / delta"
    source: ClassVar[str] = "doi:10.1080/01621459.1989.10478852"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        df = check.real_parameter("StudentTLoss", "df", self.df, DEGREES)
        object.__setattr__(self, "df", df)

    @property
    def _core(self) -> float:
        return float(np.sqrt(self.df))


@dataclass(frozen=True)
class WelschLoss(Redescending):
    r"""Welsch (Leclerc) loss, :math:`\frac{\delta^2}{2} (1 - e^{-u^2})`: outliers count nothing.

    Estimates the mode of the labels smoothed by a Gaussian. Domain: all reals. Link: identity. Not
    convex. Units: value y squared, delta y. Gradient r e^(-u^2), Hessian (1 - 2u^2) e^(-u^2),
    negative beyond delta / sqrt(2). The safe curvature e^(-u^2) is a majorizer.

    Parameters
    ----------
    delta : float or "auto"
        Width; ``"auto"`` is 2.985 normal-consistent median absolute residuals of each round,
        which keeps 95 % efficiency under normal noise.

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
    >>> gbo.WelschLoss(delta=2.0).value([0.0, 0.0], [0.0, 1e30])
    array([0., 2.])
    """

    estimates: ClassVar[str] = "smoothed mode"
    formula: ClassVar[str] = "delta^2 (1 - exp(-u^2)) / 2, u = r / delta"
    source: ClassVar[str] = "doi:10.1080/03610927708827533"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 2.985)

    def _rho(self, u: Array) -> Array:
        rho: Array = -np.expm1(-u * u) / 2
        return rho

    def _psi(self, u: Array) -> Array:
        psi: Array = u * np.exp(-u * u)
        return psi

    def _psi_derivative(self, u: Array) -> Array:
        # naive (1 - 2 u^2) exp(-u^2) is -inf times 0 where the square overflows
        square = np.minimum(u * u, FAR)
        slope: Array = (1 - 2 * square) * np.exp(-square)
        return slope

    def _weight(self, u: Array) -> Array:
        weight: Array = np.exp(-u * u)
        return weight


@dataclass(frozen=True)
class GemanMcClureLoss(Redescending):
    r"""Geman-McClure loss, :math:`\frac{\delta^2}{2} u^2 / (1 + u^2)`: bounded, with long tails.

    Estimates a smoothed mode. Domain: all reals. Link: identity. Not convex. Units: value y
    squared, delta y. Gradient r/(1+u^2)^2, Hessian (1 - 3u^2)/(1+u^2)^3, negative beyond delta /
    sqrt(3). The safe curvature 1/(1+u^2)^2 is a majorizer.

    Parameters
    ----------
    delta : float or "auto"
        Residual of half the largest loss; ``"auto"`` is 3 normal-consistent median absolute
        residuals of each round.

    Raises
    ------
    ValueError
        If delta is not positive.

    References
    ----------
    .. [1] Black and Rangarajan, On the unification of line processes, outlier rejection, and
       robust statistics with applications in early vision, International Journal of Computer
       Vision 1996, doi:10.1007/BF00131148.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.GemanMcClureLoss(delta=1.0).value([0.0, 0.0], [1.0, 1e30])
    array([0.25, 0.5 ])
    """

    name: ClassVar[str] = "geman_mcclure"
    estimates: ClassVar[str] = "smoothed mode"
    formula: ClassVar[str] = "delta^2 u^2 / (1 + u^2) / 2, u = r / delta"
    source: ClassVar[str] = "doi:10.1007/BF00131148"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 3.0)

    def _rho(self, u: Array) -> Array:
        # naive u^2 / (1 + u^2) is inf / inf far off
        root = u / root_one_plus_square(u)
        return root * root / 2

    def _psi(self, u: Array) -> Array:
        # in this order no factor underflows before the product does
        shrunk = 1 / (1 + u * u)
        return u * shrunk * shrunk

    def _psi_derivative(self, u: Array) -> Array:
        # naive (1 - 3 u^2) / (1 + u^2)^3 is inf / inf far off
        shrunk = 1 / (1 + u * u)
        return shrunk * shrunk * (4 * shrunk - 3)

    def _weight(self, u: Array) -> Array:
        shrunk = 1 / (1 + u * u)
        return shrunk * shrunk


@dataclass(frozen=True)
class TukeyLoss(Redescending):
    r"""Tukey's biweight, :math:`\frac{\delta^2}{6} (1 - (1 - u^2)_+^3)`: outliers count nothing.

    Estimates Tukey's M-estimate of location. Domain: all reals. Link: identity. Not convex. Units:
    value y squared, delta y. Gradient r (1-u^2)^2, Hessian (1-u^2)(1 - 5u^2), negative from delta
    / sqrt(5); both are 0 beyond delta. The safe curvature (1-u^2)^2, 0 there too, is a majorizer.
    A leaf of outliers alone stays where it is.

    Parameters
    ----------
    delta : float or "auto"
        Residual beyond which a row counts nothing; ``"auto"`` is 4.685 normal-consistent median
        absolute residuals of each round, which keeps 95 % efficiency under normal noise.

    Raises
    ------
    ValueError
        If delta is not positive.

    References
    ----------
    .. [1] Beaton and Tukey, The fitting of power series, meaning polynomials, illustrated on
       band-spectroscopic data, Technometrics 1974, doi:10.1080/00401706.1974.10489171.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.TukeyLoss(delta=2.0).gradient([0.0, 0.0], [1.0, 2.5])
    array([0.5625, 0.    ])
    """

    estimates: ClassVar[str] = "Tukey location"
    formula: ClassVar[str] = "delta^2 (1 - max(0, 1 - u^2)^3) / 6, u = r / delta"
    source: ClassVar[str] = "doi:10.1080/00401706.1974.10489171"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 4.685)

    def _rho(self, u: Array) -> Array:
        # naive 1 - (1 - u^2)^3 cancels at 0
        square = at_most(np.abs(u), 1) ** 2
        rho: Array = square * (3 - 3 * square + square * square) / 6
        return rho

    def _psi(self, u: Array) -> Array:
        return np.clip(u, -1, 1) * self._weight(u)

    def _psi_derivative(self, u: Array) -> Array:
        a = at_most(np.abs(u), 1)
        slope: Array = (1 - a) * (1 + a) * (1 - 5 * a * a)
        return slope

    def _weight(self, u: Array) -> Array:
        a = at_most(np.abs(u), 1)
        weight: Array = ((1 - a) * (1 + a)) ** 2
        return weight


@dataclass(frozen=True)
class BarronLoss(RootPower):
    r"""Barron's general loss, :math:`\delta^2 \frac{b}{\alpha}((u^2/b + 1)^{\alpha/2} - 1)`.

    One family from squared error to Welsch, with :math:`b = |\alpha - 2|`. Estimates the mean
    (alpha 2), smoothed median (1) or smoothed mode (below), by its shape. Domain: all reals. Link:
    identity. Convex for alpha >= 1; for alpha < 1 badly wrong rows lose their gradient. Units:
    value y squared, delta y. With v = u^2/b, gradient r (1+v)^(alpha/2-1), Hessian (1 + (alpha-1)
    v) (1+v)^(alpha/2-2). The safe curvature (1+v)^(alpha/2-1) is a majorizer.

    Parameters
    ----------
    alpha : float
        Shape, at most 2; -inf is possible. 2 is squared error; 1 pseudo-Huber of the same
        delta; 0, -2 and -inf are the losses of Cauchy, Geman and McClure, and Welsch, whose own
        delta is sqrt(2), 2 and sqrt(2) times this one.
    delta : float or "auto"
        Width of the quadratic core; ``"auto"`` is 1.686 normal-consistent median absolute
        residuals of each round.

    Raises
    ------
    ValueError
        If alpha is above 2, or delta is not positive.

    References
    ----------
    .. [1] Barron, A general and adaptive robust loss function, Conference on Computer Vision
       and Pattern Recognition 2019, arXiv:1701.03077.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.BarronLoss(alpha=float("-inf"), delta=1.0)
    >>> loss.convex, loss.value([0.0], [1e30])
    (False, array([1.]))
    """

    alpha: float = 1.0

    estimates: ClassVar[str] = "mean to mode, by alpha"
    formula: ClassVar[str] = "delta^2 (b / alpha) ((u^2 / b + 1)^(alpha / 2) - 1), b = |alpha - 2|"
    source: ClassVar[str] = "arXiv:1701.03077"
    # 2.385 / sqrt(2), Cauchy's constant in this parametrisation: 95 % efficiency under normal
    # noise at alpha = 0, 97 % at 1, 100 % at 2, 93 % at -2, and 90 % at -inf.
    auto_delta: ClassVar[AutoDelta] = AutoDelta("mad", 1.686)

    def __post_init__(self) -> None:
        super().__post_init__()
        alpha = check.real_parameter("BarronLoss", "alpha", self.alpha, Interval(-np.inf, 2.0))
        object.__setattr__(self, "alpha", alpha)
        # Facts of the instance: they stand in front of those of the class.
        object.__setattr__(self, "convex", alpha >= 1)
        object.__setattr__(self, "redescending", alpha < 1)

    @property
    def _power(self) -> float:
        return max(self.alpha, WELSCH_SHAPE)

    @property
    def _core(self) -> float:
        # At alpha = 2 the kernels are u^2 / 2 whatever their core.
        return float(np.sqrt(2 - self._power)) or 1.0
