"""Relative and logarithmic errors."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance

S0 = mpf(2) ** -20


def size(loss, y):
    return max(abs(y), mpf(loss.epsilon))


def absolute_percentage(loss, y, f):
    v, delta = (f - y) / size(loss, y), mpf(loss.delta)
    return delta * (mp.sqrt(v**2 + delta**2) - delta)


def symmetric(loss, y, f):
    v, delta = (f - y) / (abs(f) + abs(y)), mpf(loss.delta)
    return 2 * (mp.sqrt(v**2 + delta**2) - delta)


def squared_percentage(loss, y, f):
    return ((f - y) / size(loss, y)) ** 2 / 2


def squared_log(loss, y, f):
    """Below s = 2^-20 its Taylor polynomial."""
    s = 1 + f
    if s >= S0:
        return mp.log(s / (1 + y)) ** 2 / 2
    ratio = mp.log(S0 / (1 + y))
    x = (s - S0) / S0
    return ratio**2 / 2 + ratio * x + (1 - ratio) / 2 * x**2


def squared_log1p(loss, y, f):
    return (f - mp.log(1 + y)) ** 2 / 2


def by_factors(loss):
    """Near and far of labels of both signs, and of a label that counts as epsilon."""
    factors = (0.0, 1e-6, 1e-2, 0.3, -0.3, 0.97, 1.03, -1.0, -8.0, 12.0, 1e4, -1e6)
    points = [(y, y + x * abs(y)) for y in (0.5, -40.0, 3e5) for x in factors]
    return [*points, (0.0, 0.0), (0.0, 1e-9), (0.0, -3.0), (0.0, 1e5)]


def off_zero(loss):
    """0, beyond which the value is constant, is a kink."""
    factors = (1e-6, 1e-2, 0.3, 0.8, 0.97, 1.0, 1.03, 2.0, 12.0, 1e4, -0.1, -5.0)
    return [(y, y * x) for y in (0.5, -40.0, 3e5) for x in factors]


def inside_and_outside(loss):
    near = [(y, y + x) for y in (0.0, 0.3, 40.0) for x in (0.0, 1e-6, -1e-3, 0.2, 3.0, 1e4)]
    edge = [(y, -1 + s) for y in (0.0, 40.0, -0.875) for s in (0.3, 1e-3, 2.0**-19, 2.0**-24)]
    return [*near, *edge, (0.0, -1.0), (3.0, -5.0), (0.5, -1e6)]


def off_the_logarithm(loss):
    """Next to log(1 + y) its own rounding is left of the gradient."""
    scores = (-300.0, -3.0, -1.0, 0.0, 0.5, 5.0, 60.0)
    return [(y, f) for y in (0.25, 7.0, -0.5) for f in scores]


INSTANCES = [
    Instance(gbo.AbsolutePercentageErrorLoss(), absolute_percentage, by_factors),
    Instance(gbo.AbsolutePercentageErrorLoss(delta=0.05), absolute_percentage, by_factors),
    Instance(gbo.AbsolutePercentageErrorLoss(1.0, delta=0.3), absolute_percentage, by_factors),
    Instance(gbo.SymmetricAbsolutePercentageErrorLoss(), symmetric, off_zero),
    Instance(gbo.SymmetricAbsolutePercentageErrorLoss(delta=0.1), symmetric, off_zero),
    Instance(gbo.SquaredPercentageErrorLoss(), squared_percentage, by_factors),
    Instance(gbo.SquaredPercentageErrorLoss(epsilon=1.0), squared_percentage, by_factors),
    Instance(gbo.SquaredLogErrorLoss(), squared_log, inside_and_outside),
    Instance(gbo.Log1pSquaredErrorLoss(), squared_log1p, off_the_logarithm),
]
