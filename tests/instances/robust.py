"""Robust losses, redescending ones among them."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def fair(loss, y, f):
    delta = mpf(loss.delta)
    a = abs(f - y) / delta
    return delta**2 * (a - mp.log(1 + a))


def cauchy(loss, y, f):
    delta = mpf(loss.delta)
    return delta**2 / 2 * mp.log(1 + ((f - y) / delta) ** 2)


def student_t(loss, y, f):
    delta, df = mpf(loss.delta), mpf(loss.df)
    return delta**2 * df / 2 * mp.log(1 + ((f - y) / delta) ** 2 / df)


def welsch(loss, y, f):
    delta = mpf(loss.delta)
    return delta**2 / 2 * (1 - mp.exp(-(((f - y) / delta) ** 2)))


def geman_mcclure(loss, y, f):
    delta = mpf(loss.delta)
    square = ((f - y) / delta) ** 2
    return delta**2 / 2 * square / (1 + square)


def tukey(loss, y, f):
    delta = mpf(loss.delta)
    return delta**2 / 6 * (1 - max(0, 1 - ((f - y) / delta) ** 2) ** 3)


def barron(loss, y, f):
    delta = mpf(loss.delta)
    square = ((f - y) / delta) ** 2
    if loss.alpha == 2:
        return delta**2 * square / 2
    if loss.alpha == 0:
        return delta**2 * mp.log(square / 2 + 1)
    if loss.alpha == -mp.inf:
        return delta**2 * (1 - mp.exp(-square / 2))
    alpha = mpf(loss.alpha)
    b = abs(alpha - 2)
    return delta**2 * b / alpha * ((square / b + 1) ** (alpha / 2) - 1)


SHAPES = (2.0, 1.5, 1.0, 0.5, 0.0, -2.0, -10.0, float("-inf"))

INSTANCES = [
    Instance(gbo.FairLoss(delta=1.4), fair),
    Instance(gbo.FairLoss(), fair),
    Instance(gbo.CauchyLoss(delta=0.5), cauchy),
    Instance(gbo.CauchyLoss(), cauchy),
    Instance(gbo.StudentTLoss(df=1.5, delta=2.0), student_t),
    Instance(gbo.StudentTLoss(), student_t),
    Instance(gbo.WelschLoss(delta=3.0), welsch),
    Instance(gbo.WelschLoss(), welsch),
    Instance(gbo.GemanMcClureLoss(delta=0.1), geman_mcclure),
    Instance(gbo.GemanMcClureLoss(), geman_mcclure),
    Instance(gbo.TukeyLoss(delta=4.685), tukey),
    Instance(gbo.TukeyLoss(), tukey),
    *(Instance(gbo.BarronLoss(alpha, delta=0.5), barron) for alpha in SHAPES),
    Instance(gbo.BarronLoss(), barron),
]
