"""Variants of log loss: for imbalance, for noisy labels, of the probability."""

__all__: list[str] = []
