"""XGBoost: objectives and metrics for its own `train`, `cv` and estimators, and a `train` of ours.

XGBoost hands a custom objective float32 margins and copies what comes back; it applies no
weight, estimates no intercept, and stores the name of the objective in ``params``, through
whose link the saved model predicts. `train` sets all of that.
"""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from gbobjectives.adapters import _common as common
from gbobjectives.adapters._progress import tell
from gbobjectives.adapters._xgboost_callables import (
    XGBMetric,
    XGBObjective,
    fields_of,
    metric,
    named_for_xgboost,
    objective,
    sklearn_metric,
    sklearn_objective,
)
from gbobjectives.adapters._xgboost_links import (
    OBJECTIVE_OF_LINK,
    RAW,
    objective_of_link,
    outputs_of,
    takes_intercepts,
)
from gbobjectives.adapters.history import remember
from gbobjectives.adapters.saved import KEY, record_of
from gbobjectives.adapters.xgboost_dask import dask_train
from gbobjectives.losses.base import Loss
from gbobjectives.metrics import Metric
from gbobjectives.objective import as_objective

__all__ = ["dask_train", "metric", "objective", "sklearn_metric", "sklearn_objective", "train"]

IGNORED = {
    "scale_pos_weight": "weigh positives by LogLoss(pos_weight=...) or by sample weights",
    "huber_slope": "give the loss its delta",
    "quantile_alpha": "give the loss its quantile",
    "expectile_alpha": "give the loss its quantile",
    "tweedie_variance_power": "give the loss its power",
}

# XGBoost writes metrics with six decimals; below this a value keeps fewer than four digits.
SMALL_METRIC = 1e-2

WHERE = "xgb.train"


@common.on_threads_of_params
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
    params, dtrain, num_boost_round, evals, evals_result : xgboost's
        As for `xgboost.train`; none of them is changed.
    verbose_eval, xgb_model, callbacks : xgboost's
        As for `xgboost.train`.
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
        The model.

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

    Labels of shape (n, K) are taken where the loss takes them, but for softmax, whose soft labels
    are bound: see `Loss.bind`. XGBoost has no objective for links other than identity, logit, log
    and softmax; from 3.4 on it has one that sorts the outputs. A model of another link predicts raw
    scores, and a warning says so; `gbobjectives.predict` predicts responses. The loss is in the
    model: `gbobjectives.loss_of`.

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
    # A copy: what an objective remembers of another training is no part of this one.
    made = copy.copy(as_objective(loss, WHERE))
    own = made.loss
    settings = _settings(xgboost, params, own)
    if not isinstance(dtrain, xgboost.DMatrix):
        raise TypeError(f"{WHERE}: dtrain must be an xgboost.DMatrix; got {type(dtrain).__name__}")
    pairs = _pairs(xgboost, evals)
    y, w, group = fields_of(dtrain, own, "dtrain")
    if y.ndim == 2 and own.link.name == "softmax":
        raise ValueError(
            f"{WHERE}: XGBoost takes no labels of shape {y.shape} with {settings['objective']!r}; "
            "give one label a row: its class, or its row number in loss.bind(targets)"
        )
    common.check_data(own, "dtrain", y, w, group, dtrain.num_row())
    offset = _margin_of(dtrain, own)
    ours = common.train_metric(metric, own) if custom_metric is None or metric is not None else None
    common.check_metric(ours, "dtrain", y, w, group)
    for data, name in pairs:
        where = f"evals {name!r}"
        fields = fields_of(data, own, where)
        common.check_data(own, where, *fields, data.num_row())
        common.check_metric(ours, where, *fields)
        if data is not dtrain and (_margin_of(data, own) is None) != (offset is None):
            raise ValueError(
                f"{WHERE}: dtrain and evals {name!r} must both have a base_margin or both have none"
            )

    start = common.finite_intercept(WHERE, own, y, w, offset, "base_margin")
    if ours is not None:
        # Without evals it is never asked for.
        if pairs:
            ours = common.fixed_metric(ours, own, y, w, offset, start)
            ours = _enlarged(ours, y, start, w)
        if maximize is not None and maximize != ours.greater_is_better:
            raise ValueError(
                f"{WHERE}: maximize={maximize} contradicts the metric {ours.name!r}, whose "
                f"greater_is_better is {ours.greater_is_better}"
            )
    stay = not (custom_metric or common.foreign(callbacks))
    kept = (dtrain, (y, w, group)) if stay else None
    stopping = _callbacks(xgboost, callbacks, ours, early_stopping_rounds, pairs)
    tell(callbacks, num_boost_round, ours)
    log = {} if evals_result is None else evals_result
    if xgb_model is not None:
        _check_continued(xgboost, xgb_model, settings["objective"], own)
        # The model has its own; another would shift all that it predicts.
        settings.pop("base_score", None)
    elif offset is not None or _needs_tree(xgboost, settings, own):
        _check_offset(settings, offset)
        settings["base_score"] = _base_score(own, np.zeros(own.n_outputs), one_for_all=True)
        xgb_model = _intercept_tree(xgboost, settings, dtrain, start)
        settings.pop("base_score")
    elif "base_score" not in settings:
        settings["base_score"] = _base_score(own, start)

    booster = xgboost.train(
        settings,
        dtrain,
        num_boost_round,
        evals=pairs,
        obj=XGBObjective(common.knowing(made, y, w, stay), kept),
        maximize=maximize,
        early_stopping_rounds=early_stopping_rounds if ours is None else None,
        evals_result=log,
        verbose_eval=verbose_eval,
        xgb_model=xgb_model,
        callbacks=stopping,
        custom_metric=_both(custom_metric, ours),
    )
    booster.set_attr(**{KEY: record_of(made)})
    remember(booster, log)
    return booster


def _import() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise ImportError(
            'gbobjectives.xgb.train needs XGBoost: pip install "gbobjectives[xgboost]"'
        ) from error
    return xgboost


def _pairs(xgboost: Any, evals: Any) -> list[tuple[Any, str]]:
    """The validation sets as a list; a generator is read once."""
    pairs = list(evals or ())
    for pair in pairs:
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise TypeError(f"{WHERE}: evals must hold pairs (DMatrix, name); got {pair!r}")
        if not isinstance(pair[0], xgboost.DMatrix):
            raise TypeError(
                f"{WHERE}: evals {pair[1]!r} must be an xgboost.DMatrix; got "
                f"{type(pair[0]).__name__}"
            )
    return [(data, name) for data, name in pairs]


def _settings(xgboost: Any, params: Any, loss: Loss, where: str = WHERE) -> dict[str, Any]:
    """The user's parameters, copied, with the objective of the link and the outputs."""
    pairs = list(params.items() if isinstance(params, Mapping) else params)
    settings = dict(pairs)
    # A list of pairs may name several metrics.
    metrics = [value for name, value in pairs if name == "eval_metric"]
    if len(metrics) > 1:
        settings["eval_metric"] = metrics
    known = objective_of_link(xgboost, loss)
    if known is None:
        warnings.warn(
            f"{where}: XGBoost has no objective with the link {loss.link.name!r}: the model "
            "predicts raw scores; gbobjectives.predict(model, data) predicts responses",
            stacklevel=3,
        )
    wanted = known or RAW
    given = settings.get("objective", wanted)
    if given != wanted:
        raise ValueError(
            f"{where}: params has objective={given!r}, which conflicts with loss={loss!r}; leave "
            f"it out ({wanted!r} is set, for its link)"
        )
    common.refuse_ignored(where, settings, IGNORED)
    for name in ("num_class", "num_target"):
        common.outputs_parameter(where, loss, settings.get(name), name)
    settings |= {"objective": wanted, "disable_default_eval_metric": 1}
    settings |= outputs_of(wanted, loss)
    return settings


def _needs_tree(xgboost: Any, settings: Mapping[str, Any], loss: Loss) -> bool:
    """Several outputs, and a version of XGBoost that has one base_score for all of them."""
    return loss.n_outputs > 1 and "base_score" not in settings and not takes_intercepts(xgboost)


def _base_score(loss: Loss, raw: Any, one_for_all: bool = False) -> float | list[float]:
    """base_score, which XGBoost keeps in float32 on the response scale; that of softmax is raw."""
    if loss.link.name in OBJECTIVE_OF_LINK and loss.link.name != "softmax":
        raw = loss.link.inverse(raw)
    numbers: list[float] = np.asarray(raw, dtype=np.float32).tolist()
    return numbers if loss.n_outputs > 1 and not one_for_all else numbers[0]


def _margin_of(dmatrix: Any, loss: Loss) -> Any:
    margin = common.host_array(dmatrix.get_base_margin())
    if margin.size == 0:
        return None
    if loss.n_outputs > 1 and margin.size == dmatrix.num_row() * loss.n_outputs:
        return margin.reshape(-1, loss.n_outputs)
    return margin


def _check_offset(settings: Mapping[str, Any], offset: Any, where: str = WHERE) -> None:
    """What cannot go with an intercept that is a tree."""
    if "base_score" in settings:
        raise ValueError(
            f"{where}: params has base_score={settings['base_score']!r}, which XGBoost ignores "
            "where dtrain has a base_margin; add it to the base_margin"
        )
    if settings.get("booster") == "dart" or float(settings.get("rate_drop", 0)) > 0:
        why = "a base_margin" if offset is not None else "several outputs before XGBoost 3.1"
        raise ValueError(
            f"{where}: dropping trees is not possible with {why}: the intercept is the first "
            "tree, and would be dropped"
        )


def _check_continued(
    xgboost: Any, xgb_model: Any, wanted: str, loss: Loss, where: str = WHERE
) -> None:
    """A model that is continued keeps its intercept; it must have the link of the loss."""
    model = xgb_model
    if not isinstance(model, xgboost.Booster):
        model = xgboost.Booster(model_file=model)
    config = model.save_config()
    if f'"name":"{wanted}"' not in config.replace(" ", ""):
        raise ValueError(
            f"{where}: xgb_model was not trained with {wanted!r}, the objective whose link "
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

    # A Booster would hand its parameters on, lambda=0 among them; a saved model has none.
    return xgboost.train(plain, dtrain, 1, obj=constant, verbose_eval=False).save_raw()


def _enlarged(metric: Metric, y: Any, start: Any, w: Any) -> Metric:
    """The metric times a power of ten, where six decimals would lose its digits."""
    if not isinstance(metric.of, Loss) or metric.multiplier != 1 or metric.of.n_outputs > 1:
        return named_for_xgboost(metric)
    value = metric(y, np.full(len(y), start[0], dtype=np.float64), w)
    if not 0 < value < SMALL_METRIC:
        return named_for_xgboost(metric)
    power = int(np.ceil(-np.log10(value)))
    name = f"{metric.name}_x1e{power}"
    return named_for_xgboost(replace(metric, multiplier=10.0**power, name=name))


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
    where: str = WHERE,
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
            raise ValueError(f"{where}: early_stopping_rounds needs evals to stop on")
        known.append(
            stopping(
                rounds=early_stopping_rounds,
                metric_name=ours.name,
                data_name=evals[-1][1],
                maximize=ours.greater_is_better,
            )
        )
    return known


# What derives from classes of other packages, which an import of this one loads not.
LAZY = dict.fromkeys(("XGBLossClassifier", "XGBLossRegressor"), "xgboost_estimators")
LAZY["Progress"] = "xgboost_progress"


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(import_module(f"gbobjectives.adapters.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
