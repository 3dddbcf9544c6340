"""Losses of several labels a row, and of ordered classes, made of losses of one."""

__all__: list[str] = []
