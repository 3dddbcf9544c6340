"""CatBoost: objectives and metrics for its own `fit` and `train`, and a `train` of ours.

CatBoost maximises: it wants the negative of gradient and Hessian. It hands an objective at most
1000 rows at a time, and a metric all rows at once. So what an objective takes from the whole
batch has no place here: ``"auto"`` parameters, ``scale="auto"``, curvatures with a floor relative
to their mean, coupled losses. It applies no weight, starts at 0, and its model knows no link.
`train` adds the intercept to what objective and metric see, and writes it into the model as its
bias.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from gbobjectives.adapters import _common as common
from gbobjectives.adapters.saved import KEY, record_of
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.metrics import Metric
from gbobjectives.objective import Objective, as_objective

__all__ = ["metric", "objective", "train"]

IGNORED = {
    "boost_from_average": "train sets the loss's own intercept",
    "scale_pos_weight": "weigh positives by LogLoss(pos_weight=...) or by weights of the Pool",
    "class_weights": "weigh classes by weights of the Pool",
    "auto_class_weights": "weigh classes by weights of the Pool",
}

# Parameters that name another objective or metric, and CatBoost's aliases of them.
OBJECTIVES = ("loss_function", "objective")
METRICS = ("eval_metric", "custom_metric", "custom_loss")
ROUNDS = ("iterations", "num_boost_round", "n_estimators", "num_trees")

WHERE = "cat.train"


@dataclass(frozen=True)
class CatObjective:
    """``loss_function`` of CatBoost, object by object."""

    objective: Objective
    offset: float = 0.0

    # CatBoost would try to compile the methods with numba, and warn that it cannot.
    no_jit: ClassVar[bool] = True

    def __deepcopy__(self, memo: Any) -> "CatObjective":
        # CatBoost copies what get_params hands out, and scikit-learn's clone wants it unchanged.
        return self

    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> Any:
        """First and second derivative of what CatBoost maximises, shape (n, 2)."""
        if weights is not None and not weights.any():
            return np.zeros((len(targets), 2))
        raw = approxes + self.offset
        try:
            g, h = self.objective.gradient_hessian(targets, raw, weights)
        except (FloatingPointError, ValueError) as error:
            error.add_note(f"CatBoost hands over blocks of rows: this one has {len(targets)}")
            raise
        return -np.column_stack([g, h])


@dataclass(frozen=True)
class CatMetric:
    """``eval_metric`` of CatBoost; `_class_named` gives the class the name of the metric."""

    metric: Metric
    offset: float = 0.0

    no_jit: ClassVar[bool] = True

    def __reduce__(self) -> tuple[Any, ...]:
        # The class itself is made at run time.
        return _metric, (self.metric, self.offset)

    def __deepcopy__(self, memo: Any) -> "CatMetric":
        return self

    def is_max_optimal(self) -> bool:
        """Direction."""
        return bool(self.metric.greater_is_better)

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        """Value times the sum of weights, and that sum: CatBoost may add up parts."""
        value = self.metric(target, approxes[0] + self.offset, weight)
        total = float(len(target) if weight is None else weight.sum(dtype=np.float64))
        return value * total, total

    def get_final_error(self, error: float, weight: float) -> float:
        """Value of the whole."""
        return error / weight


def objective(loss: Any) -> CatObjective:
    """Objective for ``loss_function=`` of `CatBoost` and its regressor and classifier.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What to minimise: a loss of single rows with one output and no ``"auto"`` parameter. A
        loss alone is taken with ``scale=None``, and with its curvature ``"auto"``, or ``"safe"``
        where ``"auto"`` has a floor relative to the mean of the batch.

    Returns
    -------
    CatObjective
        A picklable object with ``calc_ders_range``.

    Raises
    ------
    ValueError
        If the loss, the curvature or the scale needs all rows at once, which CatBoost does not
        hand over, or the loss has several outputs.

    Notes
    -----
    CatBoost insists on an ``eval_metric`` beside it: see `metric`. Training starts at 0, or at the
    ``baseline``, and ``predict`` returns raw scores: apply ``loss.predict`` to them. Of a
    `CatBoostClassifier` with such an objective only ``predict_proba`` works, by the logistic
    function, and its labels must be 0 and 1.

    Several outputs are refused: CatBoost calls for them row by row, and wants a K x K matrix of
    each, which takes seconds a round for 100,000 rows.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> made = gbo.cat.objective(gbo.HuberLoss(delta=1.0)).objective
    >>> made.loss, made.curvature, made.scale
    (HuberLoss(delta=1.0), 'safe', None)
    """
    return CatObjective(_row_objective(loss, "cat.objective"))


def metric(
    metric: Any,
    *,
    loss: Any = None,
    greater_is_better: bool | None = None,
    name: str = "",
) -> CatMetric:
    """Metric for ``eval_metric=`` of CatBoost.

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

    Returns
    -------
    CatMetric
        A picklable object with ``evaluate``, ``get_final_error`` and ``is_max_optimal``.

    Notes
    -----
    It is given raw scores, as CatBoost always does. With ``leaf_estimation_iterations`` above 1
    CatBoost also shortens the steps of its leaves by this metric, unless
    ``leaf_estimation_backtracking="No"``.

    Examples
    --------
    >>> import gbobjectives as gbo
    >>> gbo.cat.metric(gbo.AbsoluteErrorLoss()).metric.name
    'mae'
    """
    return _metric(common.metric_of("cat.metric", metric, loss, greater_is_better, name))


def train(
    params: Mapping[str, Any],
    pool: Any,
    iterations: int = 1000,
    *,
    loss: Any,
    metric: Any = None,
    eval_set: Any = None,
    early_stopping_rounds: int | None = None,
    init_model: Any = None,
    **options: Any,
) -> Any:
    """Train a CatBoost model on a loss, from its best constant.

    Sets what a custom objective needs: the intercept (the bias of the model), and the metric
    with its direction.

    Parameters
    ----------
    params : mapping
        Parameters of `catboost.CatBoost`; not changed.
    pool : catboost.Pool
        Training rows; not changed.
    iterations : int
        Number of trees.
    loss : Loss, Objective, str or mapping
        What to minimise: see `objective`.
    metric : Metric, Loss, str, optional
        What is logged and stopped on; the loss's own metric by default.
    eval_set : catboost.Pool or list of them, optional
        Validation rows.
    early_stopping_rounds, init_model, **options : as of `catboost.CatBoost.fit`
        Handed on.

    Returns
    -------
    catboost.CatBoost
        Its ``predict`` gives raw scores: ``loss.predict(model.predict(X))`` are the responses.
        For the link log so are ``model.predict(X, prediction_type="Exponent")``, for logit
        ``model.predict(X, prediction_type="Probability")[:, 1]``, also where gbobjectives is not
        installed; CatBoost has no other link. The loss is in ``model.get_metadata()``.

    Raises
    ------
    ValueError, TypeError
        Before training starts: labels, weights or parameters that the loss cannot take, and
        parameters that a custom objective would silently ignore.

    Notes
    -----
    A ``baseline`` of the Pool is kept: the best constant is found given those offsets. As always
    in CatBoost, ``predict`` of a Pool adds its baseline, and ``predict`` of an array adds none.
    ``model_shrink_rate`` shrinks the trees, not the intercept. Files are written only if params
    has ``allow_writing_files=True``.

    Examples
    --------
    >>> import numpy as np, catboost, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> pool = catboost.Pool(X, 2.0 ** (X[:, 0] > 49))
    >>> loss = gbo.PoissonLoss()
    >>> model = gbo.cat.train({"depth": 1, "logging_level": "Silent"}, pool, 200, loss=loss)
    >>> loss.predict(model.predict(X[[0, -1]])).round(1)
    array([1., 2.])
    """
    catboost = _import()
    made = _row_objective(loss, WHERE)
    own = made.loss
    settings = _settings(params)
    pools = (
        list(eval_set) if isinstance(eval_set, Sequence) else [eval_set] * (eval_set is not None)
    )
    ours = common.train_metric(metric, own)
    y, w, offset = _fields_of(catboost, pool, "pool", own, ours)
    for i, data in enumerate(pools):
        theirs = _fields_of(catboost, data, f"eval_set[{i}]", own, ours)[2]
        if (theirs is None) != (offset is None):
            raise ValueError(
                f"{WHERE}: pool and eval_set[{i}] must both have a baseline or both have none"
            )
    start = 0.0
    if init_model is None:
        start = float(common.finite_intercept(WHERE, own, y, w, offset, "baseline")[0])

    model = catboost.CatBoost(
        settings
        | {
            "iterations": iterations,
            "loss_function": CatObjective(made, start),
            "eval_metric": _metric(ours.resolved_on(y, w), start),
        }
    )
    model.fit(
        pool,
        eval_set=pools or None,
        early_stopping_rounds=early_stopping_rounds,
        init_model=init_model,
        **options,
    )
    if init_model is None:
        model.set_scale_and_bias(1.0, start)
    model.get_metadata()[KEY] = record_of(made)
    # As init_model, a model that has just been trained would go on without its bias; a copy does
    # not.
    return model.copy()


def _import() -> Any:
    try:
        import catboost
    except ImportError as error:
        raise ImportError(
            'gbobjectives.cat.train needs CatBoost: pip install "gbobjectives[catboost]"'
        ) from error
    return catboost


def _metric(metric: Metric, offset: float = 0.0) -> CatMetric:
    """The metric for CatBoost, which logs it by the name of its class."""
    return _class_named(metric.name)(metric, offset)


@cache
def _class_named(name: str) -> type[CatMetric]:
    return type(name, (CatMetric,), {"__doc__": CatMetric.__doc__})


def _row_objective(loss: Any, where: str) -> Objective:
    """The objective of a row alone, or an error that says what to give instead."""
    given = as_objective(loss, where)
    own, alone = given.loss, not isinstance(loss, Objective)
    blocks = "CatBoost hands an objective at most 1000 rows at a time"
    if not isinstance(own, RowLoss):
        raise ValueError(f"{where}: {type(own).__name__} needs all rows at once; {blocks}")
    if own.n_outputs > 1:
        raise ValueError(
            f"{where}: {own!r} has {own.n_outputs} outputs, for which CatBoost calls an objective "
            "row by row, with a matrix each; it would take seconds a round"
        )
    if own.ignore_index is not None:
        raise ValueError(f"{where}: {own!r} has an ignore_index; give such rows a weight of 0")
    if not own.resolved:
        raise ValueError(
            f"{where}: {own!r} has a parameter that follows the whole batch; {blocks}. Give a "
            "number, such as that of loss.resolve(y, np.full(len(y), loss.intercept(y)))"
        )
    if alone:
        floored = own.rule("auto").relative_floor > 0
        return Objective(own, curvature="safe" if floored else "auto", scale=None)
    if given.scale == "auto" and own.normalised:
        raise ValueError(
            f'{where}: scale="auto" divides by the mean curvature of the whole batch; {blocks}. '
            "Give scale=None or a number"
        )
    if own.rule(given.curvature).relative_floor > 0:
        raise ValueError(
            f"{where}: curvature={given.curvature!r} of {own!r} has a floor relative to the mean "
            f'of the whole batch; {blocks}. Give curvature="safe"'
        )
    return given


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    """The user's parameters, copied and checked."""
    settings = {"allow_writing_files": False} | dict(params)
    for name in OBJECTIVES:
        if name in settings:
            raise ValueError(
                f"{WHERE}: params has {name}={settings[name]!r}, which conflicts with loss="
            )
    for name in METRICS:
        if name in settings:
            raise ValueError(
                f"{WHERE}: params has {name}={settings[name]!r}, which would see scores without "
                "the intercept; give metric= a loss or a gbobjectives.Metric of a function"
            )
    for name in ROUNDS:
        if name in settings:
            raise ValueError(f"{WHERE}: params has {name}={settings[name]!r}; give iterations=")
    common.refuse_ignored(WHERE, settings, IGNORED)
    if str(settings.get("task_type", "CPU")).upper() != "CPU":
        raise ValueError(
            f"{WHERE}: task_type={settings['task_type']!r} is not possible: on a GPU CatBoost "
            "calls compiled kernels only"
        )
    return settings


def _fields_of(catboost: Any, pool: Any, where: str, loss: Loss, ours: Metric) -> tuple[Any, ...]:
    """Labels, weights (or None) and baseline (or None) of a Pool, checked."""
    if not isinstance(pool, catboost.Pool):
        raise TypeError(f"{WHERE}: {where} must be a catboost.Pool; got {type(pool).__name__}")
    y = pool.get_label()
    if y is None:
        raise ValueError(f"{WHERE}: {where} has no labels")
    if np.ndim(y) == 2:
        raise ValueError(
            f"{WHERE}: {where} has labels of shape {np.shape(y)}, and CatBoost hands an objective "
            "one a row; keep them in the loss, loss.bind(targets), and give np.arange(len(targets))"
        )
    # A Pool without weights has a list of ones.
    weights = np.asarray(pool.get_weight(), dtype=np.float32)
    w = None if (weights == 1).all() else weights
    common.check_data(loss, where, y, w, None, pool.num_row())
    common.check_metric(ours, where, y, w, None)
    baseline = pool.get_baseline()
    return y, w, baseline[:, 0] if baseline.shape[1] == 1 else None
