"""Counts and positive amounts."""

from mpmath import mp

import gbobjectives as gbo
from tests.instances.instance import Instance


def poisson(loss, y, f):
    return mp.exp(f) - y * f


INSTANCES = [
    Instance(gbo.PoissonLoss(), poisson),
]
