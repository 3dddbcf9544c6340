"""Gradient and curvature as people write them: NumPy expressions over all rows, in float64.

The mathematics is that of gbobjectives (``curvature="auto"``, parameters as in ``kernels.py``),
so that the results can be compared.
"""

from typing import Any

import numpy as np

Pair = tuple[Any, Any]

QUANTILE, ALPHA, GAMMA, POWER = 0.9, 0.25, 2.0, 1.5


def huber(y: Any, f: Any, delta: float = 1.0) -> Pair:
    r = f - y
    far = np.abs(r) > delta
    g = np.where(far, delta * np.sign(r), r)
    return g, np.where(far, delta / np.maximum(np.abs(r), delta), 1.0)


def log_cosh(y: Any, f: Any) -> Pair:
    r = f - y
    g = np.tanh(r)
    return g, np.where(r == 0, 1.0, g / np.where(r == 0, 1.0, r))


def pseudo_huber(y: Any, f: Any, delta: float = 1.0) -> Pair:
    r = f - y
    root = np.sqrt(1 + (r / delta) ** 2)
    return r / root, 1 / root


def quantile(y: Any, f: Any) -> Pair:
    g, h = log_cosh(y, f)
    return g + 1 - 2 * QUANTILE, h


def log_loss(y: Any, f: Any) -> Pair:
    p = 1 / (1 + np.exp(-f))
    g = p - y
    return g, np.maximum(p * (1 - p), np.abs(g) / 2)


def focal(y: Any, f: Any) -> Pair:
    p = 1 / (1 + np.exp(-f))
    p_t = np.where(y == 1, p, 1 - p)
    alpha_t = np.where(y == 1, ALPHA, 1 - ALPHA)
    muted = alpha_t * (1 - p_t) ** GAMMA
    slope = 1 - p_t - GAMMA * p_t * np.log(p_t)
    bend = (1 + 2 * GAMMA) * (1 - p_t) + GAMMA * (1 - p_t - GAMMA * p_t) * np.log(p_t)
    g = np.where(y == 1, -1, 1) * muted * slope
    return g, np.maximum(muted * p_t * bend, np.abs(g) / 2)


def poisson(y: Any, f: Any) -> Pair:
    mean = np.exp(f)
    return mean - y, (y + 2 * mean) / 3


def tweedie(y: Any, f: Any) -> Pair:
    up, down = y * np.exp((1 - POWER) * f), np.exp((2 - POWER) * f)
    return down - up, (POWER * up + (3 - POWER) * down) / 3


def softmax(y: Any, f: Any) -> Pair:
    e = np.exp(f - f.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    g = p - np.eye(f.shape[1])[y.astype(int)]
    return g, np.abs(g)


def normalised(pair: Pair, w: Any) -> Pair:
    """What ``scale="auto"`` does: curvature of at least 1/20 of its mean, both in units of it."""
    g, h = pair
    mean = np.average(h, weights=w)
    return g / mean, np.maximum(h, 0.05 * mean) / mean


def weighed(pair: Pair, w: Any) -> Pair:
    """Both times the weight of the row."""
    if w is None:
        return pair
    g, h = pair
    w = w if g.ndim == 1 else w[:, None]
    return w * g, w * h
