"""Why does the model expect so many visits? SHAP values of models with a loss of one's own.

Outpatient visits a year of the RAND health insurance experiment (`randhie` of the PyPI package
statsmodels), by insurance plan and health. Both libraries compute SHAP values by themselves,

    booster.predict(data, pred_contribs=True)      XGBoost
    booster.predict(X, pred_contrib=True)          LightGBM

one column a feature, and a baseline last; a row of them sums to the raw score. What that means is
a matter of the link: with the log link of counts, exp of the baseline is a number of visits and exp
of a contribution is the factor by which a feature multiplies it (with a logit link: the factor of
the odds; with the identity: an amount that is added). So the baseline has to hold the whole start
of the training, which an objective written by hand gets wrong in one of two ways.

Needs `pip install "gbobjectives[demo]"`.

    python shap_values.py [--rows N] [--output DIR]
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
import xgboost as xgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from rich.console import Console
from rich.table import Column, Table
from statsmodels.datasets import randhie

import gbobjectives as gbo

FEATURES = {
    "disea": "chronic diseases", "fmde": "maximum expenditure", "physlm": "physical limitation",
    "lpi": "participation payment", "lncoins": "coinsurance", "idp": "individual deductible",
    "hlthg": "good health", "hlthf": "fair health", "hlthp": "poor health",
}  # fmt: skip
ROUNDS, RATE, MIN_ROWS = 60, 0.05, 2_000
BLOCK = 20  # consecutive rows, of the same people in several years, stay together
LOSS = gbo.PoissonLoss()
WAYS = {
    "built-in": "built-in Poisson",
    "ours": "gbo.PoissonLoss()",
    "naive": "by hand",
    "started": "by hand, told a start",
}
COLORS = {"ours": "tab:blue", "naive": "tab:orange", "started": "tab:red"}
READING = """\
baseline: exp of the last column; XGBoost weighs rows by curvature, LightGBM counts them.
gap: largest difference between a row's sum and the score that training worked with.
predict(): mean of what the model predicts for the test rows, which saw {seen:.2f} visits."""

Part: TypeAlias = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Explained:
    """What a model says of the test rows."""

    library: str
    way: str  # a key of WAYS
    contributions: np.ndarray  # the baseline is the last column
    score: np.ndarray  # as in training: with the start that it was given
    predicted: np.ndarray
    baselines: np.ndarray  # by round

    @property
    def baseline(self) -> float:
        """In visits."""
        return float(np.exp(self.contributions[0, -1]))

    @property
    def gap(self) -> float:
        """How far the sums are from the scores."""
        return float(np.abs(self.contributions.sum(axis=1) - self.score).max())


def load(rows: int | None) -> list[Part]:
    """80 % of the rows to train, 20 % to explain, by blocks drawn at random."""
    data = randhie.load_pandas().data
    X, visits = data[[*FEATURES]].to_numpy(np.float32), data["mdvis"].to_numpy(np.float64)
    block = np.random.default_rng(0).permutation(-(-len(X) // BLOCK))[np.arange(len(X)) // BLOCK]
    order = np.argsort(block, kind="stable")[:rows]
    return [(X[i], visits[i]) for i in np.split(order, [int(0.8 * len(order))])]


def by_hand(score: np.ndarray, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of the Poisson loss, as they are often written, for both libraries."""
    mean = np.exp(score)
    return mean - data.get_label(), mean


def fit_xgboost(way: str, train: Part, test: Part) -> Explained:
    """Train, and explain."""
    start = np.log(train[1].mean()) if way == "started" else None

    def matrix(X: np.ndarray, y: np.ndarray | None = None) -> xgb.DMatrix:
        return xgb.DMatrix(X, y, base_margin=None if start is None else np.full(len(X), start))

    params: dict[str, Any] = {"learning_rate": RATE, "max_depth": 4}
    if way == "ours":
        fit: Callable[..., Any] = partial(gbo.xgb.train, loss=LOSS)
    elif way == "built-in":
        fit, params["objective"] = xgb.train, "count:poisson"
    else:
        fit = partial(xgb.train, obj=by_hand)
    model = fit(params, matrix(*train), ROUNDS)
    rows = xgb.DMatrix(test[0])  # new data, which nobody gives a start
    one = xgb.DMatrix(test[0][:1])
    baselines = [
        model.predict(one, pred_contribs=True, iteration_range=(0, k + 1))[0, -1]
        for k in range(ROUNDS)
    ]
    return Explained(
        "XGBoost", way, model.predict(rows, pred_contribs=True),
        model.predict(matrix(test[0]), output_margin=True), model.predict(rows),
        np.exp(baselines),
    )  # fmt: skip


def fit_lightgbm(way: str, train: Part, test: Part) -> Explained:
    """Train, and explain."""
    X, y = train
    start = np.log(y.mean()) if way == "started" else 0.0
    data = lgb.Dataset(X, y, init_score=np.full(len(y), start) if way == "started" else None)
    params: dict[str, Any] = {"learning_rate": RATE, "num_leaves": 15, "verbosity": -1}
    if way != "ours":
        params["objective"] = "poisson" if way == "built-in" else by_hand
    fit = partial(gbo.lgb.train, loss=LOSS) if way == "ours" else lgb.train
    model = fit(params, data, ROUNDS)
    baselines = [
        model.predict(test[0][:1], pred_contrib=True, num_iteration=k + 1)[0, -1]
        for k in range(ROUNDS)
    ]
    return Explained(
        "LightGBM", way, model.predict(test[0], pred_contrib=True),
        model.predict(test[0], raw_score=True) + start, model.predict(test[0]),
        np.exp(baselines),
    )  # fmt: skip


FITTERS = {"XGBoost": fit_xgboost, "LightGBM": fit_lightgbm}


def person(explained: Explained) -> int:
    """The row that is told as a story: one in ten is predicted more visits."""
    order = explained.score.argsort(kind="stable")
    return int(order[int(0.9 * (len(order) - 1))])


def steps(explained: Explained, row: int) -> list[tuple[str, float]]:
    """Factors of a row, the strongest first; those of 2 % and less as one."""
    shares = explained.contributions[row, :-1]
    order = np.argsort(-np.abs(shares), kind="stable")
    large = [i for i in order if abs(shares[i]) > 0.02]
    named = [([*FEATURES.values()][i], float(np.exp(shares[i]))) for i in large]
    rest = np.delete(shares, large).sum()
    return [*named, ("all others", float(np.exp(rest)))]


def story(explained: Explained, row: int) -> str:
    """One row in words."""
    said = " ".join(f"x {factor:.2f} ({name})" for name, factor in steps(explained, row))
    return (
        f"One person, {explained.library}, {WAYS[explained.way]}: {explained.baseline:.2f} "
        f"{said} = {explained.predicted[row]:.2f} visits, as predict() says."
    )


def lesson(models: dict[tuple[str, str], Explained], mean: float) -> str:
    """What objectives by hand get wrong."""
    naive, started = models["LightGBM", "naive"], models["LightGBM", "started"]
    ours = models["LightGBM", "ours"]
    behind = (naive.baselines < 0.95 * ours.baselines).sum()
    short = np.exp(started.score - started.contributions.sum(axis=1)).mean()
    return (
        f"Without a start, LightGBM's trees first climb from 1 visit: for {behind} of {ROUNDS} "
        "rounds the baseline is more than 5 % below that of ours; and predict() gives logs of "
        f"visits. Told the start (init_score, {mean:.2f} visits), they learn as ours do, but the "
        f"model does not keep it: its sums are those of visits divided by {short:.2f}."
    )


def draw(models: dict[tuple[str, str], Explained], test: Part, mean: float) -> Figure:
    """Factors of all test rows, one row step by step, and the baseline by round."""
    figure = Figure(figsize=(15, 5), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(5, 5, 4))
    ours = models["LightGBM", "ours"]
    draw_factors(left, ours, test[0])
    draw_steps(middle, ours, person(ours))
    for way, color in COLORS.items():
        explained = models["LightGBM", way]
        x = np.arange(1, ROUNDS + 1)
        right.plot(x, explained.baselines, color=color, linewidth=2, label=WAYS[way])
    right.axhline(mean, color="black", linestyle=":", label="mean of training")
    right.set(
        title="Baseline by round, LightGBM", xlabel="round", ylabel="visits a year", ylim=(0, None)
    )
    right.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.33))
    right.grid(alpha=0.3)
    return figure


def draw_factors(axis: Any, explained: Explained, X: np.ndarray) -> None:
    """A point a row and feature, spread out where many are alike."""
    shares = explained.contributions[:, :-1]
    rng = np.random.default_rng(0)
    order = np.argsort(np.abs(shares).mean(axis=0))
    for place, j in enumerate(order):
        # Ranks, as a few people with many diseases would leave all others one colour.
        values, codes = np.unique(X[:, j], return_inverse=True)
        shade = codes / max(len(values) - 1, 1)
        height = place + rng.uniform(-0.3, 0.3, len(X))
        points = axis.scatter(
            np.exp(shares[:, j]), height, c=shade, cmap="coolwarm", s=4, linewidths=0,
            rasterized=True,
        )  # fmt: skip
    axis.axvline(1, color="black", linewidth=0.8)
    names = [*FEATURES.values()]
    axis.set_yticks(range(len(order)), [names[j] for j in order])
    axis.set(
        title=f"{explained.library}, {WAYS[explained.way]}:\n{len(X):,} test rows, a point each",
        xlabel="visits are multiplied by exp(contribution)", xscale="log",
    )  # fmt: skip
    plain(axis)
    bar = axis.figure.colorbar(points, ax=axis, ticks=[0, 1], pad=0.01, aspect=40)
    bar.ax.set_yticklabels(["low", "high"], rotation=90, va="center")
    bar.set_label("the feature's value", labelpad=-8)


def draw_steps(axis: Any, explained: Explained, row: int) -> None:
    """From the baseline to the prediction of one row."""
    at = explained.baseline
    named = steps(explained, row)
    axis.axvline(at, color="black", linestyle=":", linewidth=0.8)
    for place, (_, factor) in enumerate(named):
        color = "tab:red" if factor > 1 else "tab:blue"
        axis.barh(place, at * (factor - 1), left=at, color=color, height=0.6)
        end = max(at, at * factor)
        axis.annotate(
            f"x {factor:.2f}", (end, place), (4, 0), textcoords="offset points", va="center"
        )
        at *= factor
        axis.plot([at, at], [place - 0.3, place + 1], color="gray", linewidth=0.8)
    passed = explained.baseline * np.cumprod([1, *(factor for _, factor in named)])
    axis.plot(at, len(named), "o", color="black")
    axis.set_yticks(range(len(named) + 1), [*(name for name, _ in named), "prediction"])
    axis.invert_yaxis()
    axis.set(
        title=f"One person: from the baseline, {explained.baseline:.2f} visits,\n"
        f"to the prediction, {explained.predicted[row]:.2f}",
        xlabel="visits a year, each feature after the one above", xscale="log",
        xlim=(0.95 * passed.min(), 1.12 * passed.max()),
    )  # fmt: skip
    plain(axis)


def plain(axis: Any) -> None:
    """Numbers in place of powers of ten."""
    axis.xaxis.set_major_locator(MaxNLocator(6))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(axis="x", alpha=0.3)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, explain, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="shap_values", description=first)
    parser.add_argument("--rows", type=int, help=f"person-years to use, at least {MIN_ROWS}")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    train, test = load(options.rows)
    mean, seen = train[1].mean(), test[1].mean()
    models = {
        (library, way): fit(way, train, test) for library, fit in FITTERS.items() for way in WAYS
    }
    header = ("library", "objective", "baseline, visits", "gap of the sums", "predict()")
    columns = (Column(name, justify="right" if i > 1 else "left") for i, name in enumerate(header))
    table = Table(*columns, title=f"SHAP values of {len(test[1]):,} test rows, {ROUNDS} rounds")
    table.add_row("-", "mean of training", f"{mean:.2f}", "", f"{mean:.2f}", end_section=True)
    for (library, way), explained in models.items():
        numbers = (f"{explained.baseline:.2f}", f"{explained.gap:.0e}" if explained.gap < 1e-3
                   else f"{explained.gap:.2f}", f"{explained.predicted.mean():.2f}")  # fmt: skip
        table.add_row(library, WAYS[way], *numbers, end_section=way == [*WAYS][-1])
    console.print(table)
    console.print(READING.format(seen=seen))
    ours = models["LightGBM", "ours"]
    console.print(story(ours, person(ours)))
    console.print(lesson(models, mean))
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "shap_values.png"
    draw(models, test, mean).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
