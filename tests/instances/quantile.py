"""Quantiles."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def quantile(loss, y, f):
    delta, q = mpf(loss.delta), mpf(loss.quantile)
    u = (f - y) / delta
    return delta**2 * (mp.log(mp.cosh(u)) + (1 - 2 * q) * u)


INSTANCES = [
    Instance(gbo.QuantileLoss(quantile=0.05, delta=0.2), quantile),
    Instance(gbo.QuantileLoss(quantile=0.9, delta=1.0), quantile),
    Instance(gbo.QuantileLoss(quantile=0.5), quantile),
    Instance(gbo.QuantileLoss(quantile=0.95), quantile),
]
