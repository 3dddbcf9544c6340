"""Metrics as functions of labels and responses, averaged over the last axis.

`gbobjectives.metrics` has them all. One data set is two arrays of shape (n,), the labels
``y_true`` and the responses ``y_pred``, and gives a float; rows of several labels, shape (n, m),
give one number each, shape (n,). The dtype of the prediction is kept. Every function takes
``sample_weight`` along the last axis, so that `Metric` can use it: ``Metric("rmse")``,
``Metric("accuracy")``.

>>> from gbobjectives import metrics
>>> metrics.mse([[0, 1, 1], [0, 0, 1]], [[1, 1, 0], [1, 0, 1]]).round(3)
array([0.667, 0.333])
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gbobjectives import _validation as check
from gbobjectives._numerics import Array, log_cosh
from gbobjectives.parallel import total

__all__ = [
    "accuracy",
    "categorical_hinge",
    "hinge",
    "logcosh",
    "mae",
    "mape",
    "mse",
    "msle",
    "rmse",
    "rmsle",
    "rmspe",
    "smape",
    "squared_hinge",
    "zero_one",
]

# What a label of 0 counts as in a relative error, where none is given.
EPSILON = 1e-7


def mse(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Mean squared error.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.mse([1.0, 3.0], [1.0, 5.0]))
    2.0
    """
    y, p = check.label_response_pair("mse", y_true, y_pred)
    return _mean((p - y) ** 2, sample_weight)


def rmse(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Root of the mean squared error, in the units of the label.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> round(float(metrics.rmse([1.0, 3.0], [1.0, 5.0])), 4)
    1.4142
    """
    return np.sqrt(mse(y_true, y_pred, sample_weight))


def mae(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Mean absolute error.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.mae([1.0, 3.0], [1.0, 5.0], sample_weight=[3.0, 1.0]))
    0.5
    """
    y, p = check.label_response_pair("mae", y_true, y_pred)
    return _mean(np.abs(p - y), sample_weight)


def mape(y_true: Any, y_pred: Any, sample_weight: Any = None, epsilon: float = EPSILON) -> Any:
    """Mean absolute percentage error: 100 abs(p - y) / max(abs(y), epsilon).

    Parameters
    ----------
    y_true, y_pred, sample_weight : array
        Labels, responses, weights.
    epsilon : float
        Size that smaller labels count as, in units of the label.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.mape([1.0, 4.0], [1.0, 5.0]))
    12.5
    """
    y, p = check.label_response_pair("mape", y_true, y_pred)
    size = np.maximum(np.abs(y), y.dtype.type(epsilon))
    return 100 * _mean(np.abs(p - y) / size, sample_weight)


def smape(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Symmetric mean absolute percentage error, 2 abs(p - y) / (abs(p) + abs(y)), from 0 to 2.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.smape([1.0, 3.0], [1.0, 1.0]))
    0.5
    """
    y, p = check.label_response_pair("smape", y_true, y_pred)
    size = np.abs(p) + np.abs(y)
    return _mean(2 * np.abs(p - y) / np.where(size > 0, size, 1), sample_weight)


def msle(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Mean squared logarithmic error, (log(1+p) - log(1+y))^2; responses must exceed -1.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> round(float(metrics.msle([0.0, 3.0], [1.0, 3.0])), 4)
    0.2402
    """
    y, p = check.label_response_pair("msle", y_true, y_pred)
    for what, values in (("y_true", y), ("y_pred", p)):
        if values.min() <= -1:
            raise ValueError(f"msle: {what} must exceed -1; got {values.min():g}")
    return _mean((np.log1p(p) - np.log1p(y)) ** 2, sample_weight)


def rmsle(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Root of the mean squared logarithmic error.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> round(float(metrics.rmsle([0.0, 3.0], [1.0, 3.0])), 4)
    0.4901
    """
    return np.sqrt(msle(y_true, y_pred, sample_weight))


def rmspe(y_true: Any, y_pred: Any, sample_weight: Any = None, epsilon: float = EPSILON) -> Any:
    """Root of the mean squared relative error, (p - y) / max(abs(y), epsilon); no percentage.

    Parameters
    ----------
    y_true, y_pred, sample_weight : array
        Labels, responses, weights.
    epsilon : float
        Size that smaller labels count as, in units of the label.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> round(float(metrics.rmspe([1.0, 4.0], [1.0, 5.0])), 4)
    0.1768
    """
    y, p = check.label_response_pair("rmspe", y_true, y_pred)
    size = np.maximum(np.abs(y), y.dtype.type(epsilon))
    return np.sqrt(_mean(((p - y) / size) ** 2, sample_weight))


def logcosh(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Mean of log(cosh(p - y)).

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> round(float(metrics.logcosh([1.0, 3.0], [1.0, 5.0])), 4)
    0.6625
    """
    y, p = check.label_response_pair("logcosh", y_true, y_pred)
    return _mean(log_cosh(p - y), sample_weight)


def hinge(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Mean of max(0, 1 - y p) of margins p; labels are -1 and 1, and multiply as they are.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.hinge([1, -1], [0.5, -2.0]))
    0.25
    """
    y, p = check.label_response_pair("hinge", y_true, y_pred)
    return _mean(np.maximum(0, 1 - y * p), sample_weight)


def squared_hinge(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Mean of max(0, 1 - y p)^2 of margins p; labels are -1 and 1, and multiply as they are.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.squared_hinge([1, -1], [0.5, -2.0]))
    0.125
    """
    y, p = check.label_response_pair("squared_hinge", y_true, y_pred)
    return _mean(np.maximum(0, 1 - y * p) ** 2, sample_weight)


def categorical_hinge(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Per row max(0, max((1 - y) p) - sum(y p) + 1), for one-hot labels and scores of shape (n, K).

    With ``sample_weight`` of shape (n,) their weighted mean.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> metrics.categorical_hinge([[0, 1, 0]], [[0.5, 1.0, 0.25]])
    array([0.5])
    """
    y, p = check.label_response_pair("categorical_hinge", y_true, y_pred)
    if y.ndim != 2:
        raise ValueError(f"categorical_hinge: y_true must be one-hot, (n, K); got {y.shape}")
    rows = np.maximum(0, ((1 - y) * p).max(axis=-1) - (y * p).sum(axis=-1) + 1)
    return rows if sample_weight is None else _mean(rows, sample_weight)


def zero_one(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Share of wrong decisions: 1 less `accuracy`.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.zero_one([1, 0, 1, 0], [0.9, 0.2, 0.3, 0.1]))
    0.25
    """
    return 1 - accuracy(y_true, y_pred, sample_weight)


def accuracy(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
    """Share of right decisions.

    Of probabilities with the shape of the labels, 1/2 and less decide for 0; of class
    probabilities or scores with one axis more, (n, K), the largest decides.

    Examples
    --------
    >>> from gbobjectives import metrics
    >>> float(metrics.accuracy([1, 0, 1, 0], [0.9, 0.2, 0.3, 0.1]))
    0.75
    """
    p = np.asarray(y_pred)
    decided = np.argmax(p, axis=-1) if p.ndim == np.ndim(y_true) + 1 else p > 0.5
    y, decided = check.label_response_pair("accuracy", y_true, decided)
    right = y == decided if p.ndim > np.ndim(y_true) else (y > 0.5) == decided
    return _mean(right.astype(np.float64), sample_weight)


def _mean(values: Array, sample_weight: Any) -> Any:
    if values.ndim == 1:
        w = np.ones_like(values) if sample_weight is None else np.asarray(sample_weight)
        weighted, weight = total([np.array([(values * w).sum(), w.sum()], dtype=np.float64)])
        return values.dtype.type(weighted / weight)
    if sample_weight is None:
        return values.mean(axis=-1)
    return np.average(values, axis=-1, weights=np.asarray(sample_weight))


#: Functions that `Metric` knows by name and that are no metric of a loss, with their direction.
NAMED: dict[str, tuple[Callable[..., Any], bool]] = {
    "rmse": (rmse, False),
    "rmsle": (rmsle, False),
    "rmspe": (rmspe, False),
    "zero_one": (zero_one, False),
    "accuracy": (accuracy, True),
}
