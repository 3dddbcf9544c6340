"""LightGBM: objectives and metrics for its own `train`, `cv` and estimators, and a `train` of ours.

LightGBM hands a custom objective float64 raw scores in one buffer that it uses again, (n, K) in
Fortran order; it applies no weight, starts at 0, and its saved model knows no link. `train` adds
the intercept to what objective and metric see, puts it into the first trees at the end, and
names in the model text the built-in objective with the link of the loss.
"""

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gbobjectives.adapters import _common as common
from gbobjectives.adapters._lightgbm_callables import (
    LGBMetric,
    LGBObjective,
    fields_of,
    init_score_of,
    is_built,
    metric,
    objective,
    sklearn_metric,
    sklearn_objective,
    with_intercept,
)
from gbobjectives.adapters._progress import finish
from gbobjectives.adapters.history import remember
from gbobjectives.adapters.lightgbm_dask import dask_objective
from gbobjectives.adapters.lightgbm_refit import refit
from gbobjectives.adapters.saved import record_in_text, record_of, with_record
from gbobjectives.losses.base import Loss
from gbobjectives.objective import as_objective

__all__ = ["dask_objective", "metric", "objective", "refit", "sklearn_metric"]
__all__ += ["sklearn_objective", "train"]

# What the model text must name for `predict` to apply each link.
OBJECTIVE_OF_LINK = {
    "identity": "regression",
    "logit": "binary sigmoid:1",
    "log": "poisson",
}
# The same for several outputs: poisson would convert the first one only.
OBJECTIVE_OF_LINKS = {
    "identity": "regression",
    "logit": "multiclassova num_class:{n_outputs} sigmoid:1",
    "softmax": "multiclass num_class:{n_outputs}",
}

# The one that leaves raw scores as they are.
RAW = "regression"

# LightGBM's aliases of the parameters that are looked at here.
ALIASES = {
    "objective": ("objective", "objective_type", "app", "application", "loss"),
    "metric": ("metric", "metrics", "metric_types"),
    "num_class": ("num_class", "num_classes"),
    "boosting": ("boosting", "boosting_type", "boost"),
    "linear_tree": ("linear_tree", "linear_trees"),
}

BALANCED_BAGGING = ("bagging_fraction", "sub_row", "subsample", "bagging")

IGNORED = {
    "boost_from_average": "train sets the loss's own intercept",
    "is_unbalance": "weigh classes by sample weights or LogLoss(pos_weight=...)",
    "unbalance": "weigh classes by sample weights or LogLoss(pos_weight=...)",
    "unbalanced_sets": "weigh classes by sample weights or LogLoss(pos_weight=...)",
    "scale_pos_weight": "weigh positives by LogLoss(pos_weight=...) or by sample weights",
    "alpha": "give the loss its delta or quantile",
    "fair_c": "give the loss its delta",
    "poisson_max_delta_step": 'use Objective(PoissonLoss(), curvature="damped")',
    "tweedie_variance_power": "give the loss its power",
    "sigmoid": "the logit link has slope 1",
    "reg_sqrt": "transform the labels yourself",
} | dict.fromkeys(
    # The numbers of positives and negatives are asked of the built-in objective.
    (f"{sign}_{name}" for sign in ("pos", "neg") for name in BALANCED_BAGGING),
    "weigh classes by sample weights",
)

# Built-in metrics look at raw scores as if they were responses; only ranks survive that.
RANK_METRICS = (
    *("auc", "average_precision", "auc_mu", "map", "mean_average_precision", "ndcg"),
    *("lambdarank", "rank_xendcg", "xendcg", "xe_ndcg", "xe_ndcg_mart", "xendcg_mart"),
)
NO_METRIC = ("", "none", "null", "na", "custom")

WHERE = "lgb.train"


@common.on_threads_of_params
def train(
    params: Mapping[str, Any],
    train_set: Any,
    num_boost_round: int = 100,
    *,
    loss: Any,
    metric: Any = None,
    valid_sets: Any = None,
    valid_names: Any = None,
    feval: Any = None,
    init_model: Any = None,
    keep_training_booster: bool = False,
    callbacks: Sequence[Callable[..., Any]] | None = None,
) -> Any:
    """Train a LightGBM model on a loss; it predicts the response by itself.

    Takes what `lightgbm.train` takes, and sets what a custom objective needs: the intercept
    (inside the first trees of the model), the link (in the model text, so that a saved model
    predicts responses where gbobjectives is not installed), the metric with its direction.

    Parameters
    ----------
    params, train_set, num_boost_round, valid_sets, valid_names, init_model, callbacks : lightgbm's
        As for `lightgbm.train`; params and the data are not changed.
    loss : Loss, Objective, str or mapping
        What to minimise.
    metric : Metric, Loss, str, optional
        What is logged and stopped on; the loss's own metric by default, none if `feval` is
        given alone. LightGBM stops on any metric that is logged, `feval` and those that params
        name included, unless ``first_metric_only``.
    feval : callable or list, optional
        As for `lightgbm.train`: it sees raw scores.
    keep_training_booster : bool
        Must be False: a live booster cannot be given a link. Continue with `init_model`.

    Returns
    -------
    lightgbm.Booster
        The model.

    Raises
    ------
    ValueError, TypeError
        Before training starts: labels, weights or parameters that the loss cannot take,
        parameters that a custom objective would silently ignore, and ``boosting="rf"``,
        ``linear_tree`` and built-in metrics that read raw scores as responses.

    Notes
    -----
    An ``init_score`` of the user is kept: the best constant is found given those offsets, and
    as always in LightGBM ``predict`` does not include the offsets themselves. LightGBM has no
    objective for links other than identity, logit, log and softmax, nor for log with several
    outputs: such a model predicts raw scores, and a warning says so; `gbobjectives.predict`
    predicts responses. The loss is in the model: `gbobjectives.loss_of`. Never give the
    booster another objective by ``reset_parameter``: LightGBM crashes. Under any custom objective
    ``boosting="dart"`` may draw one random number more in its first round.

    Examples
    --------
    >>> import numpy as np, lightgbm, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> data = lightgbm.Dataset(X, label=2.0 ** (X[:, 0] > 49))
    >>> params = {"num_leaves": 2, "verbosity": -1}
    >>> model = gbo.lgb.train(params, data, 50, loss=gbo.PoissonLoss())
    >>> model.predict(X[[0, -1]]).round(1)
    array([1., 2.])
    """
    lightgbm = _import()
    # A copy: what an objective remembers of another training is no part of this one.
    made = copy.copy(as_objective(loss, WHERE))
    own = made.loss
    settings, link_line = _settings(params, own)
    if keep_training_booster:
        raise ValueError(
            f"{WHERE}: keep_training_booster=True is not possible: a live booster cannot be given "
            "the link; continue training with init_model="
        )
    valid = [valid_sets] if isinstance(valid_sets, lightgbm.Dataset) else list(valid_sets or ())
    if settings.get("boosting") == "dart" and any(data is train_set for data in valid):
        raise ValueError(
            f"{WHERE}: boosting='dart' with train_set among valid_sets is not possible: LightGBM "
            "drops trees once more whenever it reads the training scores"
        )
    ours = common.train_metric(metric, own) if feval is None or metric is not None else None
    y, w, group = _labels_of(lightgbm, settings, train_set, "train_set")
    common.check_data(own, "train_set", y, w, group)
    common.check_metric(ours, "train_set", y, w, group)
    offset = init_score_of(train_set, own)
    for i, data in enumerate(valid):
        if data is train_set:
            continue
        # A valid set that is not built yet is built on the training set's bins by LightGBM.
        where = f"valid_sets[{i}]"
        fields = _labels_of(lightgbm, settings, data, where, train_set)
        common.check_data(own, where, *fields)
        common.check_metric(ours, where, *fields)
        if (init_score_of(data, own) is None) != (offset is None):
            raise ValueError(
                f"{WHERE}: train_set and valid_sets[{i}] must both have an init_score or both none"
            )
    intercept = common.finite_intercept(WHERE, own, y, w, offset, "init_score")
    start: tuple[float, ...] = tuple(intercept.tolist())
    in_trees: Any = list(start)
    if init_model is not None:
        if offset is not None:
            raise ValueError(f"{WHERE}: init_model would override the init_score of train_set")
        record = record_in_text(_check_continued(lightgbm, init_model, link_line, own)) or {}
        in_trees, start = record.get("intercept"), ()

    fixed = common.fixed_metric(ours, own, y, w, offset, intercept) if valid else None
    mine = [] if fixed is None else [LGBMetric(fixed, offset=start)]
    given = [] if feval is None else list(feval) if isinstance(feval, list | tuple) else [feval]
    theirs = [with_intercept(function, start) for function in given]
    stay = not (given or common.foreign(callbacks))
    log: dict[str, Any] = {}
    recording = [lightgbm.record_evaluation(log)] if valid else []
    try:
        booster = lightgbm.train(
            settings | {"objective": LGBObjective(common.knowing(made, y, w, stay), start)},
            train_set,
            num_boost_round,
            valid_sets=valid or None,
            valid_names=valid_names,
            feval=[*theirs, *mine],
            init_model=init_model,
            callbacks=[*(callbacks or ()), *recording, _keep_feature_draws()],
        )
    finally:
        finish(callbacks)
        if init_model is not None:
            _forget_model(train_set, *valid)
    _fold(booster, start)
    _name_link(booster, link_line, record_of(made, intercept=in_trees))
    remember(booster, log)
    return booster


def _import() -> Any:
    try:
        import lightgbm
    except ImportError as error:
        raise ImportError(
            'gbobjectives.lgb.train needs LightGBM: pip install "gbobjectives[lightgbm]"'
        ) from error
    return lightgbm


def _take(settings: dict[str, Any], name: str) -> Any:
    """Value of a parameter under any of its aliases, removed from the settings."""
    values = [settings.pop(alias) for alias in ALIASES[name] if alias in settings]
    return values[0] if values else None


def _settings(params: Any, loss: Loss) -> tuple[dict[str, Any], str]:
    """The user's parameters, copied and checked, and the model text's objective."""
    settings = dict(params)
    known = OBJECTIVE_OF_LINK if loss.n_outputs == 1 else OBJECTIVE_OF_LINKS
    if loss.link.name not in known:
        several = "" if loss.n_outputs == 1 else " for several outputs"
        warnings.warn(
            f"{WHERE}: LightGBM has no objective with the link {loss.link.name!r}{several}: the "
            "model predicts raw scores; gbobjectives.predict(model, data) predicts responses",
            stacklevel=3,
        )
    link_line = known.get(loss.link.name, RAW).format(n_outputs=loss.n_outputs)
    wanted = link_line.split()[0]
    given = _take(settings, "objective")
    if given not in (None, wanted):
        raise ValueError(
            f"{WHERE}: params has objective={given!r}, which conflicts with loss={loss!r}; "
            "leave it out"
        )
    common.refuse_ignored(WHERE, settings, IGNORED)
    common.outputs_parameter(WHERE, loss, _take(settings, "num_class"), "num_class")
    if loss.n_outputs > 1:
        settings["num_class"] = loss.n_outputs
    boosting = _take(settings, "boosting")
    if boosting in ("rf", "random_forest"):
        raise ValueError(f"{WHERE}: LightGBM refuses custom objectives with boosting={boosting!r}")
    if boosting is not None:
        settings["boosting"] = boosting
    if _take(settings, "linear_tree"):
        raise ValueError(
            f"{WHERE}: linear_tree is not possible: the intercept cannot be put into linear leaves"
        )
    settings["metric"] = _rank_metrics(_take(settings, "metric"))
    return settings, link_line


def _rank_metrics(given: Any) -> list[str]:
    names = given.split(",") if isinstance(given, str) else list(given or ())
    kept = [name.strip() for name in names if str(name).strip().lower() not in NO_METRIC]
    for name in kept:
        if name.split("@")[0] not in RANK_METRICS:  # "ndcg@5"
            raise ValueError(
                f"{WHERE}: the built-in metric {name!r} would read raw scores as responses; give "
                "metric= a loss or a gbobjectives.Metric of a scikit-learn function"
            )
    return kept or ["None"]


def _labels_of(
    lightgbm: Any, settings: dict[str, Any], data: Any, where: str, reference: Any = None
) -> tuple[Any, Any, Any]:
    """Fields of a Dataset; one whose labels are not in memory yet is built first."""
    if not isinstance(data, lightgbm.Dataset):
        raise TypeError(f"{WHERE}: {where} must be a lightgbm.Dataset; got {type(data).__name__}")
    if data.label is None and not is_built(data):
        if data.used_indices is None and not isinstance(data.data, str | Path):
            # LightGBM would take 0 for every label.
            raise ValueError(f"{where}: the Dataset has no labels")
        if reference is not None:
            reference._update_params(settings | {"objective": "none"})
            data.set_reference(reference)
        # With these very parameters, as `lightgbm.train` does.
        data._update_params(settings | {"objective": "none"}).construct()
    fields = fields_of(data, where)
    if fields[0].ndim == 2 and fields[0].shape[1] > 1:
        raise ValueError(
            f"{where}: LightGBM carries one label a row; got labels of shape {fields[0].shape}; "
            "keep them in the loss, loss.bind(targets), and give label=np.arange(len(targets))"
        )
    return fields


def _forget_model(*data_sets: Any) -> None:
    """LightGBM writes the scores of init_model into the Datasets, as their init_score."""
    for data in data_sets:
        if is_built(data):
            data.set_field("init_score", None)
        data.init_score = None
        if hasattr(data, "_predictor"):
            data._predictor = None


def _check_continued(lightgbm: Any, init_model: Any, link_line: str, loss: Loss) -> str:
    """Text of the model that is continued; it must have the link of the loss, or none yet."""
    if isinstance(init_model, lightgbm.Booster):
        text: str = init_model.model_to_string(num_iteration=1)
    else:
        text = Path(init_model).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("objective=")]
    if lines and lines[0].split("=")[1].split()[0] != link_line.split()[0]:
        raise ValueError(
            f"{WHERE}: init_model was trained with {lines[0]!r}; {loss!r} needs {link_line!r}, "
            "whose link differs, and predictions would change scale"
        )
    return text


def _keep_feature_draws() -> Callable[[Any], None]:
    """Callback: features are drawn as under a built-in objective.

    The first update of a booster with a custom objective resets its parameters, which draws
    the features of feature_fraction anew; the objective is "none" from the start here.
    """

    def before(env: Any) -> None:
        if hasattr(env.model, "_Booster__set_objective_to_none"):
            env.model._Booster__set_objective_to_none = True

    before.before_iteration = True  # type: ignore[attr-defined]
    before.order = -1_000_000  # type: ignore[attr-defined]
    return before


def _fold(booster: Any, start: tuple[float, ...]) -> None:
    """Add the intercept to every leaf of the first tree of each output."""
    if not start:
        return
    trees = booster.dump_model(num_iteration=1)["tree_info"]
    for k, shift in enumerate(start):
        for leaf in range(max(trees[k]["num_leaves"], 1)):
            booster.set_leaf_output(k, leaf, booster.get_leaf_output(k, leaf) + shift)


def _name_link(booster: Any, link_line: str, record: str) -> None:
    """Write the objective of the link, and the loss, into the model text; scores stay."""
    text = booster.model_to_string(num_iteration=-1)
    lines = [line for line in text.split("\n") if not line.startswith("objective=")]
    at = next(i for i, line in enumerate(lines) if line.startswith("feature_names="))
    lines.insert(at, f"objective={link_line}")
    booster.model_from_string(with_record("\n".join(lines), record))


# What derives from classes of other packages, which an import of this one loads not.
LAZY = dict.fromkeys(("LGBMLossClassifier", "LGBMLossRegressor"), "lightgbm_estimators")
LAZY["Progress"] = "lightgbm_progress"


def __getattr__(name: str) -> Any:
    if name in LAZY:
        return getattr(import_module(f"gbobjectives.adapters.{LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
