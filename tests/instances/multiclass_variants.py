"""Variants of cross-entropy, one against the rest."""

import numpy as np
from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances import binary
from tests.instances.instance import Instance


def shares(loss, y):
    """Share of each class in the label, smoothed."""
    k, s = loss.n_classes, mpf(loss.label_smoothing)
    given = y if isinstance(y, list) else [mpf(i == int(y)) for i in range(k)]
    return [(1 - s) * t + s / k for t in given]


def numbers(given, k):
    """One number for all classes, one for each, or None for 1."""
    if given is None:
        return [mpf(1)] * k
    return [mpf(x) for x in given] if isinstance(given, tuple) else [mpf(given)] * k


def softmax(f):
    total = sum(mp.exp(x) for x in f)
    return [mp.exp(x) / total for x in f]


def focal(loss, y, f):
    k, gamma = loss.n_classes, mpf(loss.gamma)
    rows = zip(
        shares(loss, y),
        numbers(loss.class_weight, k),
        numbers(loss.alpha, k),
        softmax(f),
        strict=True,
    )
    return sum(-t * w * a * (1 - p) ** gamma * mp.log(p) for t, w, a, p in rows)


def divergence(loss, y, f):
    rows = zip(shares(loss, y), numbers(loss.class_weight, loss.n_classes), softmax(f), strict=True)
    return sum(t * w * mp.log(t / p) for t, w, p in rows if t > 0)


def categorical_hinge(loss, y, f):
    def hinge(c):
        return max(mpf(0), 1 + max(x for j, x in enumerate(f) if j != c) - f[c])

    return sum(t * hinge(c) for c, t in enumerate(shares(loss, y)))


NAIVE = {gbo.LogLoss: binary.log_loss, gbo.FocalLoss: binary.focal}


def one_vs_rest(loss, y, f):
    inner = loss.binary
    labels = y if isinstance(y, list) else [mpf(i == int(y)) for i in range(loss.n_classes)]
    return sum(NAIVE[type(inner)](inner, a, b) for a, b in zip(labels, f, strict=True))


def points(loss):
    """Hard and soft labels, and scores near each other and far apart."""
    rng, k = np.random.default_rng(5), loss.n_outputs
    hard = [(int(rng.integers(k)), s * rng.normal(size=k)) for s in (0.1, 1.0, 5.0, 20.0, 60.0)]
    soft = [(rng.dirichlet(np.ones(k)), s * rng.normal(size=k)) for s in (0.1, 1.0, 5.0, 20.0)]
    return hard + soft


INSTANCES = [
    Instance(gbo.SoftmaxFocalLoss(n_classes=3), focal, points),
    Instance(gbo.SoftmaxFocalLoss(n_classes=2, gamma=1.0), focal, points),
    Instance(gbo.SoftmaxFocalLoss(n_classes=4, gamma=0.0, alpha=0.25), focal, points),
    Instance(gbo.SoftmaxFocalLoss(n_classes=3, gamma=0.5, alpha=[1.0, 2.0, 0.5]), focal, points),
    Instance(gbo.SoftmaxFocalLoss(n_classes=4, gamma=5.0, alpha="balanced"), focal, points),
    Instance(gbo.SoftmaxFocalLoss(n_classes=3, label_smoothing=0.1), focal, points),
    Instance(gbo.KLDivergenceLoss(n_classes=3), divergence, points),
    Instance(gbo.KLDivergenceLoss(n_classes=4, label_smoothing=0.1), divergence, points),
    Instance(gbo.KLDivergenceLoss(n_classes=3, class_weight=[1, 2, 5]), divergence, points),
    Instance(gbo.CategoricalHingeLoss(n_classes=2), categorical_hinge, points),
    Instance(gbo.CategoricalHingeLoss(n_classes=4), categorical_hinge, points),
    Instance(gbo.CategoricalHingeLoss(n_classes=3, label_smoothing=0.1), categorical_hinge, points),
    Instance(gbo.OneVsRestLoss(gbo.LogLoss(), n_classes=3), one_vs_rest, points),
    Instance(gbo.OneVsRestLoss(gbo.FocalLoss(gamma=1.0), n_classes=4), one_vs_rest, points),
]
