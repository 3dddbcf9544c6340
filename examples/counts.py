"""How many times a year does one see a doctor, if most people were watched for part of a year?

The RAND health insurance experiment (`randhie` of the PyPI package statsmodels): outpatient visits
of 20,190 person-years by insurance plan and health. Each person is made to be watched for a share
of the year only, the exposure, as a policy that begins in autumn is: a visit is seen if it falls
into that share. People in bad health are watched for half as long. Models learn from the visits
that were seen; what they say of a year is compared with the visits of the whole year.

The logarithm of the exposure is an offset of the score, and a model of the log link then predicts
visits a year. Each library has its own way of taking it:

- XGBoost: ``base_margin`` of the DMatrix. The prediction includes that of the DMatrix that is
  predicted: with 0, the log of 1, it is visits a year, with the log of another exposure it is
  visits in that time.
- LightGBM: ``init_score`` of the Dataset. The prediction never includes it: it is visits a year;
  times an exposure it is visits in that time.

Needs `pip install "gbobjectives[demo]"`.

    python counts.py [--rows N] [--output DIR]
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
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
from rich.table import Column, Table
from statsmodels.datasets import randhie

import gbobjectives as gbo

ROUNDS, PATIENCE, RATE = 500, 30, 0.05
MIN_ROWS = 2_000
BINS = 4  # of the number of diseases, in the picture
BLOCK = 20  # consecutive rows, of the same people in several years, stay together
N_THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@dataclass(frozen=True)
class Part:
    """Train, validation or test rows."""

    X: pd.DataFrame
    visits: np.ndarray  # of the whole year
    seen: np.ndarray
    exposure: np.ndarray

    @property
    def ill(self) -> np.ndarray:
        """Who rates their health fair or poor."""
        return (self.X["hlthf"] + self.X["hlthp"]).to_numpy() > 0


@dataclass(frozen=True)
class Model:
    """A loss, and what is done about the exposure."""

    name: str
    loss: Any
    exposure: str  # "offset", "weight", "divide" or "ignore"
    built_in: Any = None  # parameters of a built-in objective, in place of the loss


def load(rows: int | None) -> list[Part]:
    """60 % of the rows to train, 20 % to validate, 20 % to test, by blocks drawn at random."""
    data = randhie.load_pandas().data
    rng = np.random.default_rng(0)
    visits, X = data.pop("mdvis").to_numpy(), data
    ill = (X["hlthf"] + X["hlthp"]).to_numpy() > 0
    exposure = rng.uniform(0.1, 1.0, len(X)) * np.where(ill, 0.5, 1.0)
    seen = rng.binomial(visits, exposure).astype(float)
    block = rng.permutation(-(-len(X) // BLOCK))[np.arange(len(X)) // BLOCK]
    order = np.argsort(block, kind="stable")[:rows]
    cuts = [int(0.6 * len(order)), int(0.8 * len(order))]
    return [Part(X.iloc[i], visits[i], seen[i], exposure[i]) for i in np.split(order, cuts)]


def label(model: Model, part: Part) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Labels, weights and offset of the way in which a model deals with the exposure."""
    if model.exposure == "offset":
        return part.seen, None, np.log(part.exposure)
    if model.exposure == "ignore":
        return part.seen, None, None
    rate = part.seen / part.exposure
    return rate, part.exposure if model.exposure == "weight" else None, None


def fit_xgboost(model: Model, train: Part, valid: Part, X: pd.DataFrame) -> np.ndarray:
    """Train, and predict."""

    def matrix(part: Part) -> xgb.DMatrix:
        y, w, offset = label(model, part)
        return xgb.DMatrix(part.X, y, weight=w, base_margin=offset)

    params = {"learning_rate": RATE, "max_depth": 4, "nthread": N_THREADS, **(model.built_in or {})}
    booster = (xgb.train if model.built_in else partial(gbo.xgb.train, loss=model.loss))(
        params, matrix(train), ROUNDS, evals=[(matrix(valid), "valid")],
        early_stopping_rounds=PATIENCE, verbose_eval=False,
    )  # fmt: skip
    # The log of one year, which is no default: a Booster adds the intercept to rows without one.
    one_year = np.zeros(len(X)) if model.exposure == "offset" else None
    rounds = (0, booster.best_iteration + 1)
    return booster.predict(xgb.DMatrix(X, base_margin=one_year), iteration_range=rounds)


def fit_lightgbm(model: Model, train: Part, valid: Part, X: pd.DataFrame) -> np.ndarray:
    """Train, and predict."""

    def dataset(part: Part, **options: Any) -> lgb.Dataset:
        y, w, offset = label(model, part)
        return lgb.Dataset(part.X, y, weight=w, init_score=offset, **options)

    params = {"learning_rate": RATE, "num_leaves": 15, "num_threads": N_THREADS, "verbosity": -1}
    params |= {"early_stopping_round": PATIENCE, **(model.built_in or {})}
    first = dataset(train)
    booster = (lgb.train if model.built_in else partial(gbo.lgb.train, loss=model.loss))(
        params, first, ROUNDS, valid_sets=[dataset(valid, reference=first)]
    )
    return booster.predict(X)


FITTERS: dict[str, Callable[..., np.ndarray]] = {"XGBoost": fit_xgboost, "LightGBM": fit_lightgbm}


def one_rate(part: Part) -> float:
    """Visits a year, if that were the same for all."""
    return float(part.seen.sum() / part.exposure.sum())


def dispersion(part: Part) -> float:
    """That of a negative binomial with one rate for all, by its second moment."""
    expected = one_rate(part) * part.exposure
    excess = (part.seen - expected) ** 2 - expected
    return float(excess.sum() / (expected**2).sum())


def models(library: str, train: Part) -> list[Model]:
    """What is compared."""
    poisson = gbo.PoissonLoss()
    built_in = {
        "XGBoost": {"objective": "count:poisson", "eval_metric": "poisson-nloglik"},
        "LightGBM": {"objective": "poisson"},
    }[library]
    a = round(dispersion(train), 2)
    return [
        Model(built_in["objective"], None, "offset", built_in),
        Model("PoissonLoss()", poisson, "offset"),
        Model("TweedieLoss(power=1.2)", gbo.TweedieLoss(power=1.2), "offset"),
        Model(f"NegativeBinomialLoss({a})", gbo.NegativeBinomialLoss(a), "offset"),
        Model("PoissonLoss()", poisson, "weight"),
        Model("PoissonLoss()", poisson, "divide"),
        Model("PoissonLoss()", poisson, "ignore"),
    ]


WAYS = {
    "offset": "log exposure as an offset",
    "weight": "rate, exposure as weight",
    "divide": "rate",
    "ignore": "ignored",
}


def deviance(y: np.ndarray, mean: np.ndarray) -> float:
    """Mean Poisson deviance."""
    loss = gbo.PoissonLoss()
    # The best a model can do: the mean is the label itself; 0 log 0 is 0.
    least = y - y * np.log(np.where(y > 0, y, 1))
    return float(2 * (loss(y, np.log(mean)) - least.mean()))


def row(test: Part, a_year: np.ndarray) -> list[str]:
    """Deviance of the visits seen; predicted over true visits of the year, by health."""
    groups = (np.ones(len(a_year), dtype=bool), ~test.ill, test.ill)
    ratios = [a_year[i].sum() / test.visits[i].sum() for i in groups]
    return [f"{deviance(test.seen, test.exposure * a_year):.3f}", *(f"{x:.2f}" for x in ratios)]


def draw(fits: list[tuple[str, Model, np.ndarray]], test: Part) -> Figure:
    """Predicted over true visits of all losses on the left, visits by health on the right."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(4, 5))
    fits = [fit for fit in fits if fit[1].loss is not None]
    names = [f"{model.name}\n{WAYS[model.exposure]}" for _, model, _ in fits]
    names = names[: len(names) // len(FITTERS)]
    groups = {"healthy": (~test.ill, "tab:blue", "-"), "ill": (test.ill, "tab:red", "--")}
    for library, shift, mark in (("XGBoost", -0.12, "o"), ("LightGBM", 0.12, "s")):
        left.plot([], [], mark, color="gray", label=library)
        for place, (_, _, a_year) in enumerate(fit for fit in fits if fit[0] == library):
            for rows, color, _ in groups.values():
                ratio = a_year[rows].sum() / test.visits[rows].sum()
                left.plot(ratio, place + shift, mark, color=color)
    left.axvline(1, color="black", linewidth=0.8)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set(title="A year's visits: too few, too many?", xlabel="predicted over true")

    shown = {
        WAYS[model.exposure]: a_year
        for library, model, a_year in fits
        if library == "LightGBM" and model.name == "PoissonLoss()"
    }
    colors = {WAYS["offset"]: "tab:green", WAYS["ignore"]: "tab:purple"}
    chronic = test.X["disea"].to_numpy()
    for group, (rows, color, style) in groups.items():
        left.plot([], [], "D", color=color, label=group)
        bins = np.array_split(np.flatnonzero(rows)[chronic[rows].argsort(kind="stable")], BINS)
        x = [chronic[some].mean() for some in bins]
        true = [test.visits[some].mean() for some in bins]
        error = [test.visits[some].std() / np.sqrt(len(some)) for some in bins]
        right.errorbar(
            x, true, error, fmt="o", linestyle=style, color="black", capsize=3,
            label=f"{group}: true, with its standard error",
        )  # fmt: skip
        for way, tint in colors.items():
            y = [shown[way][some].mean() for some in bins]
            right.plot(x, y, style, marker=".", color=tint, label=f"{group}: {way}")
    right.set(
        title="LightGBM, PoissonLoss(): visits by health and diseases", ylim=(0, None),
        xlabel="chronic diseases, mean of a quarter of the people", ylabel="visits a year",
    )  # fmt: skip
    right.legend(frameon=False, loc="upper left")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    left.legend(frameon=False, loc="center left")
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train and print; the exit status."""
    parser = argparse.ArgumentParser(prog="counts", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, help=f"person-years to use, at least {MIN_ROWS}")
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    if options.rows is not None and options.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}; got {options.rows}")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    train, valid, test = load(options.rows)
    header = ("library", "objective", "exposure", "deviance", "all", "healthy", "ill")
    columns = (Column(name, justify="right" if i > 2 else "left") for i, name in enumerate(header))
    table = Table(*columns, title=f"Visits to a doctor, {len(test.visits):,} test person-years")
    constant = np.full(len(test.seen), one_rate(train))
    table.add_row("-", "one rate for all", "", *row(test, constant), end_section=True)
    fits = []
    for library, fit in FITTERS.items():
        for model in models(library, train):
            a_year = fit(model, train, valid, test.X)
            last = model.exposure == "ignore"
            if last:
                # It has learned the visits of a mean exposure, whatever that of a row was.
                a_year = a_year / train.exposure.mean()
            fits.append((library, model, a_year))
            table.add_row(
                library, model.name, WAYS[model.exposure], *row(test, a_year), end_section=last
            )
    console.print(table)
    console.print(
        "deviance: Poisson's, of the visits seen; less is better. all, healthy, ill: visits a "
        "year, predicted over\ntrue; it should be 1. The ill rate their health fair or poor, and "
        "were watched for half as long."
    )
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "counts.png"
    draw(fits, test).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
