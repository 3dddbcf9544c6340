"""A loss under test, with its formula written naively for mpmath."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gbobjectives as gbo
from gbobjectives.testing.samples import draw_labels


@dataclass(frozen=True)
class Instance:
    """`points(loss)` gives labels and raw predictions where those by link do not fit."""

    loss: gbo.Loss
    value: Callable[..., Any]
    points: Callable[[gbo.Loss], list[tuple[Any, Any]]] | None = None

    @property
    def id(self) -> str:
        return repr(self.loss).replace("Loss(", "(")

    @property
    def by_rows(self) -> bool:
        return isinstance(self.loss, gbo.RowLoss)

    def resolved(self) -> gbo.Loss:
        """The loss with numbers: for "auto", those of a fixed sample."""
        if self.loss.resolved:
            return self.loss
        y = labels(self, np.random.default_rng(7), 200)
        f = np.zeros(200 if self.loss.n_outputs == 1 else (200, self.loss.n_outputs))
        return self.loss.resolve(y, f)


def labels(instance: Instance, rng: np.random.Generator, n: int) -> np.ndarray:
    """Labels from the domain of the loss."""
    return draw_labels(instance.loss, rng, n)
