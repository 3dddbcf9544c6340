"""Losses of one class out of many."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def cross_entropy(loss, y, f):
    k, s = loss.n_classes, mpf(loss.label_smoothing)
    total = sum(mp.exp(x) for x in f)
    target = [(1 - s) * (i == int(y)) + s / k for i in range(k)]
    return -sum(t * mp.log(mp.exp(x) / total) for t, x in zip(target, f, strict=True))


INSTANCES = [
    Instance(gbo.CrossEntropyLoss(n_classes=2), cross_entropy),
    Instance(gbo.CrossEntropyLoss(n_classes=3), cross_entropy),
    Instance(gbo.CrossEntropyLoss(n_classes=10), cross_entropy),
    Instance(gbo.CrossEntropyLoss(n_classes=4, label_smoothing=0.1), cross_entropy),
]
