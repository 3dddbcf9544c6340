"""Every benchmark runs, and prints the table that its docstring promises."""

import importlib
import os
import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_poisson_deviance

from gbobjectives.links import IDENTITY

ROOT = Path(__file__).resolve().parent.parent

SMALL = {
    "accuracy.py": (
        "--only binary quantiles ranking --sets breast_cancer flights_delay flights_order"
        f" --rows 300 --seeds 1 --cache {os.devnull}",
        [
            "nothing but the curvature changed",
            "| breast_cancer |",
            "coverage",
            "built-in rank:ndcg",
        ],
    ),
    "defaults.py": (
        "--sets flights_delay --rows 300 --rounds 3 --seeds 1",
        ["AbsoluteErrorLoss()", "twice the delta", "floor of 20 %", "test, best round"],
    ),
    "groups.py": (
        "--rows 4000 --rounds 3",
        ["NDCG@10", "rank_xendcg", "times lambdarank's", "one group of 400 rows", "F1, 80 rows"],
    ),
    "kernels.py": (
        "--n 1000 20000 --losses huber softmax3 huber_one_pass --repeats 1 --threads 1",
        ["naive / ours, 20,000 rows", "us a call, 1,000 rows", "| softmax3       | float64 |"],
    ),
    "own_loss.py": (
        "--rows 3000 --repeats 1",
        ["times closed form", "from_expression", "from_value, jax", "| float64 |"],
    ),
    "parity.py": ("--rounds 2", ["reg:squarederror", "multiclass"]),
    "precision.py": ("--leaves 100 --only Log()", ["heuristic", "no_overshoot"]),
    "scale.py": ("--rows 300 --rounds 3", ["1000", "LightGBM, HuberLoss()"]),
    "training.py": (
        "--rows 500 --rounds 2 --repeats 1 --grown-rows 600 --grown-repeats 1 --classes 3"
        " --threads 1",
        ["ours / built-in", "XGBoost, log-cosh safe", "LightGBM, softmax, 50 rows, 3 classes"],
    ),
}


def test_every_benchmark_has_a_smoke_run():
    # Modules of the benchmarks, not benchmarks.
    modules = {"results.py"} | {path.name for path in (ROOT / "benchmarks").glob("_*.py")}
    scripts = {path.name for path in (ROOT / "benchmarks").glob("*.py")} - modules
    assert scripts == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_and_prints_its_table(name, capsys, monkeypatch):
    # As if it were run as a script: its modules lie beside it.
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    arguments, expected = SMALL[name]
    assert runpy.run_path(str(ROOT / "benchmarks" / name))["main"](arguments.split()) == 0
    printed = capsys.readouterr().out
    assert all(words in printed for words in expected), printed
    assert "nan" not in printed


def test_predictions_that_are_no_numbers_score_as_bad_as_can_be(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    fitting, datasets = map(importlib.import_module, ("_fitting", "_datasets"))
    held = datasets.Data(np.zeros((2, 1)), np.array([1.0, 2.0]))
    watch = fitting.Watch(
        fitting.Method("a peer", peer=lambda raw, data: (raw, raw), link=IDENTITY),
        held,
        lambda data, p: mean_poisson_deviance(data.y, p),  # raises where p is not finite
    )
    for raw in ([np.nan, 1.0], [np.inf, 1.0], [1.0, 2.0]):
        watch(np.array(raw))
    assert watch.history == pytest.approx([np.inf, np.inf, 0.0])
    assert watch.best == 3
