"""What losses of class labels share: class weights and label smoothing."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._batch import Batch
from gbobjectives._numerics import Array, weighted_sum
from gbobjectives.losses._intercept import weights_of
from gbobjectives.losses.kinds import RowLoss

__all__ = ["EffectiveNumber"]


@dataclass(frozen=True)
class EffectiveNumber:
    r"""Class weights :math:`(1 - \beta)/(1 - \beta^{n_c})`: one over the effective number of rows.

    For ``class_weight=`` of any loss of class labels. n_c is the total weight of the training
    rows of a class; the weights are normalised to sum to the number of classes. A class without
    rows has weight 1.

    Parameters
    ----------
    beta : float
        In [0, 1): 0 weighs all classes 1, near 1 it is one over the class's share.

    Raises
    ------
    ValueError
        If beta is out of range.

    References
    ----------
    .. [1] Cui et al., Class-balanced loss based on effective number of samples, 2019,
       arXiv:1901.05555.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> loss = gbo.LogLoss(class_weight=gbo.EffectiveNumber(0.9))
    >>> [round(x, 3) for x in loss.resolve([0.0] * 20 + [1.0], [0.0] * 21).class_weight]
    [0.204, 1.796]
    """

    beta: float = 0.999

    def __post_init__(self) -> None:
        allowed = check.HALF_OPEN_UNIT_INTERVAL
        beta = check.real_parameter("EffectiveNumber", "beta", self.beta, allowed)
        object.__setattr__(self, "beta", beta)

    def spec(self) -> dict[str, float]:
        """As JSON types, which ``class_weight=`` takes as well."""
        return {"effective_number": self.beta}

    def weights(self, totals: Array) -> tuple[float, ...]:
        """Weight of each class, from the `totals` of the weights of its rows."""
        seen = totals > 0
        rates = np.ones(len(totals))
        with np.errstate(divide="ignore"):
            # naive beta^n rounds to 1 for a beta near 1
            rates[seen] = -1 / np.expm1(totals[seen] * np.log1p(self.beta - 1))
        rates[seen] *= seen.sum() / rates[seen].sum()
        return tuple(rates.tolist())


def class_weights(owner: str, name: str, given: Any, n_classes: int) -> Any:
    """Class weights as a tuple or a recipe or None; a dictionary may leave classes at 1."""
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given
    if name == "class_weight":
        if isinstance(given, Mapping) and set(given) == {"effective_number"}:
            given = EffectiveNumber(given["effective_number"])
        if isinstance(given, EffectiveNumber):
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
    class_weight : mapping, sequence, "balanced", EffectiveNumber or None
        Weight of each class; a class that a mapping leaves out has 1. ``"balanced"`` is
        n / (K n_class), from the weighted training labels; see also `EffectiveNumber`.
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
        return not isinstance(self.class_weight, str | EffectiveNumber)

    def _smoothed(self, share: Array) -> Array:
        s = self.label_smoothing
        return share if s == 0 else share * (1 - s) + s / self._n_classes()

    def _label_statistics(self, batch: Batch) -> Any:
        """Total weight of each class; None where nothing is estimated from it."""
        if self.resolved:
            return None
        totals: Array = weighted_sum(weights_of(batch), self._shares(batch.y.astype(np.float64)))
        return totals

    def _resolve(self, batch: Batch, statistics: Any) -> Self:
        if isinstance(self.class_weight, EffectiveNumber):
            return replace(self, class_weight=self.class_weight.weights(statistics))
        if isinstance(self.class_weight, str):
            return replace(self, class_weight=balanced_weights(statistics))
        return self
