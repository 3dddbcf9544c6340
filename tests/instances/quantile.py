"""Quantiles."""

import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def quantile(loss, y, f):
    """One level, or the sum over several, of which each has its own delta."""
    several = isinstance(f, list)
    scores, levels = (sorted(f) if loss.ordered else f) if several else [f], loss.quantile
    levels = levels if several else [levels]
    deltas = loss.delta if isinstance(loss.delta, tuple) else [loss.delta] * len(levels)
    total = mpf(0)
    for score, q, delta in zip(scores, map(mpf, levels), map(mpf, deltas), strict=True):
        u = (score - y) / delta
        total += delta**2 * (mp.log(mp.cosh(u)) + (1 - 2 * q) * u)
    return total


def rows(loss):
    """Rows of several outputs, in order and crossing, close to the label and far from it."""
    delta, k = np.max(loss.delta), loss.n_outputs
    rng = np.random.default_rng(5)
    # Closer together, outputs that float32 tells apart only near 0 would meet.
    spreads = (1e-3, 0.3, 1.0, 3.0, 12.0, 60.0, 1e4, 1e6)
    labels = (0.0, 0.3, -40.0 * delta)
    return [(y, y + s * delta * rng.normal(size=k)) for y in labels for s in spreads]


INSTANCES = [
    Instance(gbo.QuantileLoss(quantile=0.05, delta=0.2), quantile),
    Instance(gbo.QuantileLoss(quantile=0.9, delta=1.0), quantile),
    Instance(gbo.QuantileLoss(quantile=0.5), quantile),
    Instance(gbo.QuantileLoss(quantile=0.95), quantile),
    Instance(gbo.QuantileLoss([0.1, 0.5, 0.9]), quantile, rows),
    Instance(gbo.QuantileLoss([0.05, 0.6], delta=(0.2, 1.0)), quantile, rows),
    Instance(gbo.QuantileLoss([0.1, 0.5, 0.9], ordered=True), quantile, rows),
    Instance(gbo.QuantileLoss([0.05, 0.3, 0.8, 0.95], delta=0.5, ordered=True), quantile, rows),
]
