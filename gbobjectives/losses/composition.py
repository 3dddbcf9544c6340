"""Sums of losses, penalties, and wrappers: a composition is a loss."""

__all__: list[str] = []
