"""Sums, wrapped losses, penalties."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances import binary, multiclass, quantile, regression
from tests.instances.instance import Instance


def penalty(loss, y, f):
    w = mpf(1e-3)
    scores = f if isinstance(f, list) else [f]
    return sum(mpf(loss.l2) * x**2 / 2 + mpf(loss.l1) * (mp.sqrt(x**2 + w**2) - w) for x in scores)


NAIVE = {
    gbo.SquaredErrorLoss: regression.squared,
    gbo.HuberLoss: regression.huber,
    gbo.LogCoshLoss: regression.log_cosh,
    gbo.QuantileLoss: quantile.quantile,
    gbo.LogLoss: binary.log_loss,
    gbo.FocalLoss: binary.focal,
    gbo.CrossEntropyLoss: multiclass.cross_entropy,
    gbo.RawPenalty: penalty,
}


def total(loss, y, f):
    return sum(mpf(a) * NAIVE[type(term)](term, y, f) for a, term in loss.terms)


INSTANCES = [
    Instance(gbo.RawPenalty(l2=0.5, l1=2.0), penalty),
    Instance(0.7 * gbo.HuberLoss() + 0.3 * gbo.QuantileLoss(0.9), total),
    Instance(2 * gbo.LogCoshLoss(delta=1.0) + gbo.SquaredErrorLoss(), total),
    Instance(3.0 * gbo.FocalLoss(), total),
    Instance(gbo.LogLoss() + 0.5 * gbo.FocalLoss(gamma=1.0), total),
    Instance(gbo.LogLoss(label_smoothing=0.1) + gbo.RawPenalty(l2=0.1), total),
    Instance(gbo.CrossEntropyLoss(n_classes=3) + gbo.RawPenalty(l2=0.1, l1=0.01), total),
]
