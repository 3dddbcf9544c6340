"""Losses of the order of rows within a query, logistic in pairs or in whole lists."""

import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from gbobjectives._batch import Groups
from tests.instances.instance import Instance


def pairs(y, f):
    rows = list(zip(y, f, strict=True))
    return [(a, b) for a in rows for b in rows if a[0] > b[0]]


def ranknet(loss, y, f):
    lost = [mp.log(1 + mp.exp(-(a[1] - b[1]))) for a, b in pairs(y, f)]
    return sum(lost) / len(lost)


def discount(place, k):
    return 1 / mp.log(place + 2, 2) if place < k else mpf(0)


def lambda_ndcg(loss, y, f):
    k = loss.truncation or len(y)
    place = {a: i for i, a in enumerate(sorted(f, reverse=True))}
    ideal = sum((2**a - 1) * discount(i, k) for i, a in enumerate(sorted(y, reverse=True)))

    def change(a, b):
        gap = discount(place[a[1]], k) - discount(place[b[1]], k)
        return abs((2 ** a[0] - 2 ** b[0]) * gap) / ideal

    lost = [change(a, b) * mp.log(1 + mp.exp(-(a[1] - b[1]))) for a, b in pairs(y, f)]
    return sum(lost) / len(y)


def divergence(amounts, f):
    target = [a / sum(amounts) for a in amounts]
    total = sum(mp.exp(x) for x in f)
    return sum(t * mp.log(t / (mp.exp(x) / total)) for t, x in zip(target, f, strict=True))


def list_net(loss, y, f):
    return divergence([mp.exp(x) for x in y], f)


def xe_ndcg(loss, y, f):
    labels = np.array([float(x) for x in y])
    gamma = loss._noise(labels, np.ones(len(y)), Groups(np.array([len(y)])))
    return divergence([2**a - mpf(float(g)) for a, g in zip(y, gamma, strict=True)], f)


def graded(loss):
    """Batches of the grades that ranking sets have, scores from near to far apart."""
    rng = np.random.default_rng(8)
    spreads = (0.1, 1.0, 4.0, 9.0)
    return [(rng.permutation([0.0, 0, 1, 1, 2, 3, 4]), s * rng.normal(size=7)) for s in spreads]


INSTANCES = [
    Instance(gbo.PairwiseLogisticLoss(), ranknet),
    Instance(gbo.LambdaNDCGLoss(), lambda_ndcg, points=graded),
    Instance(gbo.LambdaNDCGLoss(truncation=3), lambda_ndcg, points=graded),
    Instance(gbo.ListNetLoss(), list_net),
    Instance(gbo.XENDCGLoss(seed=3), xe_ndcg, points=graded),
    Instance(gbo.XENDCGLoss(draw=7), xe_ndcg, points=graded),
]
