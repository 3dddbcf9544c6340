"""Hinges and their kin."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
