"""Stable elementary functions: array in, array of the same dtype out.

Each states the naive form and where that form fails; every loss builds on these.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

LOG2 = float(np.log(2.0))

# Head room kept below the largest finite number, so that sums and small multiples of a
# saturated exponential stay finite.
_HEAD_ROOM = 2.0**20


def weighted_sum(w: Array, x: Array) -> Array:
    """``w @ x`` over the rows, on one thread.

    ``@`` runs on the threads of BLAS, which go on spinning for 50 ms and more: the first rounds of
    XGBoost and LightGBM after one took twice their time.
    """
    result: Array = np.einsum("i,i...->...", w, x)
    return result


def at_least(x: Array, low: float) -> Array:
    """``np.maximum(x, low)``, whose loop over an array and a number is three times slower."""
    result: Array = x.clip(low, np.inf)
    return result


def at_most(x: Array, high: float) -> Array:
    """``np.minimum(x, high)``, whose loop over an array and a number is three times slower."""
    result: Array = x.clip(-np.inf, high)
    return result


def log1p(x: Array) -> Array:
    """``log(1 + x)`` of finite x above -1; the naive form loses what 1 + x rounds off.

    That is known, x - (u - 1), and added. ``np.log1p`` takes as long as seven ``np.log`` where
    the processor has no AVX-512.
    """
    u = 1 + x
    result: Array = np.log(u) + (x - (u - 1)) / u
    return result


def log1pexp(x: Array) -> Array:
    """``log(1 + exp(x))``; the naive form overflows for large x."""
    return at_least(x, 0) + log1p(np.exp(-np.abs(x)))


def expit_both(x: Array) -> tuple[Array, Array]:
    """``1 / (1 + exp(-x))`` and ``1 / (1 + exp(x))``, each to its last digits.

    The naive forms overflow for abs(x) above 709 (float32: 88), and ``1 - p`` cancels where p
    rounds to 1.
    """
    e = _held_exp(-x)
    p = 1 / (1 + e)
    return p, e * p


def expit_both_log(x: Array) -> tuple[Array, Array, Array]:
    """`expit_both`, and the logarithm of the first; that of a rounded p would cancel near 1.

    It is held where they are: for factors of p alone.
    """
    e = _held_exp(-x)
    p = 1 / (1 + e)
    return p, e * p, -log1p(e)


def _held_exp(x: Array) -> Array:
    """``exp(x)``, held where its inverse is the smallest normal number."""
    limit = -float(np.log(np.finfo(x.dtype).tiny))
    result: Array = np.exp(at_most(x, limit))
    return result


def expit(x: Array) -> Array:
    """``1 / (1 + exp(-x))``: see `expit_both`."""
    return expit_both(x)[0]


def root_one_plus_square(x: Array) -> Array:
    """``sqrt(1 + x^2)``; the naive form overflows, ``np.hypot`` is ten times slower.

    From 1e9 on the 1 is lost in both dtypes, and the root is abs(x).
    """
    a = np.abs(x)
    held = at_most(a, 1e9)
    result: Array = np.maximum(np.sqrt(1 + held * held), a)
    return result


def saturated(x: Array) -> Array:
    """``x``, held at the largest finite number of the dtype over 2^20 on either side."""
    limit = np.finfo(x.dtype).max / _HEAD_ROOM
    result: Array = np.clip(x, -limit, limit)
    return result


def exp_saturating(x: Array) -> Array:
    """``exp(x)``, held at the largest finite number of the dtype over 2^20.

    The naive form returns inf, and inf - inf or 0 * inf downstream is NaN.
    """
    limit = float(np.log(np.finfo(x.dtype).max / _HEAD_ROOM))
    result: Array = np.exp(at_most(x, limit))
    return result


def expm1_saturating(x: Array) -> Array:
    """``exp(x) - 1``, held where `exp_saturating` holds; ``exp(x) - 1`` itself cancels near 0."""
    limit = float(np.log(np.finfo(x.dtype).max / _HEAD_ROOM))
    result: Array = np.expm1(at_most(x, limit))
    return result


def modulation(q: Array, gamma: float) -> Array:
    """q^gamma; a power costs more than all the rest, and the usual gammas need none."""
    if gamma == 0:
        return np.ones_like(q)
    if gamma == 1:
        return q
    square: Array = q * q
    if gamma in (2, 4):
        return square if gamma == 2 else square * square
    power: Array = q**gamma
    return power


def log_cosh(x: Array) -> Array:
    """``log(cosh(x))``; the naive form overflows for abs(x) above 710 (float32: 89).

    ``|x| + log1p(exp(-2|x|)) - log 2`` never overflows, but cancels near 0, where
    ``cosh(x) - 1 = 2 sinh(x / 2)^2`` takes over.
    """
    a = np.abs(x)
    near = log1p(2 * np.sinh(np.minimum(a, 1) / 2) ** 2)
    far = a + log1p(np.exp(-2 * a)) - np.asarray(LOG2, dtype=a.dtype)
    result: Array = np.where(a < 1, near, far)
    return result


def sech2(x: Array) -> Array:
    """``1 / cosh(x)^2``; ``1 - tanh(x)^2`` cancels to 0 for abs(x) above 19 (float32: 9)."""
    e = np.exp(-2 * np.abs(x))
    result: Array = 4 * e / (1 + e) ** 2
    return result


def logsumexp(x: Array) -> Array:
    """``log(sum(exp(x)))`` over the last axis; the naive form overflows.

    The largest term is the 1 inside log1p, so that the sum of the others is not lost beside it.
    """
    at = x.argmax(axis=-1)[..., None]
    top = np.take_along_axis(x, at, axis=-1)
    others = np.exp(x - top)
    np.put_along_axis(others, at, 0, axis=-1)
    result: Array = (top + log1p(others.sum(axis=-1, keepdims=True)))[..., 0]
    return result


def softmax(x: Array) -> Array:
    """``exp(x) / sum(exp(x))`` over the last axis; shift-invariant, never overflows."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    result: Array = e / e.sum(axis=-1, keepdims=True)
    return result


def log_magnitude_bins(x: Array) -> npt.NDArray[np.int64]:
    """Bin of each non-negative number on a logarithmic scale: see `MAGNITUDE_EDGES`.

    The exponent and the seven leading mantissa bits of a float32 are the bin, so that a
    histogram, which is an additive summary, can stand in for a sort.
    """
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return (bits >> np.uint32(16)).astype(np.int64)


# Bins of one exponent: of one power of 2.
BINS_OF_AN_EXPONENT = 0x80
N_MAGNITUDE_BINS = 0xFF * BINS_OF_AN_EXPONENT
MAGNITUDE_EDGES = (np.arange(N_MAGNITUDE_BINS, dtype=np.uint32) << np.uint32(16)).view(np.float32)


def median_from_bins(weight_per_bin: Array) -> float:
    """Weighted median from a histogram over `log_magnitude_bins`, interpolated in its bin.

    The exponent that holds it is found first: a running sum over all bins takes 0.1 ms.
    """
    exponents = weight_per_bin.reshape(-1, BINS_OF_AN_EXPONENT)
    cumulative = np.einsum("ij->i", exponents).cumsum()
    half = cumulative[-1] / 2
    e = int(cumulative.searchsorted(half))
    bins = exponents[e].cumsum()
    # The two ways to add up may round apart; no bin beyond the last with a weight is meant.
    half = min(half - (cumulative[e - 1] if e else 0), bins[-1])
    i = int(bins.searchsorted(half))
    weight = exponents[e, i]
    inside = (half - bins[i] + weight) / weight if weight > 0 else 0.0
    at = min(e * BINS_OF_AN_EXPONENT + i, N_MAGNITUDE_BINS - 2)
    low, high = float(MAGNITUDE_EDGES[at]), float(MAGNITUDE_EDGES[at + 1])
    return low + float(inside) * (high - low)
