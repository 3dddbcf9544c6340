"""Hinges and their kin."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def _mixture(phi):
    """Value of a row from phi(z), with the class weights and the smoothing of the loss."""

    def value(loss, y, f):
        s = mpf(loss.label_smoothing)
        y = y * (1 - s) + s / 2
        negative, positive = loss.class_weight or (1, 1)
        positive = mpf(positive) * mpf(loss.pos_weight)
        return positive * y * phi(f) + mpf(negative) * (1 - y) * phi(-f)

    return value


def hinge(z):
    return max(0, 1 - z)


def squared_hinge(z):
    return max(0, 1 - z) ** 2


def smoothed_hinge(z):
    if z <= 0:
        return mpf(1) / 2 - z
    return (1 - z) ** 2 / 2 if z < 1 else mpf(0)


def modified_huber(z):
    return -4 * z if z < -1 else max(0, 1 - z) ** 2


def perceptron(z):
    return max(0, -z)


def exponential(z):
    return mp.exp(-z)


def hinge_embedding(loss, y, f):
    return y * max(0, f) + (1 - y) * max(0, mpf(loss.margin) - f)


# Off the kinks at 0 and at 1, and within what float32 holds of e^f.
SIZES = (1e-3, 0.5, 0.97, 1.03, 2.5, 17.0, 50.0)


def off_the_kinks(loss):
    return [(y, s * x) for y in (0.0, 1.0, 0.3) for x in SIZES for s in (1, -1)]


def far(loss):
    return [(y, f) for y, f in off_the_kinks(loss)] + [(1.0, -1e6), (0.0, 1e6), (0.3, 1e4)]


INSTANCES = [
    Instance(gbo.HingeLoss(), _mixture(hinge), far),
    Instance(gbo.HingeLoss(pos_weight=3.0, label_smoothing=0.1), _mixture(hinge), far),
    Instance(gbo.SquaredHingeLoss(), _mixture(squared_hinge), far),
    Instance(gbo.SquaredHingeLoss(class_weight=(0.5, 2.0)), _mixture(squared_hinge), far),
    Instance(gbo.SmoothedHingeLoss(), _mixture(smoothed_hinge), far),
    Instance(gbo.SmoothedHingeLoss(pos_weight=0.25), _mixture(smoothed_hinge), far),
    Instance(gbo.ModifiedHuberLoss(), _mixture(modified_huber), far),
    Instance(gbo.ModifiedHuberLoss(label_smoothing=0.2), _mixture(modified_huber), far),
    Instance(gbo.PerceptronLoss(), _mixture(perceptron), far),
    Instance(gbo.ExponentialLoss(), _mixture(exponential), off_the_kinks),
    Instance(gbo.ExponentialLoss(pos_weight=2.0), _mixture(exponential), off_the_kinks),
    Instance(gbo.HingeEmbeddingLoss(), hinge_embedding, far),
    Instance(gbo.HingeEmbeddingLoss(margin=0.3), hinge_embedding, far),
]
