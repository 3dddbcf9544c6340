"""Does a loss work at any unit of the target? Heavy-tailed Friedman data, default settings.

Mean absolute error to the noiseless function on test rows, over that of a constant (the
median), with the target in units of 1, 1e3 and 1e6: our Huber and log-cosh losses beside the
libraries' nearest built-ins. Run from the root of a checkout:
``python benchmarks/scale.py [--rows N] [--rounds N] [--scales S ...]``.
"""

import argparse
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import xgboost

import gbobjectives as gbo


def friedman(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ten uniform features and Friedman's first function of five of them."""
    x = rng.uniform(size=(n, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    return x, y + 10 * x[:, 3] + 5 * x[:, 4]


def fit_xgboost(objective: Any, x: Any, y: Any, rounds: int) -> Callable[[Any], Any]:
    dtrain = xgboost.DMatrix(x, y)
    if isinstance(objective, str):
        model = xgboost.train({"objective": objective}, dtrain, rounds)
    else:
        model = gbo.xgb.train({}, dtrain, rounds, loss=objective)
    return lambda rows: model.predict(xgboost.DMatrix(rows))


def fit_lightgbm(objective: Any, x: Any, y: Any, rounds: int) -> Callable[[Any], Any]:
    params = {"verbosity": -1}
    if isinstance(objective, str):
        data = lightgbm.Dataset(x, y)
        model = lightgbm.train(params | {"objective": objective}, data, rounds)
    else:
        model = gbo.lgb.train(params, lightgbm.Dataset(x, y), rounds, loss=objective)
    return model.predict


CASES: tuple[tuple[str, Any, Callable[..., Callable[[Any], Any]]], ...] = (
    ("XGBoost, HuberLoss()", gbo.HuberLoss(), fit_xgboost),
    ("XGBoost, LogCoshLoss()", gbo.LogCoshLoss(), fit_xgboost),
    ("XGBoost built-in reg:pseudohubererror", "reg:pseudohubererror", fit_xgboost),
    ("LightGBM, HuberLoss()", gbo.HuberLoss(), fit_lightgbm),
    ("LightGBM, LogCoshLoss()", gbo.LogCoshLoss(), fit_lightgbm),
    ("LightGBM built-in huber", "huber", fit_lightgbm),
    ("LightGBM built-in fair", "fair", fit_lightgbm),
)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 1e3, 1e6])
    options = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    x, signal = friedman(options.rows, rng)
    y = signal + 2 * rng.standard_t(2, size=options.rows)
    x_test, y_test = friedman(options.rows, rng)
    constant = np.abs(y_test - np.median(y)).mean()
    print(f"xgboost {xgboost.__version__}, lightgbm {lightgbm.__version__}; MAE / constant's")
    print(f"{'':38}" + "".join(f"{scale:>12g}" for scale in options.scales))
    for name, objective, fit in CASES:
        ratios = []
        for scale in options.scales:
            predict = fit(objective, x, y * scale, options.rounds)
            ratios.append(np.abs(predict(x_test) / scale - y_test).mean() / constant)
        print(f"{name:38}" + "".join(f"{ratio:12.3f}" for ratio in ratios))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
