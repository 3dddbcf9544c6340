"""Robust losses, redescending ones among them."""

from tests.instances.instance import Instance

INSTANCES: list[Instance] = []
