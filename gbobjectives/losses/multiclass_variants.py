"""Variants of cross-entropy, and a hinge of classes."""

__all__: list[str] = []
