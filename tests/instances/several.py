"""Several outputs and labels a row."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
