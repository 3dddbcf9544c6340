"""Hinges and other margin losses that estimate a decision, not a probability."""

__all__: list[str] = []
