"""Asymmetric and other losses of a residual."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
