"""Losses of a two-class label."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def log_loss(loss, y, f):
    s, p = mpf(loss.label_smoothing), 1 / (1 + mp.exp(-f))
    y = y * (1 - s) + s / 2
    return -mpf(loss.pos_weight) * y * mp.log(p) - (1 - y) * mp.log(1 - p)


def focal(loss, y, f):
    p, gamma = 1 / (1 + mp.exp(-f)), mpf(loss.gamma)
    a, b = (1, 1) if loss.alpha is None else (mpf(loss.alpha), 1 - mpf(loss.alpha))
    return -a * y * (1 - p) ** gamma * mp.log(p) - b * (1 - y) * p**gamma * mp.log(1 - p)


INSTANCES = [
    Instance(gbo.LogLoss(), log_loss),
    Instance(gbo.LogLoss(pos_weight=3.0, label_smoothing=0.1), log_loss),
    Instance(gbo.FocalLoss(gamma=2.0), focal),
    Instance(gbo.FocalLoss(gamma=0.0), focal),
    Instance(gbo.FocalLoss(gamma=0.5), focal),
    Instance(gbo.FocalLoss(gamma=5.0, alpha=0.25), focal),
    Instance(gbo.FocalLoss(gamma=2.0, alpha=0.75), focal),
]
