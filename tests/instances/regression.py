"""Losses of a residual."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def squared(loss, y, f):
    return (f - y) ** 2 / 2


def huber(loss, y, f):
    r, delta = abs(f - y), mpf(loss.delta)
    return r**2 / 2 if r <= delta else delta * r - delta**2 / 2


def log_cosh(loss, y, f):
    delta = mpf(loss.delta)
    return delta**2 * mp.log(mp.cosh((f - y) / delta))


def root(loss, y, f):
    delta = mpf(loss.delta)
    return delta**2 * (mp.sqrt(1 + ((f - y) / delta) ** 2) - 1)


INSTANCES = [
    Instance(gbo.SquaredErrorLoss(), squared),
    Instance(gbo.HuberLoss(delta=1.35), huber),
    Instance(gbo.HuberLoss(), huber),
    Instance(gbo.LogCoshLoss(delta=1.0), log_cosh),
    Instance(gbo.LogCoshLoss(delta=0.01), log_cosh),
    Instance(gbo.LogCoshLoss(), log_cosh),
    Instance(gbo.PseudoHuberLoss(delta=2.0), root),
    Instance(gbo.PseudoHuberLoss(), root),
    Instance(gbo.AbsoluteErrorLoss(delta=0.1), root),
    Instance(gbo.AbsoluteErrorLoss(), root),
]
