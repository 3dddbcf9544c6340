"""What losses of class labels share: class weights and label smoothing."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array
from gbobjectives.losses._intercept import weights_of
from gbobjectives.losses.kinds import RowLoss

__all__: list[str] = []


def class_weights(owner: str, name: str, given: Any, n_classes: int) -> Any:
    """Class weights as a tuple, "balanced" or None; a dictionary may leave classes at 1."""
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given
    if isinstance(given, Mapping):
        unknown = [c for c in given if c not in range(n_classes)]
        if unknown:
            raise ValueError(
                f"{owner}: {name} must have the classes 0 to {n_classes - 1} as keys; "
                f"got {unknown[0]!r}"
            )
        given = [given.get(c, 1.0) for c in range(n_classes)]
    if isinstance(given, str):
        raise ValueError(
            f'{owner}: {name} must be "balanced", a dictionary or a sequence; got {given!r}'
        )
    weights = check.real_parameters(owner, name, given, n_classes, check.NON_NEGATIVE)
    if max(weights) == 0:
        raise ValueError(f"{owner}: {name} must not be 0 for every class")
    return weights


def balanced_weights(totals: Array) -> tuple[float, ...]:
    """Each class's weight is n / (K n_class); that of a class without rows is 1."""
    seen = totals > 0
    weights = np.ones(len(totals))
    weights[seen] = totals.sum() / (len(totals) * totals[seen])
    return tuple(weights.tolist())


@dataclass(frozen=True)
class ClassLoss(RowLoss):
    """Base of losses of class labels, hard or soft.

    A soft label is a mixture of rows of each class, with its shares as their weights.

    Parameters
    ----------
    class_weight : mapping, sequence, "balanced" or None
        Weight of each class; a class that a mapping leaves out has 1. ``"balanced"`` is
        n / (K n_class), from the weighted training labels.
    label_smoothing : float
        s in [0, 1): the share t of a class becomes t (1 - s) + s/K.
    """

    class_weight: Any = field(default=None, kw_only=True)
    label_smoothing: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        weights = class_weights(owner, "class_weight", self.class_weight, self._n_classes())
        smoothing = check.real_parameter(
            owner, "label_smoothing", self.label_smoothing, check.HALF_OPEN_UNIT_INTERVAL
        )
        object.__setattr__(self, "class_weight", weights)
        object.__setattr__(self, "label_smoothing", smoothing)

    @abstractmethod
    def _n_classes(self) -> int: ...

    @abstractmethod
    def _shares(self, y: Array) -> Array:
        """Share of each class in a label, as given, shape (n, K)."""

    @property
    def resolved(self) -> bool:
        """Whether the class weights are numbers."""
        return not isinstance(self.class_weight, str)

    def _smoothed(self, share: Array) -> Array:
        s = self.label_smoothing
        return share if s == 0 else share * (1 - s) + s / self._n_classes()

    def _label_statistics(self, batch: Batch) -> Any:
        """Total weight of each class; None where nothing is estimated from it."""
        if self.resolved:
            return None
        totals: Array = weights_of(batch) @ self._shares(batch.y.astype(np.float64))
        return totals

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        if not isinstance(self.class_weight, str):
            return self
        return replace(self, class_weight=balanced_weights(statistics))
