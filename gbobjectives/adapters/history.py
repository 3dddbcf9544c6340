"""What was logged of a training, round by round: from dictionaries, boosters and estimators."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.adapters.saved import booster_of, is_xgboost

# Attribute of a Booster in memory; neither library saves it.
LOG = "_gbobjectives_log"

MEAN = "-mean"
DEVIATIONS = ("-std", "-stdv")

WAYS = (
    "give the dictionary that evals_result= of xgboost.train or lightgbm.record_evaluation fills, "
    "what the cv of a library returns, a fitted estimator that had an eval_set, or a Booster that "
    "the train of gbobjectives made with evals or valid_sets, and that was not loaded from a file"
)


class Curve(NamedTuple):
    """A metric on a data set, round by round; over folds, with its standard deviation."""

    data: str
    metric: str
    values: Array
    deviation: Array | None


class History(NamedTuple):
    """Every curve, and the best round where the model knows it; rounds count from 1."""

    curves: list[Curve]
    best_round: int | None


def remember(booster: Any, log: Mapping[str, Any]) -> None:
    """Keep the log of a training with its Booster."""
    setattr(booster, LOG, {data: dict(metrics) for data, metrics in log.items()})


def history_of(source: Any) -> History:
    """History of a log, of what `cv` returns, of a Booster or of a fitted estimator."""
    if isinstance(source, Mapping):
        return History(_curves(source), None)
    if hasattr(source, "columns"):
        return History(_curves({name: source[name] for name in source.columns}), None)
    booster = booster_of(source)
    log = getattr(booster, LOG, None)
    if booster is not source:
        log = getattr(source, "evals_result_", None) or log
    if not log:
        raise ValueError(f"plot_history: {type(source).__name__} holds no log; {WAYS}")
    curves = _curves(log)
    return History(curves, _best_round(booster, len(curves[0].values)))


def _curves(log: Mapping[str, Any]) -> list[Curve]:
    found = []
    for data, metrics in log.items():
        if isinstance(metrics, Mapping):
            found += [
                Curve(str(data), str(metric), _numbers(values), None)
                for metric, values in metrics.items()
            ]
        elif str(data).endswith(MEAN):
            # XGBoost writes valid-rmse-mean, LightGBM valid rmse-mean.
            name = str(data).removesuffix(MEAN)
            set_name, _, metric = name.replace(" ", "-", 1).partition("-")
            spread = next((log[name + end] for end in DEVIATIONS if name + end in log), None)
            deviation = None if spread is None else _numbers(spread)
            found.append(Curve(set_name, metric, _numbers(metrics), deviation))
    if not found:
        raise ValueError(f"plot_history: nothing was logged; {WAYS}")
    return found


def _numbers(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64)


def _best_round(booster: Any, n_rounds: int) -> int | None:
    """As a position in the log: a model that was continued has more rounds than that."""
    try:
        best = int(booster.best_iteration)
    except AttributeError:
        # XGBoost knows one only where it stopped early.
        return None
    if is_xgboost(booster):
        best, total = best + 1, booster.num_boosted_rounds()
    else:
        total = booster.current_iteration()
    best -= max(0, total - n_rounds)
    return best if 1 <= best <= n_rounds else None
