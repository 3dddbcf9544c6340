"""Losses whose rows see each other."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def dice(loss, y, f):
    p, s = [1 / (1 + mp.exp(-x)) for x in f], mpf(loss.smooth)
    both = sum(a * b for a, b in zip(y, p, strict=True))
    return 1 - (2 * both + s) / (sum(p) + sum(y) + s)


def ranking(loss, y, f):
    rows = list(zip(y, f, strict=True))
    pairs = [(a, b) for a in rows for b in rows if a[0] > b[0]]
    return sum(max(mpf(0), mpf(loss.margin) - (a[1] - b[1])) for a, b in pairs) / len(pairs)


INSTANCES = [
    Instance(gbo.DiceLoss(), dice),
    Instance(gbo.DiceLoss(smooth=1e-3), dice),
    Instance(gbo.MarginRankingLoss(margin=1.0), ranking),
    Instance(gbo.MarginRankingLoss(margin=0.3), ranking),
]
