"""Relative and logarithmic errors."""

__all__: list[str] = []
