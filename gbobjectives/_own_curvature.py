"""Curvature of a loss of which only derivatives are known.

psi(r) / r where that is a bound, which is seen from the derivatives themselves, and a heuristic
where it is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from gbobjectives._numerics import Array, saturated
from gbobjectives.links import Interval

# Residuals at which psi(r) / r is looked at, eight an octave, from 1e-6 to 1e12.
PER_OCTAVE, OCTAVES_BELOW_1 = 8, 20
RESIDUALS = 2.0 ** (np.arange(-OCTAVES_BELOW_1 * PER_OCTAVE, 40 * PER_OCTAVE + 1) / PER_OCTAVE)

# How many of them, up to 8, have to be finite for anything to be said.
MIN_RESIDUALS = (OCTAVES_BELOW_1 + 3) * PER_OCTAVE

# Labels for which the same residuals must give the same derivatives; y + r is exact.
LABELS = np.array([0.0, 1.0, 0.5, 1.5, -3.0, 1024.0])
EXACT_RESIDUALS = np.array([-96.0, -2.5, -0.75, -0.125, 0.0, 0.25, 1.0, 3.5, 80.0])

# How well derivatives have to agree to be those of one function; rounding is far below.
AGREEMENT = 1e-9
ROUNDING = 64 * float(np.finfo(np.float64).eps)

# Error allowed to the series of psi(r) / r around 0, by dtype: where it is within that, it
# replaces the quotient, whose error is that of rounding over r.
SERIES_ERROR: dict[Any, float] = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-12}

# Labels, scores and results beyond which float32, whose squares end at 2^128, is not enough.
FAR = 2.0**24


class Kernels(Protocol):
    """Functions of a block of rows, in the dtype of the scores; equal if they are one object."""

    def __hash__(self) -> int: ...

    def value(self, y: Array, f: Array) -> Array:
        """Value of each row."""

    def derivatives(self, y: Array, f: Array) -> tuple[Array, Array]:
        """First and second derivative of each row."""

    def safe(self, y: Array, f: Array) -> Array:
        """The user's own curvature."""


@dataclass(frozen=True)
class Ratio:
    """What is known of psi(r) / r: psi(0), the quotient at 0, and where its series is used."""

    tilt: float
    top: float
    series: Mapping[Any, float]


class Known:
    """A loss whose derivatives of this block are at hand: a rule looks at nothing else."""

    def __init__(self, loss: Any, g: Array, h: Array) -> None:
        self.loss, self.g, self.h = loss, g, h

    def _gradient(self, y: Array, f: Array) -> Array:
        return self.g

    def _hessian(self, y: Array, f: Array) -> Array:
        return self.h

    def _derivatives(self, y: Array, f: Array) -> tuple[Array, Array]:
        return self.g, self.h

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loss, name)


def careful(kernels: Callable[..., tuple[Array, ...]], y: Array, f: Array) -> list[Array]:
    """What kernels give; in float32 once more in float64 where they overflow, or soon will.

    What is beyond the dtype even so is held, as in the catalogue; NaN stays, and is an error.
    """
    found = [saturated(x) for x in kernels(y, f)]
    if f.dtype == np.float64 or all(_near(x) for x in (y, f, *found)):
        return found
    rows = np.zeros(len(f), dtype=bool)
    for x in (y, f, *found):
        rows |= ~(np.abs(x) < FAR).reshape(len(f), -1).all(axis=1)
    wide = kernels(y[rows].astype(np.float64), f[rows].astype(np.float64))
    limit = float(saturated(np.array([np.inf], dtype=f.dtype))[0])
    for narrow, x in zip(found, wide, strict=True):
        narrow[rows] = np.clip(x, -limit, limit)
    return found


def _near(x: Array) -> bool:
    return bool(x.min() > -FAR and x.max() < FAR)


def own_kernel(loss: Any, y: Array, f: Array) -> Array:
    """The user's own curvature."""
    (h,) = careful(lambda *block: (loss._kernels.safe(*block),), y, f)
    return h


def capped_kernel(loss: Any, y: Array, f: Array) -> Array:
    """The second derivative, or more where a row would step too far."""
    g, h = loss._derivatives(y, f)
    cap = np.asarray(loss._cap, dtype=f.dtype)
    result: Array = np.maximum(h, np.abs(g) / cap)
    return result


def quotient_kernel(loss: Any, y: Array, f: Array) -> Array:
    """(psi(r) - psi(0)) / r, and near 0 its series (2 psi'(0) + psi'(r)) / 3."""
    g, h = loss._derivatives(y, f)
    ratio, r = loss._ratio, f - y
    near = np.abs(r) <= ratio.series[f.dtype]
    quotient = (g - ratio.tilt) / np.where(near, f.dtype.type(1), r)
    series = (2 * ratio.top + h) / 3
    result: Array = np.clip(np.where(near, series, quotient), 0, ratio.top)
    return result


@lru_cache(maxsize=256)
def shape_of(kernels: Kernels, y_domain: Interval) -> tuple[bool, Ratio | None]:
    """Whether the loss is one of f - y alone; and psi(r) / r where that is a bound.

    Both are seen at the residuals above, not proved: rho is even up to a linear term, and the
    quotient is finite at 0 and does not increase from there.
    """
    labels = LABELS[y_domain.includes(LABELS)]
    if len(labels) < 2:
        return False, None
    zeros = np.zeros_like(EXACT_RESIDUALS)
    with np.errstate(all="ignore"):
        first, *others = (kernels.derivatives(zeros + y, y + EXACT_RESIDUALS)[0] for y in labels)
        size = AGREEMENT * (np.abs(first) + np.abs(first).max() * 1e-3)
        if not all((np.abs(other - first) <= size).all() for other in others):
            return False, None
        return True, _ratio(kernels, labels[0])


def _ratio(kernels: Kernels, y: float) -> Ratio | None:
    r = np.concatenate([[0.0], RESIDUALS, -RESIDUALS])
    g, h = kernels.derivatives(np.full_like(r, y), y + r)
    tilt, top, n = float(g[0]), float(h[0]), len(RESIDUALS)
    up, down = g[1 : n + 1] - tilt, tilt - g[n + 1 :]
    # Far off a formula may overflow, which is no matter of its shape.
    n = int(np.argmin(np.append(np.isfinite(up) & np.isfinite(down), False)))
    if n < MIN_RESIDUALS or not top > 0:
        return None
    r, up, down = RESIDUALS[:n], up[:n], down[:n]
    quotient = up / r
    # Of the size of the terms that cancel in a derivative, which are not known.
    noise = ROUNDING * (abs(tilt) + top + abs(float(up[PER_OCTAVE * OCTAVES_BELOW_1])))
    allowed = AGREEMENT * np.abs(quotient) + noise / np.minimum(r, 1.0)
    even = np.abs(up - down) <= AGREEMENT * np.abs(up) + noise
    falling = np.diff(quotient, prepend=top) <= allowed
    if not (even & falling & (quotient >= -allowed)).all():
        return None
    off = np.abs((2 * top + h[1 : n + 1]) / 3 - quotient) / top
    series = {dtype: _reach(off <= error) for dtype, error in SERIES_ERROR.items()}
    return Ratio(tilt, top, series)


def _reach(good: Array) -> float:
    """The largest residual below which a whole octave is good; 0 where there is none."""
    runs = np.convolve(good, np.ones(PER_OCTAVE), mode="valid") == PER_OCTAVE
    found = np.flatnonzero(runs)
    return float(RESIDUALS[found[-1] + PER_OCTAVE - 1]) if found.size else 0.0
