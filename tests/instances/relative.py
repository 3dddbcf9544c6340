"""Relative and logarithmic errors."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
