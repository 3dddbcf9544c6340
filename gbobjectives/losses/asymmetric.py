"""Other losses of the residual r = f - y: asymmetric, with a dead zone (identity link)."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, at_least, at_most, log1pexp, logsumexp, sech2
from gbobjectives.curvature import Rule, exact_kernel
from gbobjectives.losses._intercept import solve_intercept, weighted_quantile, weights_of
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.losses.power import HEAD_ROOM
from gbobjectives.losses.residual import AutoDelta, ResidualLoss, safe_kernel

__all__ = [
    "EpsilonInsensitiveLoss",
    "ExpectileLoss",
    "LinexLoss",
    "SquaredEpsilonInsensitiveLoss",
]

# Rates of Linex whose squares, the curvature at 0, fit float32.
MIN_RATE, MAX_RATE = 1e-15, 1e15


def _between_labels(loss: RowLoss, batch: Batch) -> Any:
    x = batch.y.astype(np.float64) - batch.f
    return solve_intercept(loss, batch, low=float(x.min()), high=float(x.max()))


@dataclass(frozen=True)
class ExpectileLoss(RowLoss):
    r"""Expectile loss, :math:`|q - 1[r > 0]| \, r^2`: asymmetric least squares.

    Estimates the q-expectile: labels above it are worth q, labels below 1 - q. Domain: all reals.
    Link: identity. Convex. Units: value y squared. Gradient 2 abs(q - 1[r>0]) r, Hessian 2 abs(q -
    1[r>0]), which jumps at r = 0. ``curvature="exact"`` with ``scale=None`` is what
    ``reg:expectileerror`` does in XGBoost from 3.4.

    Parameters
    ----------
    quantile : float
        In (0, 1): the weight of rows predicted too low. 1/2 is squared error.

    Raises
    ------
    ValueError
        If the quantile is not inside (0, 1).

    Notes
    -----
    ``safe`` is the larger of the two Hessians everywhere, 2 max(q, 1 - q): a majorizer, as the
    slope of the gradient is nowhere larger. ``auto`` is the exact Hessian: heuristic, as rows
    that change sides meet more curvature than was counted. It is at most
    max(q, 1-q) / min(q, 1-q) times too small, so that no leaf rises for a learning rate up to
    2 min(q, 1-q) / max(q, 1-q); beyond, few do.

    References
    ----------
    .. [1] Newey and Powell, Asymmetric least squares estimation and testing, Econometrica 1987,
       doi:10.2307/1911031.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.ExpectileLoss(0.9).gradient([0.0, 0.0], [-1.0, 1.0]).round(3)
    array([-1.8,  0.2])
    """

    quantile: float = 0.5

    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "expectile"
    formula: ClassVar[str] = "|q - 1[r > 0]| r^2"
    parity: ClassVar[str] = "reg:expectileerror (exact)"
    source: ClassVar[str] = "doi:10.2307/1911031"
    normalised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        q = check.real_parameter(
            "ExpectileLoss", "quantile", self.quantile, check.OPEN_UNIT_INTERVAL
        )
        object.__setattr__(self, "quantile", q)

    def _value(self, y: Array, f: Array) -> Array:
        r = f - y
        return r * self._gradient(y, f) / 2

    def _gradient(self, y: Array, f: Array) -> Array:
        r, q = f - y, self.quantile
        pull: Array = 2 * (1 - q) * at_least(r, 0) + 2 * q * at_most(r, 0)
        return pull

    def _hessian(self, y: Array, f: Array) -> Array:
        q = self.quantile
        above = (f > y).astype(f.dtype)
        return 2 * q + (2 - 4 * q) * above

    def _largest(self, y: Array, f: Array) -> Array:
        return np.full_like(f, 2 * max(self.quantile, 1 - self.quantile))

    rules = {
        "safe": Rule(lambda loss, y, f: loss._largest(y, f), "majorizer", "2 max(q, 1 - q)"),
        "auto": Rule(exact_kernel, "heuristic", "2 |q - 1[r > 0]|"),
    }

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """The label, at which the gradient is not differentiable."""
        return (y_true,)

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return _between_labels(self, batch)


@dataclass(frozen=True)
class EpsilonInsensitiveLoss(ResidualLoss):
    r"""Epsilon-insensitive loss, :math:`\max(0, |r| - \epsilon)`, smoothed: support vectors.

    Estimates a median that small residuals do not move. Domain: all reals. Link: identity. Convex.
    Units: value y squared, delta and epsilon y. Write e = epsilon / delta. The value is
    :math:`\delta^2 [(\log\cosh(u-e) + \log\cosh(u+e))/2 - \log\cosh e]`, which over delta tends to
    max(0, abs(r) - epsilon) for small delta. Gradient delta (tanh(u-e) + tanh(u+e))/2, Hessian
    (1/cosh(u-e)^2 + 1/cosh(u+e)^2)/2. The metric is the exact one, and the intercept its minimum.

    Parameters
    ----------
    epsilon : float
        Residuals up to here, in units of y, are no error.
    delta : float or "auto"
        Width of the smoothing of each edge; ``"auto"`` is a fifth of the squared mean of
        sqrt(abs(r)) of each round.

    Raises
    ------
    ValueError
        If epsilon or delta is not positive.

    Notes
    -----
    The safe curvature (tanh(v)/v + tanh(w)/w)/2 with v = u - e and w = u + e is a majorizer: each
    half is one, of its own log cosh. psi(u)/u itself is none here, as it is nearly 0 inside the
    zone. The exact metric is (abs(r - epsilon) + abs(r + epsilon))/2 - epsilon, so that its
    best constant is the median of the labels moved by epsilon both ways.

    References
    ----------
    .. [1] Smola and Schoelkopf, A tutorial on support vector regression, Statistics and
       Computing 2004, doi:10.1023/B:STCO.0000035301.49549.88.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.EpsilonInsensitiveLoss(epsilon=0.5, delta=0.01)
    >>> loss.metric_value([0.0, 0.0], [0.4, 2.5])
    1.0
    """

    epsilon: float = 0.1

    aliases: ClassVar[tuple[str, ...]] = ("svr",)
    label_units: ClassVar[tuple[str, ...]] = ("epsilon",)
    estimates: ClassVar[str] = "median with a dead zone"
    formula: ClassVar[str] = "max(0, |r| - epsilon), its edges smoothed over delta"
    source: ClassVar[str] = "doi:10.1023/B:STCO.0000035301.49549.88"
    metric_name: ClassVar[str] = "epsilon_insensitive"
    auto_delta: ClassVar[AutoDelta] = AutoDelta("root", 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        epsilon = check.real_parameter(
            "EpsilonInsensitiveLoss", "epsilon", self.epsilon, check.POSITIVE
        )
        object.__setattr__(self, "epsilon", epsilon)

    @property
    def _edge(self) -> float:
        return self.epsilon / self._width

    def _rho(self, u: Array) -> Array:
        # the sum of log cosh is log1p((sinh(u) / cosh(e))^2) / 2, which neither cancels inside
        # the zone nor, as a logarithm, overflows
        a, e = np.maximum(np.abs(u), np.finfo(u.dtype).tiny), self._edge
        ratio = (a - e) + np.log(-np.expm1(-2 * a)) - math.log1p(math.exp(-2 * e))
        return log1pexp(2 * ratio) / 2

    def _psi(self, u: Array) -> Array:
        # naive (tanh(u - e) + tanh(u + e)) / 2 cancels inside the zone; it is
        # sinh(2u) / (cosh(2u) + cosh(2e)), here over the larger of the two exponentials
        a, e = np.abs(u), self._edge
        own, edge = np.exp(2 * at_most(a - e, 0)), np.exp(2 * at_most(e - a, 0))
        total = own * (1 + np.exp(-4 * a)) + edge * (1 + math.exp(-4 * e))
        psi: Array = np.copysign(own * -np.expm1(-4 * a) / total, u)
        return psi

    def _psi_derivative(self, u: Array) -> Array:
        return (sech2(u - self._edge) + sech2(u + self._edge)) / 2

    def _weight(self, u: Array) -> Array:
        left, right = (
            at_least(np.abs(u + side), float(np.finfo(u.dtype).tiny))
            for side in (-self._edge, self._edge)
        )
        weight: Array = (np.tanh(left) / left + np.tanh(right) / right) / 2
        return weight

    rules = {
        name: Rule(
            safe_kernel,
            "majorizer",
            "(tanh(u - e) / (u - e) + tanh(u + e) / (u + e)) / 2",
            floor,
        )
        for name, floor in (("safe", 0.0), ("auto", 0.05))
    }

    def _score(self, y: Array, f: Array) -> Array:
        excess: Array = at_least(np.abs(f - y) - self.epsilon, 0)
        return excess

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        y = batch.y.astype(np.float64)
        edges = np.concatenate([y - self.epsilon, y + self.epsilon])
        w = None if batch.w is None else np.concatenate([batch.w, batch.w])
        return weighted_quantile(Batch(edges, np.concatenate([batch.f, batch.f]), w), 0.5)


@dataclass(frozen=True)
class SquaredEpsilonInsensitiveLoss(RowLoss):
    r"""Squared epsilon-insensitive loss, :math:`\max(0, |r| - \epsilon)^2 / 2`.

    Estimates a mean that small residuals do not move. Domain: all reals. Link: identity. Convex.
    Units: value y squared, epsilon y. Gradient r less its projection on the zone, Hessian 0 inside
    the zone and 1 outside; the safe curvature, 1, is a majorizer, as no slope of the gradient is
    larger.

    Parameters
    ----------
    epsilon : float
        Residuals up to here, in units of y, are no error.

    Raises
    ------
    ValueError
        If epsilon is not positive.

    References
    ----------
    .. [1] Smola and Schoelkopf, A tutorial on support vector regression, Statistics and
       Computing 2004, doi:10.1023/B:STCO.0000035301.49549.88.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.SquaredEpsilonInsensitiveLoss(epsilon=0.5).gradient([0.0, 0.0], [0.25, 2.0])
    array([0. , 1.5])
    """

    epsilon: float = 0.1

    label_units: ClassVar[tuple[str, ...]] = ("epsilon",)
    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "mean with a dead zone"
    formula: ClassVar[str] = "max(0, |r| - epsilon)^2 / 2"
    source: ClassVar[str] = "doi:10.1023/B:STCO.0000035301.49549.88"
    normalised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        epsilon = check.real_parameter(
            "SquaredEpsilonInsensitiveLoss", "epsilon", self.epsilon, check.POSITIVE
        )
        object.__setattr__(self, "epsilon", epsilon)

    def _value(self, y: Array, f: Array) -> Array:
        value: Array = at_least(np.abs(f - y) - self.epsilon, 0) ** 2 / 2
        return value

    def _gradient(self, y: Array, f: Array) -> Array:
        r = f - y
        excess: Array = r - np.clip(r, -self.epsilon, self.epsilon)
        return excess

    def _hessian(self, y: Array, f: Array) -> Array:
        outside: Array = np.abs(f - y) > self.epsilon
        return outside.astype(f.dtype)

    rules = {
        name: Rule(lambda loss, y, f: np.ones_like(f), "majorizer", "1")
        for name in ("safe", "auto", "unit")
    }

    def kinks(self, y_true: Array, raw_prediction: Array) -> tuple[Array, ...]:
        """The edges of the zone, at which the gradient is not differentiable."""
        return (y_true - self.epsilon, y_true + self.epsilon)

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        return _between_labels(self, batch)


@dataclass(frozen=True)
class LinexLoss(RowLoss):
    r"""Linear-exponential loss, :math:`e^{a r} - a r - 1`: one side costs exponentially more.

    Estimates -log E[exp(-a y)] / a, which lies below the mean for a > 0 (too high a prediction
    costs exponentially), above it for a < 0. Domain: all reals. Link: identity. Convex. Units:
    value none, a 1/y. Gradient a (e^(a r) - 1), Hessian a^2 e^(a r). Beyond the largest finite
    number of the dtype e^(a r) saturates, in value, gradient and curvature together.

    Parameters
    ----------
    a : float
        Rate, not 0: the residual of 1/a, in units of y, is where the exponential takes over.
        For small a the loss is a^2 r^2 / 2.

    Raises
    ------
    ValueError
        If a is 0 or out of range.

    Notes
    -----
    With A = 1 and B = e^(a r) a leaf has F(t) - F(0) = -A t' + B (e^t' - 1), where t' = a t: the
    loss of `PoissonLoss`, in units of 1/a, with its proofs, which hold for t' of both signs and
    hence for a of both. ``safe``, a^2 (A + B)/2, is ``no_overshoot``; ``auto``, a^2 (A + 2B)/3,
    is ``descent``. Closed-form intercept: the estimate itself.

    References
    ----------
    .. [1] Zellner, Bayesian estimation and prediction using asymmetric loss functions, Journal
       of the American Statistical Association 1986, doi:10.1080/01621459.1986.10478289.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.LinexLoss(a=1.0)
    >>> loss.gradient([0.0, 0.0], [1.0, -1.0]).round(3)
    array([ 1.718, -0.632])
    """

    a: float = 1.0

    task: ClassVar[str] = "regression"
    estimates: ClassVar[str] = "exponentially tilted mean"
    formula: ClassVar[str] = "exp(a r) - a r - 1"
    source: ClassVar[str] = "doi:10.1080/01621459.1986.10478289"
    normalised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        a = check.real_parameter("LinexLoss", "a", self.a, None)
        if not MIN_RATE <= abs(a) <= MAX_RATE:
            raise ValueError(
                f"LinexLoss: a must be a number other than 0, of size {MIN_RATE:g} to "
                f"{MAX_RATE:g}; got {self.a!r}"
            )
        object.__setattr__(self, "a", a)

    @property
    def _scale(self) -> float:
        return 1 / abs(self.a)

    def _exponent(self, y: Array, f: Array) -> Array:
        """The exponent a r, held where a^2 e^(a r) would leave the dtype."""
        limit = np.log(np.finfo(f.dtype).max / HEAD_ROOM) - 2 * np.log(max(abs(self.a), 1.0))
        exponent: Array = np.minimum(self.a * (f - y), limit.astype(f.dtype))
        return exponent

    def _value(self, y: Array, f: Array) -> Array:
        x = self._exponent(y, f)
        return np.expm1(x) - x

    def _gradient(self, y: Array, f: Array) -> Array:
        return self.a * np.expm1(self._exponent(y, f))

    def _hessian(self, y: Array, f: Array) -> Array:
        return self.a * (self.a * np.exp(self._exponent(y, f)))

    rules = {
        "safe": Rule(
            lambda loss, y, f: (loss.a**2 + loss._hessian(y, f)) / 2,
            "no_overshoot",
            "a^2 (1 + exp(a r)) / 2",
        ),
        "auto": Rule(
            lambda loss, y, f: (loss.a**2 + 2 * loss._hessian(y, f)) / 3,
            "descent",
            "a^2 (1 + 2 exp(a r)) / 3",
        ),
    }

    def _intercept(self, batch: Batch, has_offset: bool) -> Any:
        w = weights_of(batch)
        x = (batch.y.astype(np.float64) - batch.f)[w > 0]
        return -(logsumexp(np.log(w[w > 0]) - self.a * x) - np.log(w.sum())) / self.a
