"""Where labels may lie (`Interval`), and how a raw prediction becomes a response (`Link`).

A loss differentiates with respect to the raw prediction; its link is for prediction and for
the model file. `log` and `softmax` name the same functions that XGBoost and LightGBM apply.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gbobjectives._numerics import (
    Array,
    exp_saturating,
    expit,
    expm1_saturating,
    log1pexp,
    softmax,
)


@dataclass(frozen=True)
class Interval:
    """Real interval with open or closed ends.

    Parameters
    ----------
    low, high : float
        Ends; infinite ends are written ``-inf`` and ``inf``.
    low_inclusive, high_inclusive : bool
        Whether the ends belong to the interval.

    Examples
    --------
    >>> from gbobjectives import Interval
    >>> print(Interval(0.0, float("inf"), True, False))
    [0, inf)
    >>> Interval(0.0, 1.0).includes([0.0, 0.5, 2.0])
    array([ True,  True, False])
    """

    low: float = -np.inf
    high: float = np.inf
    low_inclusive: bool = True
    high_inclusive: bool = True

    def includes(self, x: object) -> Array:
        """Boolean array: which entries of `x` lie in the interval (NaN never does)."""
        a = np.asarray(x)
        low = a >= self.low if self.low_inclusive else a > self.low
        high = a <= self.high if self.high_inclusive else a < self.high
        return np.asarray(low & high)

    def spans(self, low: float, high: float) -> bool:
        """Whether all numbers from `low` to `high` lie in the interval (NaN never does)."""
        above = low >= self.low if self.low_inclusive else low > self.low
        below = high <= self.high if self.high_inclusive else high < self.high
        return bool(above and below)

    def __str__(self) -> str:
        left = "[" if self.low_inclusive and np.isfinite(self.low) else "("
        right = "]" if self.high_inclusive and np.isfinite(self.high) else ")"
        return f"{left}{self.low:g}, {self.high:g}{right}"


@dataclass(frozen=True)
class Link:
    """Map between the response `y_pred` and the raw prediction.

    Parameters
    ----------
    name : str
        Name of the link, as in generalised linear models.
    link : callable
        Response to raw prediction.
    inverse : callable
        Raw prediction to response.
    inverse_derivative : callable
        Derivative of `inverse`; for softmax its diagonal.
    range : Interval
        Where responses lie.

    Examples
    --------
    >>> import numpy as np
    >>> from gbobjectives.links import LOGIT
    >>> LOGIT.inverse(np.array([0.0, 2.0])).round(3)
    array([0.5  , 0.881])
    """

    name: str
    link: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    inverse_derivative: Callable[[Array], Array]
    range: Interval

    def __repr__(self) -> str:
        return f"Link({self.name!r})"

    def __reduce__(self) -> tuple[Callable[[str], "Link"], tuple[str]]:
        # The functions below are module-private; a link pickles by its name.
        return get_link, (self.name,)


def get_link(name: str) -> Link:
    """Link of that name.

    Parameters
    ----------
    name : str
        One of those of ``LINKS``.

    Returns
    -------
    Link
        From raw predictions to responses and back.

    Examples
    --------
    >>> from gbobjectives.links import get_link
    >>> print(get_link("log").range)
    (0, inf)
    """
    if name not in LINKS:
        raise ValueError(f"get_link: unknown link {name!r}; known: {', '.join(LINKS)}")
    return LINKS[name]


def _identity(x: Array) -> Array:
    return x


def _sorted(x: Array) -> Array:
    result: Array = np.sort(x, axis=-1)
    return result


def _logit(p: Array) -> Array:
    return np.log(p) - np.log1p(-p)


def _expit_derivative(f: Array) -> Array:
    return expit(f) * expit(-f)


def _softmax_link(p: Array) -> Array:
    result: Array = np.log(p) - np.log(p).mean(axis=-1, keepdims=True)
    return result


def _softmax_derivative(f: Array) -> Array:
    p = softmax(f)
    result: Array = p * (1 - p)
    return result


def _softplus_link(y: Array) -> Array:
    # naive log(exp(y) - 1) overflows
    return y + np.log(-np.expm1(-y))


def _tanh_derivative(f: Array) -> Array:
    return 1 - np.tanh(f) ** 2


def _softsign_link(y: Array) -> Array:
    result: Array = y / (1 - np.abs(y))
    return result


def _softsign(f: Array) -> Array:
    result: Array = f / (1 + np.abs(f))
    return result


def _softsign_derivative(f: Array) -> Array:
    return 1 / (1 + np.abs(f)) ** 2


IDENTITY = Link("identity", _identity, _identity, np.ones_like, Interval())
LOGIT = Link("logit", _logit, expit, _expit_derivative, Interval(0, 1, False, False))
LOG = Link("log", np.log, exp_saturating, exp_saturating, Interval(0, np.inf, False, False))
LOG1P = Link(
    "log1p", np.log1p, expm1_saturating, exp_saturating, Interval(-1, np.inf, False, False)
)
SOFTMAX = Link("softmax", _softmax_link, softmax, _softmax_derivative, Interval(0, 1, False, False))
SOFTPLUS = Link("softplus", _softplus_link, log1pexp, expit, Interval(0, np.inf, False, False))
TANH = Link("tanh", np.arctanh, np.tanh, _tanh_derivative, Interval(-1, 1, False, False))
SOFTSIGN = Link(
    "softsign", _softsign_link, _softsign, _softsign_derivative, Interval(-1, 1, False, False)
)

# The outputs of a row in ascending order: each is one of the raw predictions, whence the ones.
SORTED = Link("sorted", _identity, _sorted, np.ones_like, Interval())

LINKS = {
    x.name: x for x in (IDENTITY, LOGIT, LOG, LOG1P, SOFTMAX, SOFTPLUS, TANH, SOFTSIGN, SORTED)
}
