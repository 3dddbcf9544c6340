"""Asymmetric losses, dead zones and powers of a residual."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def expectile(loss, y, f):
    q, r = mpf(loss.quantile), f - y
    return abs(q - (1 if r > 0 else 0)) * r**2


def epsilon_insensitive(loss, y, f):
    delta, epsilon, r = mpf(loss.delta), mpf(loss.epsilon), f - y

    def log_cosh(x):
        return mp.log(mp.cosh(x / delta))

    return delta**2 * ((log_cosh(r - epsilon) + log_cosh(r + epsilon)) / 2 - log_cosh(epsilon))


def squared_epsilon_insensitive(loss, y, f):
    return max(mpf(0), abs(f - y) - mpf(loss.epsilon)) ** 2 / 2


def lq(loss, y, f):
    delta, q = mpf(loss.delta), mpf(loss.q)
    return delta**2 / q * ((1 + ((f - y) / delta) ** 2) ** (q / 2) - 1)


def linex(loss, y, f):
    x = mpf(loss.a) * (f - y)
    return mp.exp(x) - x - 1


def off_the_label(loss):
    """The gradient has no derivative at the label itself, nor where float32 rounds to it."""
    sizes = (1e-3, 0.3, 1.0, 12.0, 1e6)
    points = [(y, y + s * u) for y in (0.0, 0.3, -40.0) for u in sizes for s in (1, -1)]
    return [(0.0, 1e-8), (0.0, -1e-8), *points]


def inside_the_exponential(loss):
    """Up to where exp fits float32; beyond, it saturates."""
    sizes = (0.0, 1e-8, 1e-3, 0.3, 2.0, 12.0, 50.0)
    return [(y, y + s * x / loss.a) for y in (0.0, 0.25) for x in sizes for s in (1, -1)]


INSTANCES = [
    Instance(gbo.ExpectileLoss(0.5), expectile, off_the_label),
    Instance(gbo.ExpectileLoss(0.9), expectile, off_the_label),
    Instance(gbo.ExpectileLoss(0.05), expectile, off_the_label),
    Instance(gbo.EpsilonInsensitiveLoss(epsilon=0.1, delta=0.05), epsilon_insensitive),
    Instance(gbo.EpsilonInsensitiveLoss(epsilon=2.0, delta=0.25), epsilon_insensitive),
    Instance(gbo.EpsilonInsensitiveLoss(), epsilon_insensitive),
    Instance(gbo.SquaredEpsilonInsensitiveLoss(), squared_epsilon_insensitive),
    Instance(gbo.SquaredEpsilonInsensitiveLoss(epsilon=1.0), squared_epsilon_insensitive),
    Instance(gbo.LqLoss(q=1.0, delta=0.2), lq),
    Instance(gbo.LqLoss(q=1.5, delta=0.5), lq),
    Instance(gbo.LqLoss(), lq),
    Instance(gbo.LqLoss(q=2.0), lq),
    Instance(gbo.LqLoss(q=3.0, delta=0.5), lq),
    Instance(gbo.LqLoss(q=4.0), lq),
    Instance(gbo.LinexLoss(), linex, inside_the_exponential),
    Instance(gbo.LinexLoss(a=-2.0), linex, inside_the_exponential),
    Instance(gbo.LinexLoss(a=0.01), linex, inside_the_exponential),
]
