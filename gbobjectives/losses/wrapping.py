"""A loss with weighted classes, smoothed labels or ignored rows: one parameter more."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from gbobjectives.losses.base import Loss
from gbobjectives.losses.classes import EffectiveNumber
from gbobjectives.losses.composition import Composition, RawPenalty

__all__ = ["ClassBalanced", "ClassWeighted", "LabelSmoothed", "Masked"]

L = TypeVar("L", bound=Loss)


def _with(owner: str, loss: L, parameter: str, value: Any) -> L:
    """The loss with a parameter that it must have, and not use yet."""
    if not isinstance(loss, Loss):
        raise TypeError(f"{owner}: a loss is wanted; got {loss!r}")
    if isinstance(loss, Composition) and parameter != "ignore_index":
        terms = [
            (a, x if isinstance(x, RawPenalty) else _with(owner, x, parameter, value))
            for a, x in loss.terms
        ]
        return replace(loss, terms=tuple(terms))
    known = {field.name: field.default for field in fields(loss)}
    if parameter not in known:
        raise TypeError(f"{owner}: {loss!r} has no {parameter}")
    if getattr(loss, parameter) != known[parameter]:
        raise ValueError(f"{owner}: {loss!r} has a {parameter} already")
    return replace(loss, **{parameter: value})


def ClassWeighted(loss: L, class_weight: Any) -> L:
    """The loss with a weight for each class.

    Parameters
    ----------
    loss : Loss
        A loss of class labels, or a sum of such.
    class_weight : mapping, sequence, "balanced" or EffectiveNumber
        Weight of each class; ``"balanced"`` is n / (K n_class), from the training labels.

    Raises
    ------
    TypeError, ValueError
        If the loss knows no classes, or has weights already.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.ClassWeighted(gbo.FocalLoss(), {1: 5.0})
    FocalLoss(gamma=2.0, alpha=None, class_weight=(1.0, 5.0))
    """
    return _with("ClassWeighted", loss, "class_weight", class_weight)


def ClassBalanced(loss: L, beta: float = 0.999) -> L:
    """The loss with classes weighed by one over their effective number of rows.

    Parameters
    ----------
    loss : Loss
        A loss of class labels, or a sum of such.
    beta : float
        In [0, 1): see `EffectiveNumber`.

    Raises
    ------
    TypeError, ValueError
        If the loss knows no classes, or has weights already, or beta is out of range.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.ClassBalanced(gbo.FocalLoss())
    FocalLoss(gamma=2.0, alpha=None, class_weight=EffectiveNumber(beta=0.999))
    >>> gbo.get_loss("class_balanced", loss="log", beta=0.999) == gbo.ClassBalanced(gbo.LogLoss())
    True
    """
    return ClassWeighted(loss, EffectiveNumber(beta))


def LabelSmoothed(loss: L, label_smoothing: float) -> L:
    """The loss of labels that are drawn to equal shares of the classes.

    Parameters
    ----------
    loss : Loss
        A loss of class labels, or a sum of such.
    label_smoothing : float
        s in [0, 1): the share t of a class becomes t (1 - s) + s/K.

    Raises
    ------
    TypeError, ValueError
        If the loss knows no classes, or smooths already.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.LabelSmoothed(gbo.FocalLoss(), 0.1)
    FocalLoss(gamma=2.0, alpha=None, label_smoothing=0.1)
    """
    return _with("LabelSmoothed", loss, "label_smoothing", label_smoothing)


def Masked(loss: L, ignore: float = np.nan) -> L:
    """The loss without the rows of one label, as if their weight were 0.

    Parameters
    ----------
    loss : Loss
        Any loss of rows.
    ignore : float
        The label; NaN by default (which LightGBM can carry in a Dataset, and XGBoost can not).

    Raises
    ------
    TypeError, ValueError
        If it is no loss, or ignores a label already.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.Masked(gbo.LogLoss(), -1).gradient([1.0, -1.0], [0.0, 0.0])
    array([-0.5, -0. ])
    """
    return _with("Masked", loss, "ignore_index", ignore)
