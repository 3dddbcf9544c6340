"""Losses whose rows see each other by sums over the batch, and Cox's."""

import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from gbobjectives.losses.coupled_sum import CoupledSum
from tests.instances import binary
from tests.instances.instance import Instance


def expit(f):
    return [1 / (1 + mp.exp(-x)) for x in f]


def overlap(y, u, s, power=1):
    both = sum(a * b for a, b in zip(y, u, strict=True))
    return 1 - (2 * both + s) / (sum(x**power for x in u) + sum(x**power for x in y) + s)


def dice(loss, y, f):
    power = {"sum": 1, "squares": 2}[loss.denominator]
    return overlap(y, expit(f), mpf(loss.smooth), power)


def self_adjusting(loss, y, f):
    u = [(1 - p) ** mpf(loss.alpha) * p for p in expit(f)]
    return overlap(y, u, mpf(loss.smooth))


def tversky(loss, y, f):
    rows, s = list(zip(y, expit(f), strict=True)), mpf(loss.smooth)
    tp = sum(a * p for a, p in rows)
    fp = sum((1 - a) * p for a, p in rows)
    fn = sum(a * (1 - p) for a, p in rows)
    return 1 - (tp + s) / (tp + mpf(loss.alpha) * fp + mpf(loss.beta) * fn + s)


def harmonized(loss, y, f):
    bins = {}
    for a, p in zip(y, expit(f), strict=True):
        at = int(mp.floor(abs(p - a) * loss.bins))
        bins.setdefault(at, []).append(-a * mp.log(p) - (1 - a) * mp.log(1 - p))
    return sum(sum(losses) / len(losses) for losses in bins.values()) / len(bins)


def cox(loss, y, f):
    rows = list(zip(y, f, strict=True))

    def at_risk(time):
        return sum(mp.exp(score) for label, score in rows if abs(label) >= time)

    return -sum(score - mp.log(at_risk(time)) for time, score in rows if time > 0) / len(rows)


NAIVE = {gbo.DiceLoss: dice, gbo.TverskyLoss: tversky, gbo.GradientHarmonizedLoss: harmonized}
OF_ROWS = {gbo.FocalLoss: binary.focal, gbo.LogLoss: binary.log_loss}


def total(loss, y, f):
    def part(x):
        if type(x) in NAIVE:
            return NAIVE[type(x)](x, y, f)
        return sum(OF_ROWS[type(x)](x, a, b) for a, b in zip(y, f, strict=True)) / len(y)

    assert isinstance(loss, CoupledSum)
    return sum(mpf(a) * part(x) for a, x in loss._parts())


def ranking(loss, y, f):
    rows = list(zip(y, f, strict=True))
    pairs = [(a, b) for a in rows for b in rows if a[0] > b[0]]
    return sum(max(mpf(0), mpf(loss.margin) - (a[1] - b[1])) for a, b in pairs) / len(pairs)


def times(loss):
    """Events and censored rows with ties, the latest with others at risk: h is a difference."""
    rng = np.random.default_rng(5)
    y = np.array([1.0, 2.0, -2.0, 2.0, -3.0, 4.0, -5.0, 0.0])
    return [(y, s * rng.normal(size=len(y))) for s in (0.0, 0.1, 1.0, 3.0)]


INSTANCES = [
    Instance(gbo.DiceLoss(), dice),
    Instance(gbo.DiceLoss(smooth=1e-3), dice),
    Instance(gbo.DiceLoss(denominator="squares"), dice),
    Instance(gbo.DiceLoss(smooth=1e-3, denominator="squares"), dice),
    Instance(gbo.TverskyLoss(), tversky),
    Instance(gbo.TverskyLoss(alpha=0.3, beta=0.7, smooth=0.01), tversky),
    Instance(gbo.TverskyLoss(alpha=2.0, beta=0.0), tversky),
    Instance(gbo.SelfAdjustingDiceLoss(), self_adjusting),
    Instance(gbo.SelfAdjustingDiceLoss(alpha=0.3), self_adjusting),
    Instance(gbo.SelfAdjustingDiceLoss(alpha=3.0, smooth=0.1), self_adjusting),
    Instance(gbo.GradientHarmonizedLoss(), harmonized),
    Instance(gbo.GradientHarmonizedLoss(bins=30), harmonized),
    Instance(gbo.GradientHarmonizedLoss(bins=3, momentum=0.7), harmonized),
    Instance(gbo.FocalDiceLoss(), total),
    Instance(gbo.FocalDiceLoss(gamma=1.0, alpha=0.3, smooth=0.1, dice_weight=3.0), total),
    Instance(2.0 * gbo.DiceLoss(), total),
    Instance(gbo.LogLoss() + 0.5 * gbo.TverskyLoss() + 0.3 * gbo.GradientHarmonizedLoss(), total),
    Instance(gbo.CoxLoss(), cox, times),
    Instance(gbo.MarginRankingLoss(margin=1.0), ranking),
    Instance(gbo.MarginRankingLoss(margin=0.3), ranking),
]
