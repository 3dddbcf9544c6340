"""The callables that LightGBM is handed, and the functions that make them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gbobjectives.adapters import _common as common
from gbobjectives.adapters._whole_data import on_lightgbm_worker, whole_data
from gbobjectives.losses.base import Loss
from gbobjectives.metrics import Metric
from gbobjectives.objective import Objective, as_objective

# LightGBM gives a Python objective no way to sum over workers.
ON_WORKERS = (
    "give the estimator gbobjectives.lgb.dask_objective(loss, y, sample_weight), or use "
    "gbobjectives.xgb.dask_train"
)


def shifted(raw_prediction: Any, offset: tuple[float, ...]) -> Any:
    """Scores with the intercept that is not in the trees yet."""
    return raw_prediction + np.asarray(offset) if offset else raw_prediction


def for_kernels(raw_prediction: Any) -> Any:
    """Scores as float32: twice as fast, and as exact as the labels, which LightGBM keeps so.

    The gradients are float32 as well. Metrics see the float64 scores.
    """
    return np.asarray(raw_prediction, dtype=np.float32)


def with_intercept(feval: Callable[[Any, Any], Any], start: tuple[float, ...]) -> Any:
    """The user's metric on the scores of the finished model, intercept included."""
    return lambda scores, dataset: feval(shifted(scores, start), dataset)


@dataclass(frozen=True)
class LGBObjective:
    """``params["objective"]`` of `lightgbm.train` and `lightgbm.cv`: ``(scores, dataset)``."""

    objective: Objective
    offset: tuple[float, ...] = ()

    def __call__(self, raw_prediction: Any, dataset: Any) -> tuple[Any, Any]:
        """Hand over what the library asks for."""
        y, w, group = fields_of(dataset)
        raw = for_kernels(shifted(raw_prediction, self.offset))
        return self.objective.gradient_hessian(y, raw, w, group)


@dataclass(frozen=True)
class LGBMetric:
    """``feval`` of `lightgbm.train` and `lightgbm.cv`: ``(predictions, dataset)``."""

    metric: Metric
    given: Literal["raw", "response"] = "raw"
    offset: tuple[float, ...] = ()

    def __call__(self, prediction: Any, dataset: Any) -> tuple[str, float, bool]:
        """Hand over what the library asks for."""
        y, w, group = fields_of(dataset)
        value = self.metric(y, shifted(prediction, self.offset), w, group, given=self.given)
        return self.metric.name, value, bool(self.metric.greater_is_better)


@dataclass(frozen=True)
class LGBSklearnObjective:
    """``objective`` of the estimators: LightGBM counts the four parameters."""

    objective: Objective

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, group: Any = None
    ) -> tuple[Any, Any]:
        """Hand over what the library asks for."""
        with whole_data(self.objective, group, on_lightgbm_worker(), ON_WORKERS):
            raw = for_kernels(y_pred)
            return self.objective.gradient_hessian(y_true, raw, sample_weight, group)


@dataclass(frozen=True)
class LGBSklearnMetric:
    """``eval_metric`` of the estimators: LightGBM counts the four parameters."""

    metric: Metric
    given: Literal["raw", "response"] = "raw"

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, group: Any = None
    ) -> tuple[str, float, bool]:
        """Hand over what the library asks for."""
        value = self.metric(y_true, y_pred, sample_weight, group, given=self.given)
        return self.metric.name, value, bool(self.metric.greater_is_better)


def objective(loss: Any) -> LGBObjective:
    """Objective for ``params["objective"]`` of `lightgbm.train` and `lightgbm.cv`.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What to minimise.

    Returns
    -------
    LGBObjective
        A picklable callable ``(scores, dataset) -> (gradient, hessian)``.

    Notes
    -----
    It cannot set the intercept or the link of the model, as `train` does: training starts at 0
    (or at the ``init_score``), and ``predict`` returns raw scores.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.lgb.objective(gbo.HuberLoss(delta=1.0)).objective.loss
    HuberLoss(delta=1.0)
    """
    return LGBObjective(as_objective(loss, "lgb.objective"))


def metric(
    metric: Any,
    *,
    loss: Any = None,
    greater_is_better: bool | None = None,
    name: str = "",
    given: Literal["raw", "response"] = "raw",
) -> LGBMetric:
    """Metric for ``feval=`` of `lightgbm.train` and `lightgbm.cv`.

    Parameters
    ----------
    metric : Loss, Metric, str or callable
        A loss (its own metric is taken) or a scikit-learn style function of responses.
    loss : Loss, Objective or str, optional
        The loss that is trained, whose link makes responses for a function.
    greater_is_better : bool, optional
        Direction, required for a function.
    name : str, optional
        Name in the log.
    given : {"raw", "response"}
        What LightGBM will hand over: raw scores under a custom objective (the default),
        responses under a built-in one.

    Returns
    -------
    LGBMetric
        A picklable callable ``(predictions, dataset) -> (name, value, is_higher_better)``.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.lgb.metric(gbo.AbsoluteErrorLoss()).metric.name
    'mae'
    """
    return LGBMetric(common.metric_of("lgb.metric", metric, loss, greater_is_better, name), given)


def sklearn_objective(loss: Any) -> LGBSklearnObjective:
    """Objective for `LGBMRegressor`, `LGBMClassifier` and `LGBMRanker`.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What to minimise.

    Returns
    -------
    LGBSklearnObjective
        A picklable callable ``(y_true, y_pred, sample_weight, group) -> (gradient, hessian)``.

    Notes
    -----
    Under a callable objective the estimators start at 0 and predict raw scores; apply
    ``loss.predict`` to them, or use `train`.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.lgb.sklearn_objective("log_cosh").objective.loss.name
    'log_cosh'
    """
    return LGBSklearnObjective(as_objective(loss, "lgb.sklearn_objective"))


def sklearn_metric(
    metric: Any,
    *,
    loss: Any = None,
    greater_is_better: bool | None = None,
    name: str = "",
    given: Literal["raw", "response"] = "raw",
) -> LGBSklearnMetric:
    """Metric for ``eval_metric=`` of the LightGBM estimators; parameters are those of `metric`.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.lgb.sklearn_metric(gbo.LogLoss()).metric.name
    'log_loss'
    """
    return LGBSklearnMetric(
        common.metric_of("lgb.metric", metric, loss, greater_is_better, name), given
    )


def fields_of(dataset: Any, where: str = "lightgbm") -> tuple[Any, Any, Any]:
    """Labels, weights (or None) and group sizes (or None) of a Dataset."""
    y, w, group = (field_of(dataset, name) for name in ("label", "weight", "group"))
    if y is None:
        raise ValueError(f"{where}: the Dataset has no labels")
    return y, w, group


def field_of(dataset: Any, name: str) -> Any:
    """Field of a Dataset; before it is built, what the user gave."""
    return _flat(getattr(dataset, f"get_{name}")() if is_built(dataset) else getattr(dataset, name))


def is_built(dataset: Any) -> bool:
    # LightGBM 4.0 to 4.3 call it handle; the getters raise before a Dataset is built.
    return getattr(dataset, "_handle", getattr(dataset, "handle", None)) is not None


def _flat(values: Any) -> Any:
    """LightGBM keeps what the user gave until the Dataset is built: lists, Series, frames."""
    if values is None:
        return None
    array = np.asarray(common.host_array(values))
    one_column = array.ndim == 2 and array.shape[1] == 1
    return array[:, 0] if one_column and hasattr(values, "columns") else array


def init_score_of(data: Any, loss: Loss) -> Any:
    """Offsets of a Dataset as the loss has its scores; None where there are none."""
    score = field_of(data, "init_score")
    if score is None:
        return None
    array = np.asarray(score, dtype=np.float64)
    if loss.n_outputs > 1 and array.ndim == 1 and array.size % loss.n_outputs == 0:
        return array.reshape(-1, loss.n_outputs, order="F")
    return array if loss.n_outputs > 1 else array.ravel()
