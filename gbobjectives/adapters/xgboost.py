"""XGBoost: objectives and metrics for its own `train`, `cv` and estimators, and a `train` of ours.

XGBoost hands a custom objective float32 margins and copies what comes back; it applies no
weight, estimates no intercept, and stores the name of the objective in ``params``, through
whose link the saved model predicts. `train` sets all of that.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gbobjectives.adapters import _common as common
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import GroupLoss, RowLoss
from gbobjectives.metrics import Metric, as_metric
from gbobjectives.objective import Objective

# The built-in objective that gives the saved model each link, and does nothing else: count:poisson
# would limit every step (max_delta_step 0.7), reg:absoluteerror renews leaves before 3.4.
OBJECTIVE_OF_LINK = {
    "identity": "reg:squarederror",
    "logit": "binary:logistic",
    "log": "reg:gamma",
    "softmax": "multi:softprob",
}

IGNORED = {
    "scale_pos_weight": "weigh positives by LogLoss(pos_weight=...) or by sample weights",
    "huber_slope": "give the loss its delta",
    "quantile_alpha": "give the loss its quantile",
    "expectile_alpha": "give the loss its quantile",
    "tweedie_variance_power": "give the loss its power",
}

# Metric names that XGBoost's early stopping takes for scores to maximise.
MAXIMISED_PREFIXES = ("auc", "pre", "map", "ndcg")

# XGBoost writes metrics with six decimals; below this a value keeps fewer than four digits.
SMALL_METRIC = 1e-2

WHERE = "xgb.train"


@dataclass(frozen=True)
class XGBObjective:
    """``obj`` of `xgboost.train` and `xgboost.cv`: ``(margins, dtrain) -> (g, h)``."""

    objective: Objective

    def __call__(self, raw_prediction: Any, dtrain: Any) -> tuple[Any, Any]:
        y, w, group = fields_of(dtrain, self.objective.loss)
        return self.objective.gradient_hessian(y, raw_prediction, w, group)


@dataclass(frozen=True)
class XGBMetric:
    """``custom_metric`` of `xgboost.train` and `xgboost.cv`: ``(predictions, dmatrix)``."""

    metric: Metric
    given: Literal["raw", "response"] = "raw"

    def __call__(self, prediction: Any, dmatrix: Any) -> tuple[str, float]:
        y, w, group = fields_of(dmatrix, self.metric.of)
        value = self.metric(y, prediction, w, group, given=self.given)
        return self.metric.name, value


@dataclass(frozen=True)
class XGBSklearnObjective:
    """``objective`` of the scikit-learn estimators: ``(y_true, margins, sample_weight=None)``."""

    objective: Objective

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Any, Any]:
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
    return XGBObjective(common.plain_objective(loss, "xgb.objective"))


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
    return XGBMetric(_named(_metric_of(metric, loss, greater_is_better, name)), given)


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

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.xgb.sklearn_objective("log_cosh").objective.loss.name
    'log_cosh'
    """
    made = common.plain_objective(loss, "xgb.sklearn_objective")
    if isinstance(made.loss, GroupLoss):
        raise ValueError(
            f"xgb.sklearn_objective: {type(made.loss).__name__} needs groups, and XGBRanker refuses "
            "callables; use gbobjectives.xgb.train with a DMatrix that has qid"
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
    return XGBSklearnMetric(_named(_metric_of(metric, loss, greater_is_better, name)), given)


def train(
    params: Mapping[str, Any] | Sequence[tuple[str, Any]],
    dtrain: Any,
    num_boost_round: int = 10,
    *,
    loss: Any,
    metric: Any = None,
    evals: Sequence[tuple[Any, str]] | None = None,
    maximize: bool | None = None,
    early_stopping_rounds: int | None = None,
    evals_result: Any = None,
    verbose_eval: bool | int | None = True,
    xgb_model: Any = None,
    callbacks: Sequence[Any] | None = None,
    custom_metric: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """Train an XGBoost model on a loss; it predicts the response by itself.

    Takes what `xgboost.train` takes but ``obj``, and sets what a custom objective needs: the
    intercept, the objective of the link (so that a saved model predicts responses where
    gbobjectives is not installed), the metric with its direction, no default metric.

    Parameters
    ----------
    params, dtrain, num_boost_round, evals, evals_result, verbose_eval, xgb_model, callbacks
        As for `xgboost.train`; none of them is changed.
    loss : Loss, Objective, str or mapping
        What to minimise.
    metric : Metric, Loss, str, optional
        What is logged and stopped on; the loss's own metric by default.
    maximize : bool, optional
        Direction of `custom_metric`; that of ours is known.
    early_stopping_rounds : int, optional
        Stops on our metric on the last of `evals`; on `custom_metric` if only that is given.
    custom_metric : callable, optional
        As for `xgboost.train`: it sees raw margins.

    Returns
    -------
    xgboost.Booster

    Raises
    ------
    ValueError, TypeError
        Before training starts: labels, weights or parameters that the loss cannot take, and
        parameters that a custom objective would silently ignore.

    Notes
    -----
    A ``base_margin`` of the user is kept: the best constant given those offsets is grown as a
    first tree of one leaf, so that ``predict`` is the link of base_margin + constant + trees.
    Such a model counts one round more.

    Examples
    --------
    >>> import numpy as np, xgboost, gbobjectives as gbo
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> data = xgboost.DMatrix(X, label=2.0 ** (X[:, 0] > 9))
    >>> model = gbo.xgb.train({"max_depth": 1}, data, 50, loss=gbo.PoissonLoss())
    >>> model.predict(data)[[0, -1]].round(1)
    array([1., 2.], dtype=float32)
    """
    xgboost = _import()
    made = common.plain_objective(loss, WHERE)
    own = made.loss
    settings = _settings(params, own)
    y, w, group = fields_of(dtrain, own)
    common.checked(own, "dtrain", y, w, group, dtrain.num_row())
    offset = _margin_of(dtrain, own)
    for data, name in evals or ():
        common.checked(own, f"evals {name!r}", *fields_of(data, own), data.num_row())
        if data is not dtrain and (_margin_of(data, own) is None) != (offset is None):
            raise ValueError(
                f"{WHERE}: dtrain and evals {name!r} must both have a base_margin or both have none"
            )

    start = common.finite_intercept(WHERE, own, y, w, offset)
    if xgb_model is not None:
        _check_continued(xgboost, xgb_model, settings["objective"], own)
        settings.pop("base_score", None)
    elif offset is not None:
        settings["base_score"] = 0.0 if own.n_outputs > 1 else _response(own, np.zeros(1))
        xgb_model = _intercept_tree(xgboost, settings, dtrain, start)
        settings.pop("base_score")
    elif "base_score" not in settings:
        settings["base_score"] = start.tolist() if own.n_outputs > 1 else _response(own, start)

    ours = common.train_metric(metric, own) if custom_metric is None or metric is not None else None
    if ours is not None:
        ours = _enlarged(ours.resolved_at(y, start, w), y, start, w)
        if maximize is not None and maximize != ours.greater_is_better:
            raise ValueError(
                f"{WHERE}: maximize={maximize} contradicts the metric {ours.name!r}, whose "
                f"greater_is_better is {ours.greater_is_better}"
            )
    return xgboost.train(
        settings,
        dtrain,
        num_boost_round,
        evals=list(evals or ()),
        obj=XGBObjective(made),
        maximize=maximize,
        early_stopping_rounds=early_stopping_rounds if ours is None else None,
        evals_result=evals_result,
        verbose_eval=verbose_eval,
        xgb_model=xgb_model,
        callbacks=_callbacks(xgboost, callbacks, ours, early_stopping_rounds, evals),
        custom_metric=_both(custom_metric, ours),
    )


def fields_of(dmatrix: Any, loss: Any) -> tuple[Any, Any, Any]:
    """Labels, weights of rows (or None) and group sizes (or None) of a DMatrix."""
    n = dmatrix.num_row()
    y = common.host_array(dmatrix.get_label())
    if y.size == 0:
        raise ValueError("xgboost: the DMatrix has no labels")
    w = common.host_array(dmatrix.get_weight())
    bounds = common.host_array(dmatrix.get_uint_info("group_ptr"))
    group = np.diff(bounds.astype(np.int64)) if bounds.size > 1 else None
    if w.size == 0:
        return y, None, group
    if group is None:
        return y, w, None
    if w.size != len(group):
        raise ValueError(
            f"xgboost: with query groups XGBoost takes one weight for each of the {len(group)} "
            f"groups; got {w.size} for {n} rows"
        )
    if isinstance(loss, RowLoss):
        raise ValueError(
            f"xgboost: {type(loss).__name__} looks at one row at a time, and a DMatrix with query "
            "groups has weights of groups only; leave out qid, or the weights"
        )
    return y, np.repeat(w, group), group


def _import() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise ImportError(
            'gbobjectives.xgb.train needs XGBoost: pip install "gbobjectives[xgboost]"'
        ) from error
    return xgboost


def _metric_of(metric: Any, loss: Any, greater_is_better: bool | None, name: str) -> Metric:
    link_of = None if loss is None else common.plain_objective(loss, "xgb.metric").loss
    if isinstance(metric, Metric):
        return as_metric(metric, link_of)
    return as_metric(metric, link_of, greater_is_better=greater_is_better, name=name)


def _named(metric: Metric) -> Metric:
    """A loss named like a score would be maximised by XGBoost's early stopping."""
    misread = metric.name.startswith(MAXIMISED_PREFIXES) and metric.name != "mape"
    if misread and not metric.greater_is_better:
        return replace(metric, name=f"loss_{metric.name}")
    return metric


def _settings(params: Any, loss: Loss) -> dict[str, Any]:
    """The user's parameters, copied, with the objective of the link and the outputs."""
    settings = copy.copy(dict(params))
    if loss.link.name not in OBJECTIVE_OF_LINK:
        raise ValueError(
            f"{WHERE}: XGBoost has no objective with the link {loss.link.name!r} of {loss!r}"
        )
    wanted = OBJECTIVE_OF_LINK[loss.link.name]
    given = settings.get("objective", wanted)
    if given != wanted:
        raise ValueError(
            f"{WHERE}: params has objective={given!r}, which conflicts with loss={loss!r}; leave it "
            f"out ({wanted!r} is set, for its link)"
        )
    common.refuse_ignored(WHERE, settings, IGNORED)
    for name in ("num_class", "num_target"):
        common.outputs_parameter(WHERE, loss, settings.get(name), name)
    settings |= {"objective": wanted, "disable_default_eval_metric": 1}
    if loss.link.name == "softmax":
        settings["num_class"] = loss.n_outputs
    elif loss.n_outputs > 1:
        settings["num_target"] = loss.n_outputs
    return settings


def _response(loss: Loss, raw: Any) -> float:
    """base_score, which XGBoost keeps on the response scale, in float32."""
    return float(np.float32(loss.link.inverse(raw)[0]))


def _margin_of(dmatrix: Any, loss: Loss) -> Any:
    margin = common.host_array(dmatrix.get_base_margin())
    if margin.size == 0:
        return None
    return margin if loss.n_outputs == 1 else margin.reshape(-1, loss.n_outputs)


def _check_continued(xgboost: Any, xgb_model: Any, wanted: str, loss: Loss) -> None:
    """A model that is continued keeps its intercept; it must have the link of the loss."""
    model = xgb_model
    if not isinstance(model, xgboost.Booster):
        model = xgboost.Booster(model_file=model)
    config = model.save_config()
    if f'"name":"{wanted}"' not in config.replace(" ", ""):
        raise ValueError(
            f"{WHERE}: xgb_model was not trained with {wanted!r}, the objective whose link "
            f"{loss!r} needs; its predictions would change scale"
        )


def _intercept_tree(xgboost: Any, settings: dict[str, Any], dtrain: Any, start: Any) -> Any:
    """A model of one tree of one leaf, the constant: base_score is not added to a base_margin."""
    dropped = ("learning_rate", "reg_lambda", "reg_alpha", "min_split_loss", "eval_metric")
    plain = {key: value for key, value in settings.items() if key not in dropped}
    plain |= {"eta": 1, "lambda": 0, "alpha": 0, "min_child_weight": 0, "max_delta_step": 0}
    plain |= {"subsample": 1}

    def constant(raw_prediction: Any, _: Any) -> tuple[Any, Any]:
        ones = np.ones_like(raw_prediction)
        return -ones * start.astype(np.float32), ones

    return xgboost.train(plain, dtrain, 1, obj=constant, verbose_eval=False)


def _enlarged(metric: Metric, y: Any, start: Any, w: Any) -> Metric:
    """The metric times a power of ten, where six decimals would lose its digits."""
    if not isinstance(metric.of, Loss) or metric.multiplier != 1 or metric.of.n_outputs > 1:
        return _named(metric)
    value = metric(y, np.full(len(y), start[0], dtype=np.float64), w)
    if not 0 < value < SMALL_METRIC:
        return _named(metric)
    power = int(np.ceil(-np.log10(value)))
    name = f"{metric.name}_x1e{power}"
    return _named(replace(metric, multiplier=10.0**power, name=name))


def _both(
    custom_metric: Callable[[Any, Any], Any] | None, ours: Metric | None
) -> Callable[[Any, Any], Any] | None:
    """The user's metric, ours, or a list of both, ours last."""
    if ours is None:
        return custom_metric
    mine = XGBMetric(ours)
    if custom_metric is None:
        return mine

    def together(prediction: Any, dmatrix: Any) -> list[tuple[str, float]]:
        theirs = custom_metric(prediction, dmatrix)
        return [*(theirs if isinstance(theirs, list) else [theirs]), mine(prediction, dmatrix)]

    return together


def _callbacks(
    xgboost: Any,
    callbacks: Sequence[Any] | None,
    ours: Metric | None,
    early_stopping_rounds: int | None,
    evals: Sequence[tuple[Any, str]] | None,
) -> list[Any] | None:
    """The user's callbacks, and early stopping that knows our metric's name and direction."""
    if ours is None:
        return None if callbacks is None else list(callbacks)
    stopping = xgboost.callback.EarlyStopping
    known = []
    for callback in callbacks or ():
        if isinstance(callback, stopping) and callback.maximize is None:
            # Guessed from the name otherwise; the user's own object is left as it is.
            callback = copy.copy(callback)
            if callback.metric_name in (None, ours.name):
                callback.metric_name, callback.maximize = ours.name, ours.greater_is_better
        known.append(callback)
    if early_stopping_rounds is not None:
        if not evals:
            raise ValueError(f"{WHERE}: early_stopping_rounds needs evals to stop on")
        known.append(
            stopping(
                rounds=early_stopping_rounds,
                metric_name=ours.name,
                data_name=evals[-1][1],
                maximize=ours.greater_is_better,
            )
        )
    return known
