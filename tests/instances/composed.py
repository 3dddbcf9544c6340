"""Sums, wrapped losses, penalties."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
