"""Variants of log loss."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def _mixture(loss, y, positive, negative):
    """A row from the values of a positive and of a negative one."""
    s = mpf(loss.label_smoothing)
    y = y * (1 - s) + s / 2
    low, high = loss.class_weight or (1, 1)
    return mpf(high) * mpf(loss.pos_weight) * y * positive + mpf(low) * (1 - y) * negative


def _p(f):
    return 1 / (1 + mp.exp(-f))


def balanced(loss, y, f):
    p, alpha = _p(f), loss.alpha
    low, high = (1 - mpf(alpha), mpf(alpha)) if isinstance(alpha, float) else map(mpf, alpha)
    return _mixture(loss, y, -high * mp.log(p), -low * mp.log(1 - p))


def asymmetric(loss, y, f):
    p, m = _p(f), mpf(loss.margin)
    up, down = mpf(getattr(loss, "gamma_positive", 0)), mpf(getattr(loss, "gamma_negative", 0))
    shifted = max(p - m, 0)
    negative = -(shifted**down) * mp.log(1 - shifted) if shifted > 0 else mpf(0)
    return _mixture(loss, y, -((1 - p) ** up) * mp.log(p), negative)


def poly(loss, y, f):
    p, e = _p(f), mpf(loss.epsilon)
    return _mixture(loss, y, -mp.log(p) + e * (1 - p), -mp.log(1 - p) + e * p)


def symmetric(loss, y, f):
    p, a, b, zero = _p(f), mpf(loss.alpha), mpf(loss.beta), mpf(loss.log_zero)
    # -sum p log y of a hard label, with log 0 a number
    return _mixture(loss, y, -a * mp.log(p) - b * (1 - p) * zero, -a * mp.log(1 - p) - b * p * zero)


def generalized(loss, y, f):
    p, q = _p(f), mpf(loss.q)
    return _mixture(loss, y, (1 - p**q) / q, (1 - (1 - p) ** q) / q)


def ldam(loss, y, f):
    low, high = map(mpf, loss.margins)
    return _mixture(loss, y, -mp.log(_p(f - high)), -mp.log(1 - _p(f + low)))


def brier(loss, y, f):
    return _mixture(loss, y, (_p(f) - 1) ** 2 / 2, _p(f) ** 2 / 2)


INSTANCES = [
    Instance(gbo.BalancedLogLoss(), balanced),
    Instance(gbo.BalancedLogLoss(alpha=0.9, label_smoothing=0.1), balanced),
    Instance(gbo.BalancedLogLoss(alpha="balanced"), balanced),
    Instance(gbo.BalancedLogLoss(alpha=(0.5, 2.0)), balanced),
    Instance(gbo.AsymmetricLoss(), asymmetric),
    Instance(gbo.AsymmetricLoss(gamma_negative=2.0, class_weight=(1.0, 3.0)), asymmetric),
    Instance(gbo.AsymmetricLoss(gamma_negative=0.5, gamma_positive=0.0, margin=0.2), asymmetric),
    Instance(gbo.AsymmetricLoss(gamma_negative=3.0, gamma_positive=1.0, margin=0.0), asymmetric),
    Instance(gbo.AsymmetricCrossEntropyLoss(), asymmetric),
    Instance(gbo.AsymmetricCrossEntropyLoss(margin=0.0), asymmetric),
    Instance(gbo.PolyLoss(), poly),
    Instance(gbo.PolyLoss(epsilon=-1.0), poly),
    Instance(gbo.PolyLoss(epsilon=8.0, pos_weight=2.0), poly),
    Instance(gbo.GeneralizedCrossEntropyLoss(), generalized),
    Instance(gbo.GeneralizedCrossEntropyLoss(q=1.0), generalized),
    Instance(gbo.GeneralizedCrossEntropyLoss(q=0.1, label_smoothing=0.1), generalized),
    Instance(gbo.SymmetricCrossEntropyLoss(), symmetric),
    Instance(gbo.SymmetricCrossEntropyLoss(alpha=0.1, beta=0.5), symmetric),
    Instance(gbo.LDAMLoss(), ldam),
    Instance(gbo.LDAMLoss(margins=(0.2, 1.5)), ldam),
    Instance(gbo.LDAMLoss(max_margin=1.0, class_weight="balanced"), ldam),
    Instance(gbo.BrierLoss(), brier),
    Instance(gbo.BrierLoss(class_weight=(1.0, 3.0), label_smoothing=0.1), brier),
]
