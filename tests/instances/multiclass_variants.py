"""Variants of cross-entropy, one against the rest."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
