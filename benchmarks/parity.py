"""Parity with the built-in objectives: largest difference of raw predictions after 50 rounds.

Each loss is given the built-in's own curvature and no scale; nothing else may differ. Run from
the root of a checkout: ``python benchmarks/parity.py [--rounds N]``.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
import xgboost

import gbobjectives as gbo


def data(n: int = 2000, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Features, and labels of each task."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5)).astype(np.float32)
    score = x[:, 0] + 0.5 * x[:, 1] * x[:, 2]
    return x, {
        "regression": (score + 0.3 * rng.normal(size=n)).astype(np.float32),
        "binary": (score + 0.5 * rng.normal(size=n) > 0.5).astype(np.float32),
        "count": rng.poisson(np.exp(0.5 * score)).astype(np.float32),
        "multiclass": np.digitize(score, [-0.7, 0.5]).astype(np.float32),
    }


def cases() -> Iterator[tuple[str, str, gbo.Objective, dict[str, Any]]]:
    """Library, task, our objective, parameters of the built-in."""
    three = gbo.CrossEntropyLoss(n_classes=3)

    def plain(loss: gbo.Loss, curvature: str) -> gbo.Objective:
        return gbo.Objective(loss, curvature=curvature, scale=None)

    yield (
        "xgboost",
        "regression",
        plain(gbo.SquaredErrorLoss(), "exact"),
        {"objective": "reg:squarederror"},
    )
    yield "xgboost", "binary", plain(gbo.LogLoss(), "exact"), {"objective": "binary:logistic"}
    for curvature in ("exact", "safe"):
        yield (
            "xgboost",
            "regression",
            plain(gbo.PseudoHuberLoss(delta=1.0), curvature),
            {"objective": "reg:pseudohubererror"},
        )
    yield (
        "xgboost",
        "count",
        plain(gbo.PoissonLoss(), "damped"),
        {"objective": "count:poisson", "max_delta_step": 0.7},
    )
    for curvature in ("gershgorin", "safe"):
        yield (
            "xgboost",
            "multiclass",
            plain(three, curvature),
            {"objective": "multi:softprob", "num_class": 3},
        )
    yield (
        "lightgbm",
        "regression",
        plain(gbo.SquaredErrorLoss(), "exact"),
        {"objective": "regression"},
    )
    yield "lightgbm", "binary", plain(gbo.LogLoss(), "exact"), {"objective": "binary"}
    yield "lightgbm", "count", plain(gbo.PoissonLoss(), "damped"), {"objective": "poisson"}
    yield (
        "lightgbm",
        "multiclass",
        plain(three, "friedman"),
        {"objective": "multiclass", "num_class": 3},
    )


def raw_predictions(
    library: str, objective: gbo.Objective, builtin: dict[str, Any], x: Any, y: Any, rounds: int
) -> tuple[Any, Any]:
    """Raw predictions of ours and of the built-in, both started where the built-in starts."""
    other = {key: value for key, value in builtin.items() if key != "objective"}
    if library == "xgboost":
        dtrain = xgboost.DMatrix(x, y)
        base = {"max_depth": 4, "eta": 0.1, "nthread": 2}
        if objective.loss.link.name == "softmax":
            base["base_score"] = objective.loss.intercept(y).tolist()
        elif isinstance(objective.loss, gbo.PseudoHuberLoss):
            base["base_score"] = float(np.median(y))
        else:
            start = objective.loss.predict(objective.loss.intercept(y))
            base["base_score"] = float(np.float32(start[0]))
        theirs = xgboost.train(base | builtin, dtrain, rounds)
        ours = gbo.xgb.train(base | other, dtrain, rounds, loss=objective)
        return ours.predict(dtrain, output_margin=True), theirs.predict(dtrain, output_margin=True)
    base = {"num_leaves": 15, "learning_rate": 0.1, "verbosity": -1, "num_threads": 2}
    theirs = lightgbm.train(base | builtin, lightgbm.Dataset(x, y), rounds)
    ours = gbo.lgb.train(base | other, lightgbm.Dataset(x, y), rounds, loss=objective)
    return ours.predict(x, raw_score=True), theirs.predict(x, raw_score=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args(argv).rounds
    x, labels = data()
    print(f"xgboost {xgboost.__version__}, lightgbm {lightgbm.__version__}, {rounds} rounds")
    print(
        f"{'library':9} {'built-in':22} {'curvature':11} {'largest difference':>18} {'spread':>8}"
    )
    for library, task, objective, builtin in cases():
        ours, theirs = raw_predictions(library, objective, builtin, x, labels[task], rounds)
        # Scores of several classes are determined up to a constant of the row.
        if ours.ndim == 2:
            ours = ours - ours.mean(axis=1, keepdims=True)
            theirs = theirs - theirs.mean(axis=1, keepdims=True)
        print(
            f"{library:9} {builtin['objective']:22} {objective.curvature:11} "
            f"{np.abs(ours - theirs).max():18.2e} {theirs.std():8.3f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
