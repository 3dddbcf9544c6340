"""Variants of log loss."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
