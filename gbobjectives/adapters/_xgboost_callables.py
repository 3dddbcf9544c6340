"""The callables that XGBoost is handed, and the functions that make them."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gbobjectives.adapters import _common as common
from gbobjectives.adapters._whole_data import on_xgboost_worker, whole_data
from gbobjectives.losses.kinds import GroupLoss, RowLoss
from gbobjectives.metrics import Metric
from gbobjectives.objective import Objective, as_objective

# Metric names that XGBoost's early stopping takes for scores to maximise.
MAXIMISED_PREFIXES = ("auc", "pre", "map", "ndcg")

ON_WORKERS = "use gbobjectives.xgb.dask_train"

# A value below this keeps fewer than two of its digits in six decimals.
UNREADABLE = 1e-5


@dataclass(frozen=True)
class XGBObjective:
    """``obj`` of `xgboost.train` and `xgboost.cv`: ``(margins, dtrain) -> (g, h)``.

    Where a DMatrix and its fields are `kept` they are not read again, which is a copy a round.
    """

    objective: Objective
    kept: tuple[Any, tuple[Any, Any, Any]] | None = None

    def __call__(self, raw_prediction: Any, dtrain: Any) -> tuple[Any, Any]:
        """Hand over what the library asks for."""
        if self.kept is not None and self.kept[0] is dtrain:
            y, w, group = self.kept[1]
        else:
            y, w, group = fields_of(dtrain, self.objective.loss)
        with whole_data(self.objective, group, on_xgboost_worker(), ON_WORKERS):
            return self.objective.gradient_hessian(y, raw_prediction, w, group)


@dataclass(frozen=True)
class XGBMetric:
    """``custom_metric`` of `xgboost.train` and `xgboost.cv`: ``(predictions, dmatrix)``."""

    metric: Metric
    given: Literal["raw", "response"] = "raw"

    def __call__(self, prediction: Any, dmatrix: Any) -> tuple[str, float]:
        """Hand over what the library asks for."""
        y, w, group = fields_of(dmatrix, self.metric.of)
        value = self.metric(y, prediction, w, group, given=self.given)
        if 0 < abs(value) < UNREADABLE:
            warnings.warn(
                f"XGBoost keeps six decimals of a metric, and {self.metric.name} is {value:.3g}: "
                "early stopping may not see it move; give Metric(multiplier=...)",
                stacklevel=2,
            )
        return self.metric.name, value


@dataclass(frozen=True)
class XGBSklearnObjective:
    """``objective`` of the scikit-learn estimators: ``(y_true, margins, sample_weight=None)``."""

    objective: Objective

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Any, Any]:
        """Hand over what the library asks for."""
        with whole_data(self.objective, None, on_xgboost_worker(), ON_WORKERS):
            return self.objective.gradient_hessian(y_true, y_pred, sample_weight)


@dataclass(frozen=True)
class XGBSklearnMetric:
    """``eval_metric`` of the scikit-learn estimators; they always minimise."""

    metric: Metric
    given: Literal["raw", "response"] = "raw"

    @property
    def __name__(self) -> str:
        return f"neg_{self.metric.name}" if self.metric.greater_is_better else self.metric.name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """Hand over what the library asks for."""
        value = self.metric(y_true, y_pred, sample_weight, given=self.given)
        return -value if self.metric.greater_is_better else value


def objective(loss: Any) -> XGBObjective:
    """Objective for ``obj=`` of `xgboost.train` and `xgboost.cv`.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What to minimise.

    Returns
    -------
    XGBObjective
        A picklable callable ``(margins, dtrain) -> (gradient, hessian)``.

    Notes
    -----
    It cannot set the intercept or the link of the saved model, as `train` does: give
    ``base_score`` and the objective of the link in params. A QuantileDMatrix works as well.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.xgb.objective(gbo.HuberLoss(delta=1.0)).objective.loss
    HuberLoss(delta=1.0)
    """
    return XGBObjective(as_objective(loss, "xgb.objective"))


def metric(
    metric: Any,
    *,
    loss: Any = None,
    greater_is_better: bool | None = None,
    name: str = "",
    given: Literal["raw", "response"] = "raw",
) -> XGBMetric:
    """Metric for ``custom_metric=`` of `xgboost.train` and `xgboost.cv`.

    Parameters
    ----------
    metric : Loss, Metric, str or callable
        A loss (its own metric is taken) or a scikit-learn style function of responses.
    loss : Loss, Objective or str, optional
        The loss that is trained, whose link makes responses for a function.
    greater_is_better : bool, optional
        Direction, required for a function. XGBoost's own early stopping is not told of it:
        give it ``maximize=``, or use `train`.
    name : str, optional
        Name in the log.
    given : {"raw", "response"}
        What XGBoost will hand over: raw margins under a custom objective (the default),
        responses under a built-in one.

    Returns
    -------
    XGBMetric
        A picklable callable ``(predictions, dmatrix) -> (name, value)``.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.xgb.metric(gbo.AbsoluteErrorLoss()).metric.name
    'mae'
    """
    return XGBMetric(
        named_for_xgboost(common.metric_of("xgb.metric", metric, loss, greater_is_better, name)),
        given,
    )


def sklearn_objective(loss: Any) -> XGBSklearnObjective:
    """Objective for `XGBRegressor` and `XGBClassifier`.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What to minimise; not one of groups, which XGBoost gives no objective of an estimator.

    Returns
    -------
    XGBSklearnObjective
        A picklable callable ``(y_true, y_pred, sample_weight=None) -> (gradient, hessian)``.

    Notes
    -----
    The estimators start at their ``base_score``, 0.5 by default, and `XGBRegressor` predicts raw
    scores: apply ``loss.predict`` to them, or use `train`. `XGBClassifier` predicts probabilities.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.xgb.sklearn_objective("log_cosh").objective.loss.name
    'log_cosh'
    """
    made = as_objective(loss, "xgb.sklearn_objective")
    if isinstance(made.loss, GroupLoss):
        raise ValueError(
            f"xgb.sklearn_objective: {type(made.loss).__name__} needs groups, and XGBRanker "
            "refuses callables; use gbobjectives.xgb.train with a DMatrix that has qid"
        )
    return XGBSklearnObjective(made)


def sklearn_metric(
    metric: Any,
    *,
    loss: Any = None,
    greater_is_better: bool | None = None,
    name: str = "",
    given: Literal["raw", "response"] = "raw",
) -> XGBSklearnMetric:
    """Metric for ``eval_metric=`` of `XGBRegressor` and `XGBClassifier`.

    The estimators minimise every callable: a metric whose greater values are better is negated,
    and named ``neg_...``. Parameters are those of `metric`.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.xgb.sklearn_metric(gbo.LogLoss()).__name__
    'log_loss'
    """
    return XGBSklearnMetric(
        named_for_xgboost(common.metric_of("xgb.metric", metric, loss, greater_is_better, name)),
        given,
    )


def fields_of(dmatrix: Any, loss: Any, where: str = "xgboost") -> tuple[Any, Any, Any]:
    """Labels, weights of rows (or None) and group sizes (or None) of a DMatrix."""
    n = dmatrix.num_row()
    y = common.host_array(dmatrix.get_label())
    if y.size == 0:
        raise ValueError(f"{where}: the DMatrix has no labels")
    if y.ndim == 1 and y.size > n and y.size % n == 0:
        # Before 3.0 labels of several columns come back flat.
        y = y.reshape(n, -1)
    w = common.host_array(dmatrix.get_weight())
    bounds = common.host_array(dmatrix.get_uint_info("group_ptr"))
    group = np.diff(bounds.astype(np.int64)) if bounds.size > 1 else None
    if w.size == 0:
        return y, None, group
    if group is None:
        return y, w, None
    if w.size != len(group):
        raise ValueError(
            f"{where}: with query groups XGBoost takes one weight for each of the {len(group)} "
            f"groups; got {w.size} for {n} rows"
        )
    if isinstance(loss, RowLoss):
        raise ValueError(
            f"{where}: {type(loss).__name__} looks at one row at a time, and a DMatrix with query "
            "groups has weights of groups only; leave out qid, or the weights"
        )
    return y, np.repeat(w, group), group


def named_for_xgboost(metric: Metric) -> Metric:
    """A loss named like a score would be maximised by XGBoost's early stopping."""
    misread = metric.name.startswith(MAXIMISED_PREFIXES) and metric.name != "mape"
    if misread and not metric.greater_is_better:
        return replace(metric, name=f"loss_{metric.name}")
    return metric
