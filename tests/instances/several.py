"""Several outputs and labels a row, and classes in an order."""

import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances import amounts, binary, quantile, regression
from tests.instances.instance import Instance

NAIVE = {
    gbo.SquaredErrorLoss: regression.squared,
    gbo.HuberLoss: regression.huber,
    gbo.QuantileLoss: quantile.quantile,
    gbo.LogLoss: binary.log_loss,
    gbo.FocalLoss: binary.focal,
    gbo.PoissonLoss: amounts.poisson,
}


def each(loss, y, f):
    rows = zip(loss.losses, y, f, strict=True)
    return sum(NAIVE[type(inner)](inner, a, b) for inner, a, b in rows)


def labelled(loss):
    """Labels that are in the domain of every loss, and scores near and far."""
    rng, k = np.random.default_rng(5), loss.n_outputs
    return [(rng.random(k), s * rng.normal(size=k)) for s in (0.01, 1.0, 5.0, 30.0, 30.0)]


def ordinal(loss, y, f):
    ends = [mp.inf, *(-mpf(x) for x in loss.thresholds), -mp.inf]
    above = [1 / (1 + mp.exp(-f - x)) if mp.isfinite(x) else mpf(x > 0) for x in ends]
    return -mp.log(above[int(y)] - above[int(y) + 1])


def ordered(loss):
    scores = [0.0, 1e-6, 0.5, -1.3, 4.0, -9.0, 17.0, 37.0, -50.0, 100.0]
    return [(k, f) for k in range(loss.n_classes) for f in scores]


def cosine(loss, y, f):
    inner = sum(a * b for a, b in zip(y, f, strict=True))
    lengths = mp.sqrt(sum(a * a for a in y)), mp.sqrt(sum(b * b for b in f) + mpf(1e-6) ** 2)
    return -inner / lengths[0] / lengths[1]


def directions(loss):
    rng, k = np.random.default_rng(5), loss.n_outputs
    sizes = (1e-7, 1e-3, 1.0, 50.0, 1e6)
    return [(rng.normal(size=k), s * rng.normal(size=k)) for s in sizes for _ in range(2)]


INSTANCES = [
    Instance(gbo.MultiOutputLoss([gbo.SquaredErrorLoss(), gbo.HuberLoss()]), each, labelled),
    Instance(gbo.MultiOutputLoss([gbo.LogLoss(), gbo.FocalLoss()]), each, labelled),
    Instance(gbo.MultiOutputLoss([gbo.PoissonLoss()] * 3), each, labelled),
    Instance(
        gbo.MultiOutputLoss([gbo.LogLoss(), gbo.PoissonLoss(), gbo.QuantileLoss(0.9)]),
        each,
        labelled,
    ),
    Instance(gbo.OrdinalLogitLoss(n_classes=2), ordinal, ordered),
    Instance(gbo.OrdinalLogitLoss(n_classes=5), ordinal, ordered),
    Instance(gbo.OrdinalLogitLoss(n_classes=3, thresholds=[-1.0, 2.5]), ordinal, ordered),
    Instance(gbo.CosineSimilarityLoss(n_outputs=2), cosine, directions),
    Instance(gbo.CosineSimilarityLoss(n_outputs=5), cosine, directions),
]
