"""Counts and positive amounts."""

from mpmath import mp, mpf

import gbobjectives as gbo
from tests.instances.instance import Instance


def poisson(loss, y, f):
    return mp.exp(f) - y * f


def gamma(loss, y, f):
    return f + y * mp.exp(-f)


def tweedie(loss, y, f):
    """The usual deviance has constants of y besides; its ends are logarithms."""
    p = mpf(loss.power)
    up = -y * f if p == 1 else y * mp.exp((1 - p) * f) / (p - 1)
    down = f if p == 2 else mp.exp((2 - p) * f) / (2 - p)
    return up + down


def inverse_gaussian(loss, y, f):
    return y * mp.exp(-2 * f) / 2 - mp.exp(-f)


def negative_binomial(loss, y, f):
    a = mpf(loss.dispersion)
    return (y + 1 / a) * mp.log(1 + a * mp.exp(f)) - y * f


def inside_the_exponentials(loss):
    """Up to where both fit float32; beyond, they saturate."""
    labels = (0.0, 1.0, 7.5) if loss.y_domain.low_inclusive else (0.125, 1.0, 7.5)
    return [(y, f) for y in labels for f in (-30.0, -8.0, -1.0, 0.0, 0.6, 2.0, 11.0, 30.0, 60.0)]


POWERS = (1.0, 1.01, 1.3, 1.5, 1.9, 2.0)

INSTANCES = [
    Instance(gbo.PoissonLoss(), poisson),
    Instance(gbo.GammaLoss(), gamma, inside_the_exponentials),
    *(Instance(gbo.TweedieLoss(p), tweedie, inside_the_exponentials) for p in POWERS),
    Instance(gbo.InverseGaussianLoss(), inverse_gaussian, inside_the_exponentials),
    Instance(gbo.NegativeBinomialLoss(), negative_binomial, inside_the_exponentials),
    Instance(gbo.NegativeBinomialLoss(1e-3), negative_binomial, inside_the_exponentials),
    Instance(gbo.NegativeBinomialLoss(50.0), negative_binomial, inside_the_exponentials),
]
