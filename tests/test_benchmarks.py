"""Every benchmark runs, and prints the table that its docstring promises."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SMALL = {
    "groups.py": (
        ["--rows", "4000", "--rounds", "3"],
        ["NDCG@10", "rank_xendcg", "times lambdarank's", "one group of 400 rows", "F1, 80 rows"],
    ),
    "parity.py": (["--rounds", "2"], ["reg:squarederror", "multiclass"]),
    "precision.py": (["--leaves", "100", "--only", "Log()"], ["heuristic", "no_overshoot"]),
    "scale.py": (["--rows", "300", "--rounds", "3"], ["1000", "LightGBM, HuberLoss()"]),
}


def test_every_benchmark_has_a_smoke_run():
    assert {path.name for path in (ROOT / "benchmarks").glob("*.py")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_and_prints_its_table(name, capsys):
    arguments, expected = SMALL[name]
    assert runpy.run_path(str(ROOT / "benchmarks" / name))["main"](arguments) == 0
    printed = capsys.readouterr().out
    assert all(words in printed for words in expected), printed
    assert "nan" not in printed
