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


def test_a_section_of_the_results_is_written_and_the_others_stay(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    results = importlib.import_module("results")
    path = tmp_path / "RESULTS.md"
    for name, text in (("kernels", "fast"), ("counts", "3/0/0"), ("kernels", "faster")):
        results.write_section(name, text, path)
    written = path.read_text(encoding="utf-8")
    assert written.count("<!-- kernels -->\nfaster\n<!-- end of kernels -->") == 1
    # In the order of `SECTIONS`, whichever was written first.
    assert written.index("<!-- counts -->\n3/0/0\n") < written.index("<!-- kernels -->")
    assert "fast\n" not in written


def test_discordance_counts_the_pairs_whose_order_is_known(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    scores, datasets = map(importlib.import_module, ("_scores", "_datasets"))
    # Events at 1, 2 and 2, rows that were seen until 2 and until 1.5 without event. Known: the
    # first event before all others, those at 2 before the row seen until 2; not those at 2
    # of each other, and nothing of the row seen until 1.5 but that it outlived the first.
    y = np.array([1.0, 2.0, 2.0, -2.0, -1.5])
    held = datasets.Data(np.zeros((5, 1)), y)
    assert scores.discordance(held, np.array([5.0, 4.0, 3.0, 2.0, 1.0])) == 0
    assert scores.discordance(held, np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 1
    assert scores.discordance(held, np.zeros(5)) == 0.5
    assert scores.discordance(held, np.array([5.0, 1.0, 3.0, 2.0, 9.0])) == pytest.approx(2 / 6)


@pytest.mark.parametrize("library", ["XGBoost", "LightGBM"])
def test_what_is_trained_on_times_ranks_rows_by_risk(library, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    fitting, datasets, tasks = map(importlib.import_module, ("_fitting", "_datasets", "_tasks"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    time, seen = rng.exponential(np.exp(-x[:, 0])), rng.exponential(2.0, size=600)
    rows = datasets.Data(x, np.where(time < seen, time, -seen))
    train, valid, test = datasets.split(rows, "survival", 600, 0)
    task = tasks.TASKS["survival"]
    methods = list(task.methods(library, train))
    assert {method.name for method in methods} >= {"CoxLoss exact", "CoxLoss auto"}
    for method in methods:
        fit = fitting.FITTERS[library](method, train, valid, task.stop_by, 0.1, 50)
        assert task.judge([fit], train, valid, test)["C-index"] > 0.65, method.name
        assert min(fit.history) < 0.35, method.name
