"""Redescending losses: badly wrong rows lose their gradient (identity link)."""

__all__: list[str] = []
