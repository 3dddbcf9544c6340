"""Losses that draw: noise classes, triplets; and sequences, whose paths are summed one by one."""

from itertools import groupby, product

import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from gbobjectives._batch import Groups
from tests.instances.instance import Instance


def logistic(u):
    return 1 / (1 + mp.exp(-u))


def noise_contrastive(loss, y, f):
    shares = [mpf(1)] * loss.n_classes if loss.noise == "uniform" else list(map(mpf, loss.noise))
    u = [x - mp.log(loss.n_noise * q / sum(shares)) for x, q in zip(f, shares, strict=True)]
    (noise,) = loss.noise_classes(np.array([float(y)]))
    return -mp.log(logistic(u[int(y)])) - sum(mp.log(logistic(-u[j])) for j in noise)


def ctc(loss, y, f):
    rows = [[mp.exp(x) for x in row] for row in f]
    p = [[x / sum(row) for x in row] for row in rows]
    target = [int(k) for k in loss.targets.values[int(y[0])] if k >= 0]
    total = mpf(0)
    for path in product(range(loss.n_symbols), repeat=len(f)):
        if [k for k, _ in groupby(path) if k != loss.blank] == target:
            total += mp.fprod(p[t][k] for t, k in enumerate(path))
    return -mp.log(total)


def frames(loss):
    rng, k = np.random.default_rng(8), loss.n_symbols
    return [
        (np.full(5, i), s * rng.normal(size=(5, k)))
        for i in range(len(loss.targets))
        for s in (0.1, 1.0, 4.0)
    ]


def triplet(loss, y, f):
    rows = loss.triplet_rows(np.array(y, dtype=float), Groups(np.array([len(y)])))
    root = mp.sqrt if loss.distance == "euclidean" else lambda x: x

    def d(i, j):
        return root(sum((a - b) ** 2 for a, b in zip(f[i], f[j], strict=True)))

    hinges = [max(mpf(0), d(a, p) - d(a, n) + loss.margin) for a, p, n in rows.T]
    return sum(hinges) / len(hinges)


def places(loss):
    rng, classes = np.random.default_rng(9), [0.0, 0.0, 1.0, 1.0, 1.0, 4.0]
    return [(np.array(classes), s * rng.normal(size=(6, loss.n_outputs))) for s in (0.01, 1.0, 9.0)]


INSTANCES = [
    Instance(gbo.NoiseContrastiveLoss(n_classes=3, n_noise=2), noise_contrastive),
    Instance(gbo.NoiseContrastiveLoss(n_classes=12, noise="unigram"), noise_contrastive),
    Instance(gbo.NoiseContrastiveLoss(4, 5, [1.0, 0.2, 3.0, 1.0], seed=2), noise_contrastive),
    Instance(gbo.CTCLoss(n_symbols=3).bind([[1, 2], [1, 1], [2, 1, 2], []]), ctc, frames),
    Instance(gbo.CTCLoss(n_symbols=3, blank=2).bind([[0], [1, 0, 1]]), ctc, frames),
    Instance(gbo.TripletMarginLoss(), triplet, places),
    Instance(gbo.TripletMarginLoss(0.3, 3, "squared", n_triplets=2), triplet, places),
]
