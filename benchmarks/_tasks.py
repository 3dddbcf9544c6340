"""What `accuracy.py` compares in each task: sets, methods, scores."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import _scores as scores
import numpy as np
from _datasets import Data
from _fitting import Method, Score
from _peers import PACKAGES
from _peers import Data as Fields

import gbobjectives as gbo
from gbobjectives.links import IDENTITY, LOG, LOGIT


@dataclass(frozen=True)
class Task:
    """A question, what may answer it, and by which scores it is judged.

    Parameters
    ----------
    title : str
        As a heading.
    sets : tuple of str
        Names of `_datasets.SETS`.
    methods : callable
        ``(library, train) -> methods``; those of the built-ins first.
    stop_by : callable
        Score of the validation part that ends the training, less is better; one for each member
        of a method of several models.
    judge : callable
        ``(fits, train, valid, test) -> scores``.
    shown : tuple of str
        Scores that its tables show; the first decides who wins.
    stopped_by : str
        What `stop_by` is called; fits of two tasks that stop by the same are the same fits.
    plain : str
        The method of ours that one would begin with; it stands for ours where the built-ins win.
    said : str
        A sentence or two under the heading.
    etas : tuple of float
        Learning rates.
    seeds : int
        How often each set is drawn and split.
    to_target : bool
        Whether rounds to a target are shown.
    """

    title: str
    sets: tuple[str, ...]
    methods: Callable[[str, Data], Iterator[Method]]
    stop_by: Score | tuple[Score, ...]
    judge: Callable[..., dict[str, float]]
    shown: tuple[str, ...]
    stopped_by: str
    plain: str
    said: str = ""
    etas: tuple[float, ...] = (0.1, 0.3)
    seeds: int = 5
    to_target: bool = False

    @cached_property
    def names(self) -> set[str]:
        """Of its methods in both libraries."""
        # Names do not depend on the rows, of which these are the fewest that have them all.
        y = np.array([0.0, 1.0, 2.0])
        some = Data(y[:, None], y)
        return {m.name for library in LIBRARIES for m in self.methods(library, some)}


LIBRARIES = ("XGBoost", "LightGBM")


def ours(loss: gbo.Loss, *curvatures: str, name: str = "", **params: Any) -> Iterator[Method]:
    """A loss of ours under each of the curvatures."""
    for curvature in curvatures:
        label = name or type(loss).__name__
        yield Method(f"{label} {curvature}", gbo.Objective(loss, curvature), params)


def theirs(name: str, link: Any) -> Iterator[Method]:
    """The loss of that name in other packages, where installed."""
    for package, find in PACKAGES.items():
        objective = find(name)
        if objective is not None:
            yield Method(f"{package} {name}", peer=_with_fields(objective), link=link)


def _with_fields(objective: Callable[..., Any]) -> Callable[..., Any]:
    def of_library(raw: Any, data: Any) -> Any:
        weight = data.get_weight()
        return objective(raw, Fields(data.get_label(), weight if np.size(weight) > 1 else None))

    return of_library


# ---- the built-in's own loss, nothing but the curvature changed -------------------------------


def same_binary(library: str, train: Data) -> Iterator[Method]:
    yield Method("built-in", params={"objective": _of(library, "binary:logistic", "binary")})
    yield from ours(gbo.LogLoss(), "auto", "safe")


def same_classes(library: str, train: Data) -> Iterator[Method]:
    k = int(train.y.max()) + 1
    objective = _of(library, "multi:softprob", "multiclass")
    yield Method("built-in", params={"objective": objective, "num_class": k})
    # Its auto is its safe curvature.
    yield from ours(gbo.CrossEntropyLoss(k), "auto")


def same_counts(library: str, train: Data) -> Iterator[Method]:
    yield Method("built-in", params={"objective": _of(library, "count:poisson", "poisson")})
    # XGBoost caps the leaves of its count:poisson; so ours are capped here.
    cap = {"max_delta_step": 0.7} if library == "XGBoost" else {}
    yield from ours(gbo.PoissonLoss(), "auto", "safe", name="capped PoissonLoss", **cap)


def _of(library: str, xgboost: str, lightgbm: str) -> str:
    return xgboost if library == "XGBoost" else lightgbm


# ---- counts ------------------------------------------------------------------------------------


def counts(library: str, train: Data) -> Iterator[Method]:
    yield Method("built-in", params={"objective": _of(library, "count:poisson", "poisson")})
    yield Method("built-in tweedie", params={"objective": _of(library, "reg:tweedie", "tweedie")})
    squared = _of(library, "reg:squarederror", "regression")
    yield Method("built-in squared error", params={"objective": squared})
    yield from ours(gbo.PoissonLoss(), "exact", "safe", "auto")
    yield from ours(gbo.TweedieLoss(power=1.5), "auto")
    yield from ours(gbo.NegativeBinomialLoss(_dispersion(train)), "auto")
    yield from theirs("poisson", LOG)


def _dispersion(train: Data) -> float:
    """That of a negative binomial with one mean for all, by its second moment."""
    mean = np.average(train.y, weights=train.weight)
    variance = np.average((train.y - mean) ** 2, weights=train.weight)
    return float(max(variance - mean, 0.01 * mean) / mean**2)


# ---- imbalance ---------------------------------------------------------------------------------


def imbalance(library: str, train: Data) -> Iterator[Method]:
    objective = {"objective": _of(library, "binary:logistic", "binary")}
    ratio = float((train.y == 0).sum() / (train.y == 1).sum())
    yield Method("built-in", params=objective)
    yield Method("built-in balanced", params=objective | {"scale_pos_weight": ratio})
    # The exact curvature is the built-in.
    yield from ours(gbo.LogLoss(), "safe", "auto")
    yield from ours(gbo.ClassWeighted(gbo.LogLoss(), "balanced"), "auto", name="LogLoss balanced")
    yield from ours(gbo.ClassBalanced(gbo.LogLoss()), "auto", name="LogLoss effective number")
    yield from ours(gbo.FocalLoss(gamma=2.0), "exact", "safe", "auto")
    yield from ours(gbo.DiceLoss(), "auto")
    yield from ours(gbo.GradientHarmonizedLoss(), "auto")
    yield from theirs("focal", LOGIT)


# ---- classes -----------------------------------------------------------------------------------


def classes(library: str, train: Data) -> Iterator[Method]:
    k = int(train.y.max()) + 1
    yield from same_classes(library, train)
    if library == "LightGBM":
        yield Method("built-in ova", params={"objective": "multiclassova", "num_class": k})
    entropy = gbo.CrossEntropyLoss(k)
    yield from ours(entropy, "exact", "gershgorin_safe")
    yield from ours(gbo.ClassBalanced(entropy), "auto", name="CrossEntropyLoss effective number")
    yield from ours(gbo.SoftmaxFocalLoss(k, gamma=2.0), "auto")


# ---- ranking -----------------------------------------------------------------------------------


def ranking(library: str, train: Data) -> Iterator[Method]:
    names = (
        ("rank:ndcg", "rank:pairwise") if library == "XGBoost" else ("lambdarank", "rank_xendcg")
    )
    for name in names:
        yield Method(f"built-in {name}", params={"objective": name})
    yield from ours(gbo.LambdaNDCGLoss(), "exact", "safe", "auto")
    yield from ours(gbo.LambdaNDCGLoss(truncation=10), "auto", name="LambdaNDCGLoss(10)")
    yield from ours(gbo.PairwiseLogisticLoss(), "safe", "auto")
    yield from ours(gbo.XENDCGLoss(), "auto")
    yield from ours(gbo.ListNetLoss(), "auto")


# ---- reals -------------------------------------------------------------------------------------


def robust(library: str, train: Data) -> Iterator[Method]:
    delta = 1.345 * scores.normal_scale(train.y)
    if library == "XGBoost":
        pseudo = {"objective": "reg:pseudohubererror"}
        built_in = {
            "built-in squared error": {"objective": "reg:squarederror"},
            "built-in absolute error": {"objective": "reg:absoluteerror"},
            "built-in pseudo-Huber": pseudo,
            "built-in pseudo-Huber, delta of labels": pseudo | {"huber_slope": delta},
        }
    else:
        built_in = {
            "built-in squared error": {"objective": "regression"},
            "built-in absolute error": {"objective": "regression_l1"},
            "built-in huber": {"objective": "huber"},
            "built-in huber, delta of labels": {"objective": "huber", "alpha": delta},
            "built-in fair, delta of labels": {"objective": "fair", "fair_c": delta},
        }
    for name, params in built_in.items():
        yield Method(name, params=params)
    yield from ours(gbo.AbsoluteErrorLoss(), "auto")
    yield from ours(gbo.HuberLoss(), "exact", "auto")
    yield from ours(gbo.LogCoshLoss(), "auto")
    yield from ours(gbo.TukeyLoss(), "auto")
    yield from theirs("log_cosh", IDENTITY)
    yield from theirs("huber", IDENTITY)


def quantiles(library: str, train: Data) -> Iterator[Method]:
    """A model for each level; a cell is all of them."""

    def built_in(level: float) -> Method:
        if library == "XGBoost":
            params = {"objective": "reg:quantileerror", "quantile_alpha": level}
        else:
            params = {"objective": "quantile", "alpha": level}
        return Method("built-in", params=params)

    def each(make: Callable[[float], Method]) -> Method:
        members = tuple(make(level) for level in scores.LEVELS)
        return replace(members[0], members=members)

    yield each(built_in)
    for curvature in ("exact", "auto"):
        yield each(lambda level, c=curvature: next(ours(gbo.QuantileLoss(level), c)))
    if importlib.util.find_spec("jaxboost") is not None:
        from jaxboost.objective import quantile

        yield each(
            lambda level: Method(
                "jaxboost quantile", peer=quantile.get_xgb_objective(q=level), link=IDENTITY
            )
        )


# ---- times to an event -------------------------------------------------------------------------


def survival(library: str, train: Data) -> Iterator[Method]:
    if library == "XGBoost":
        for name in ("cox", "aft"):
            yield Method(f"built-in {name}", params={"objective": f"survival:{name}"})
    yield from ours(gbo.CoxLoss(), "exact", "auto")


RATES = (0.05, 0.1, 0.3)
REALS = ("flights_delay", "california_housing", "vic_electricity", "support2_charges")
COUNTS = ("randhie", "bike_hourly", "fremtpl2")

QUANTILES = Task(
    "Quantiles", REALS,
    quantiles, tuple(scores.pinball(level) for level in scores.LEVELS), scores.of_quantiles,
    (*(f"pinball {level:g}" for level in scores.LEVELS), "coverage", "crossing"), "pinball",
    plain="QuantileLoss auto",
    said="A model for each level, stopped by its pinball loss. Coverage is that of the "
    "interval from 0.05 to 0.95, crossing the share of rows whose quantiles are not in order.",
)  # fmt: skip

TASKS: dict[str, Task] = {
    "binary": Task(
        "log loss, two classes",
        ("flights_late", "breast_cancer", "adult", "bank_marketing", "mammography"),
        same_binary, scores.log_loss, scores.of_binary, ("log loss",), "log loss",
        plain="LogLoss auto", etas=RATES,
    ),
    "multiclass": Task(
        "log loss, several classes",
        ("flights_carrier", "digits", "nsl_kdd", "letter"),
        same_classes, scores.log_loss, scores.of_classes, ("log loss",), "log loss",
        plain="CrossEntropyLoss auto", etas=RATES,
    ),
    "poisson": Task(
        "Poisson deviance", COUNTS,
        same_counts, scores.poisson_deviance, scores.of_counts, ("deviance",), "deviance",
        plain="capped PoissonLoss auto", etas=RATES,
    ),
    "counts": Task(
        "Counts", COUNTS,
        counts, scores.poisson_deviance, scores.of_counts, ("deviance",), "deviance",
        plain="PoissonLoss auto",
        said="Stopped and judged by the Poisson deviance, whatever was trained.",
    ),
    "imbalance": Task(
        "Rare positives", ("flights_late", "bank_marketing", "mammography"),
        imbalance, lambda data, p: 1 - scores.average_precision(data, p), scores.of_binary,
        ("PR-AUC", "calibrated log loss", "F1"), "average precision", plain="LogLoss auto",
        said="Stopped by the average precision (PR-AUC). The log loss is that after Platt's "
        "scaling on the validation part, F1 that at the threshold which is best there.",
    ),
    "classes": Task(
        "Several classes, some of them rare", ("flights_carrier", "nsl_kdd"),
        classes, scores.log_loss, scores.of_classes, ("log loss", "balanced accuracy"),
        "log loss", plain="CrossEntropyLoss auto",
        said="Stopped by the log loss. The auto curvature of the cross-entropy is its safe one.",
    ),
    "ranking": Task(
        "Ranking", ("flights_order", "lgb_lambdarank"),
        ranking, scores.ndcg10, scores.of_ranking, ("NDCG@10",), "NDCG@10",
        plain="LambdaNDCGLoss auto", seeds=20,
    ),
    "robust": Task(
        "Robust regression", REALS,
        robust, scores.mae, scores.of_reals, ("MAE", "Huber loss"), "MAE",
        plain="AbsoluteErrorLoss auto", to_target=True,
        said="Stopped by the mean absolute error. Huber's loss is that of 1.345 times the "
        "normal scale of the training labels, over that number. To target: rounds to 1.02 times "
        "the lowest validation error of any built-in. The auto curvature of residual losses is "
        "their safe one.",
    ),
    "quantiles": QUANTILES,
    "many_rows": replace(
        QUANTILES, title="Quantiles of many rows", sets=("flights_days",),
        said="As before, of all flights, of which 196,000 train: how much of what smoothing gains "
        "on few rows is left on many. The flights of a day stay together.",
    ),
    "survival": Task(
        "Times to an event", ("support2",),
        survival, scores.discordance, scores.of_survival, ("C-index", "calibrated Cox loss"),
        "C-index", plain="CoxLoss auto", seeds=20,
        said="Stopped by the C-index. The Cox loss is that of the multiple of the log risks which "
        "is best on the validation part. The auto curvature is the safe one. LightGBM has no such "
        "objective.",
    ),
}  # fmt: skip

#: What changes nothing but the curvature of a built-in; the others compare losses.
SAME_LOSS = ("binary", "multiclass", "poisson")
