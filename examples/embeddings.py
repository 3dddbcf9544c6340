"""Handwritten digits as points: neighbours are of one class, by the triplet loss.

The 1,797 digits of scikit-learn, embedded by LightGBM in 2 and in 8 dimensions. How good is the
nearest training digit as an answer for a test digit, among pixels, principal components, and
embeddings? And what do two dimensions look like?

Needs `pip install "gbobjectives[demo]"`.

    python embeddings.py [--rows N] [--rounds N] [--output DIR]
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Idle OpenMP threads that spin take the cores from other processes, and from our own kernels.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Column, Table
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import gbobjectives as gbo

ROUNDS, RATE, LEAVES = 150, 0.2, 8
MIN_ROWS = 200


def embed(loss: Any, X: np.ndarray, y: np.ndarray, rounds: int, start: Any = None) -> Any:
    """A model whose prediction is the place of a row."""
    params = {"learning_rate": RATE, "num_leaves": LEAVES, "verbosity": -1, "metric": "None"}
    data = lgb.Dataset(X, y, init_score=start)
    return gbo.lgb.train(params, data, rounds, loss=loss)


def neighbours(train: np.ndarray, y: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> float:
    """Share of test rows whose nearest training row is of their class."""
    return float(KNeighborsClassifier(1).fit(train, y).score(test, y_test))


def draw(panels: dict[str, np.ndarray], y: np.ndarray) -> Figure:
    """Test digits as points, one panel for each way to two dimensions."""
    figure = Figure(figsize=(12, 5.8), layout="constrained")
    axes = figure.subplots(1, len(panels))
    for axis, (title, places) in zip(axes, panels.items(), strict=True):
        for digit in range(10):
            mine = places[y == digit]
            axis.plot(*mine.T, ".", color=f"C{digit}", markersize=5, alpha=0.6)
            axis.text(
                *np.median(mine, axis=0), str(digit), fontsize=15, weight="bold", ha="center",
                va="center", bbox={"boxstyle": "circle", "facecolor": "white", "alpha": 0.85,
                                   "edgecolor": f"C{digit}"},
            )  # fmt: skip
        axis.set(title=title, xticks=[], yticks=[])
        axis.set_aspect("equal", adjustable="datalim")
        axis.set_box_aspect(1)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print, draw; the exit status."""
    first = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="embeddings", description=first)
    parser.add_argument("--rows", type=int, help=f"digits to use, at least {MIN_ROWS}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    default = Path("demo-output")
    parser.add_argument("--output", type=Path, default=default, help="folder of the picture")
    options = parser.parse_args(argv)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))[: options.rows]
    X, y, cut = X[order], y[order], 2 * len(order) // 3

    def score(places: np.ndarray) -> float:
        return neighbours(places[:cut], y[:cut], places[cut:], y[cut:])

    header = ("places", "dimensions", "test 1-NN accuracy", "test loss", "seconds")
    columns = (Column(name, justify="right" if i else "left") for i, name in enumerate(header))
    table = Table(*columns, title=f"{cut:,} training and {len(y) - cut:,} test digits")
    table.add_row("pixels", "64", f"{score(X):.3f}", "", "", end_section=True)
    panels = {}
    for d in (2, 8):
        before = PCA(d, random_state=0).fit(X[:cut]).transform(X)
        table.add_row("principal components", str(d), f"{score(before):.3f}", "", "")
        noise = 0.1 * np.random.default_rng(1).normal(size=(cut, d))
        # The squared distance needs a start; the model that comes out goes without it.
        for distance, start in (("euclidean", None), ("squared", noise)):
            loss = gbo.TripletMarginLoss(n_outputs=d, distance=distance)
            began = time.perf_counter()
            model = embed(loss, X[:cut], y[:cut], options.rounds, start)
            seconds = time.perf_counter() - began
            after = model.predict(X)
            numbers = (f"{score(after):.3f}", f"{loss(y[cut:], after[cut:]):.3f}", f"{seconds:.1f}")
            table.add_row(
                f"triplet loss, {distance}", str(d), *numbers, end_section=distance == "squared"
            )
            if d == 2 and distance == "euclidean":
                for name, places in (("Principal components", before), ("Triplet loss", after)):
                    right = f"nearest neighbours are right for {100 * score(places):.0f} %"
                    panels[f"{name}, 2 dimensions, test digits:\n{right}"] = places[cut:]
    console.print(table)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "embeddings.png"
    draw(panels, y[cut:]).savefig(path, dpi=110)
    console.print(f"Picture: {path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
