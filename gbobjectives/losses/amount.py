"""Losses of positive amounts, and of overdispersed counts (log link)."""

__all__: list[str] = []
