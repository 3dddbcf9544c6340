"""Each example, copied out alone, runs on a small sample, says what it does and draws a picture."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

import gbobjectives as gbo
from tests.versions import frames_and_subsets

ROOT = Path(gbo.__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SCREEN = 30  # lines; the demo has two scenes

LIBRARIES = ("XGBoost", "LightGBM")
OFFSET = "log exposure as an offset"


class Run(NamedTuple):
    """An example, what makes it small, words that it prints, and what it cannot run with."""

    example: str
    arguments: str
    words: tuple[str, ...] = ()
    marks: Sequence[pytest.MarkDecorator] = ()


RUNS = [
    Run(
        "business_metric",
        "--rows 2000",
        ("stopped on", "QuantileLoss(0.95)", "Stopping on money"),
    ),
    Run("counts", "--rows 5000", marks=[frames_and_subsets]),
    Run("dask_flights", "--rows 3000"),
    Run(
        "embeddings",
        "--rows 300 --rounds 20",
        ("pixels", "principal components", "triplet loss, euclidean"),
    ),
    Run("flights", "--rows 1000", ("(a) Minutes late", "(b) Carrier", "flights_delay.png")),
    Run(
        "imbalanced",
        "--rows 6000",
        ("F1 at 1/2", "built-in binary", "DiceLoss()", "times the true share"),
    ),
    Run(
        "many_classes",
        "--rows 1500 --rounds 2",
        ("built-in multiclass", "CrossEntropyLoss", "OneVsRestLoss", "NCE, 32, unigram"),
    ),
    Run(
        "own_loss",
        "--rows 1000 --rounds 3",
        ("a class", "gbo.from_value", "20 kept", "g = delta*atan(r/delta)"),
    ),
    Run("prediction_intervals", "--rows 4000"),
    Run("ranking", "--groups 100"),
    Run(
        "robust_regression",
        "--rows 1500",
        ("0 % wrong", "TukeyLoss()", "built-in reg:absoluteerror"),
    ),
    Run(
        "sequences",
        "--sequences 30 --rounds 10",
        ("before: the best constant", "CTCLoss", "told all frames", "error rate", "as spoken"),
    ),
    Run("shap_values", "--rows 2000"),
    Run("tuning", "--rows 3000 --trials 4 --library xgboost"),
    Run("tuning", "--rows 3000 --trials 4 --library lightgbm", marks=[frames_and_subsets]),
]

PICTURES = {"flights": ("flights_delay", "flights_carrier")}


def run_alone(folder, example, *arguments):
    """Run a copy of the example in a folder that has nothing else."""
    script = shutil.copy(ROOT / "examples" / f"{example}.py", folder)
    # Some runners force colours; a file gets none.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")
    }
    return subprocess.run(
        [sys.executable, "-W", "error", script, *arguments],
        capture_output=True,
        cwd=folder,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=300,
        check=False,
    )


def rows_of(printed):
    """Cells of the printed tables."""
    lines = (line for line in printed.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]


def check_counts(printed):
    rows = rows_of(printed)
    assert [row[0] for row in rows] == ["-"] + 7 * ["XGBoost"] + 7 * ["LightGBM"]
    constant = float(rows[0][3])
    for library in LIBRARIES:
        own = [row for row in rows if row[0] == library]
        offsets = [row for row in own if row[2] == OFFSET]
        assert len(offsets) == 4
        assert all(float(row[3]) < constant for row in offsets)
        # Visits a year as they were: the offset is a time, of one year where it is 0.
        assert all(0.7 < float(row[4]) < 1.3 for row in offsets)
        ignored = next(row for row in own if row[2] == "ignored")
        assert float(ignored[6]) < 0.95 * min(float(row[6]) for row in offsets)


def check_dask_flights(printed):
    rows = [line.split() for line in printed.splitlines()]
    two, one = (
        next(row for row in rows if row[:2] == name.split())
        for name in ("two workers", "one machine")
    )
    assert two[2:5] == one[2:5]
    (apart,) = re.findall(r"largest difference over .*: (\S+) minutes", printed)
    assert float(apart) < 1e-3


def check_prediction_intervals(printed):
    rows = rows_of(printed)
    assert [row[0] for row in rows] == ["-"] + 3 * ["XGBoost"] + 3 * ["LightGBM"]
    pinball = {row[1] + row[0]: float(row[8]) for row in rows}
    for library, name, _, *numbers in rows:
        *below, inside, width, _, crossing, after, _ = map(float, numbers)
        assert all(
            abs(share - level) < 12 for share, level in zip(below, (10, 50, 90), strict=True)
        )
        assert 60 < inside < 95
        assert width > 10
        assert after <= crossing
        if "ordered" in name:
            assert after == 0
        if library != "-":
            assert pinball[name + library] < pinball["constant-"]


def check_ranking(printed):
    chance, *rows = rows_of(printed)
    assert [row[0] for row in rows] == 6 * ["XGBoost"] + 6 * ["LightGBM"]
    for library, built_in in zip(LIBRARIES, ("rank:ndcg", "lambdarank"), strict=True):
        first, *others = (row for row in rows if row[0] == library)
        assert first[1] == f"built-in {built_in}"
        assert first[5] == ""
        for row in others:
            change = float(row[5].split()[0])
            assert abs(float(row[4]) - float(first[4]) - change) < 2e-4  # all are rounded
        assert max(float(row[4]) for row in (first, *others)) > float(chance[4])
        # Every other objective is judged once.
        (said,) = re.findall(rf"{library}, beside {built_in}, [^.]*\.", printed)
        judged = said.replace("\n", " ")
        assert all(judged.count(row[1].removeprefix("built-in ")) == 1 for row in others)


def check_shap_values(printed):
    (_, _, mean, *_), *rows = rows_of(printed)
    found = {(library, way): numbers for library, way, *numbers in rows}
    assert len(found) == 8
    for library in LIBRARIES:
        for way in ("built-in Poisson", "gbo.PoissonLoss()"):
            baseline, gap, predicted = map(float, found[library, way])
            assert gap < 1e-5
            assert abs(baseline / float(mean) - 1) < 0.25
            assert abs(predicted / float(mean) - 1) < 0.25
        # Log visits, and a start that is not in the model.
        baseline, gap, predicted = map(float, found[library, "by hand"])
        assert gap < 1e-5
        assert predicted < 1.3 < baseline
        assert float(found[library, "by hand, told a start"][1]) > 0.5
    (story,) = re.findall(r"One person, [^:]*: (.*) = ([\d.]+) visits", printed.replace("\n", " "))
    product = 1.0
    for factor in re.findall(r"\d\.\d+", story[0]):
        product *= float(factor)
    assert product == pytest.approx(float(story[1]), rel=0.05)  # of rounded factors


def check_tuning(printed):
    assert "4 trials" in printed
    (default, *before), (tuned, *after) = rows_of(printed)
    assert (default, tuned) == ("default", "tuned")
    assert before[:2] == ["0.00", "0.100"]
    assert float(after[3]) >= float(before[3])
    share = float(printed.split("%")[0].split()[-1]) / 100
    assert all(share + 0.05 < float(row[4]) < 1 for row in (before, after))


CHECKS = {
    "counts": check_counts,
    "dask_flights": check_dask_flights,
    "prediction_intervals": check_prediction_intervals,
    "ranking": check_ranking,
    "shap_values": check_shap_values,
    "tuning": check_tuning,
}


@pytest.mark.parametrize(
    "run",
    [pytest.param(run, marks=run.marks, id=f"{run.example} {run.arguments}") for run in RUNS],
)
def test_it_runs_alone(run, tmp_path):
    alone, output = tmp_path / "alone", tmp_path / "output"
    alone.mkdir()
    done = run_alone(alone, run.example, *run.arguments.split(), "--output", str(output))
    assert done.returncode == 0, done.stderr
    assert all(words in done.stdout for words in run.words), done.stdout
    assert "nan" not in done.stdout
    assert len(done.stdout.splitlines()) < (2 * SCREEN if run.example == "flights" else SCREEN)
    if run.example != "dask_flights":  # whose workers say there which rank they have
        assert done.stderr == ""
    if run.example in CHECKS:
        CHECKS[run.example](done.stdout)
    drawn = {f"{name}.png" for name in PICTURES.get(run.example, [run.example])}
    assert {path.name for path in output.iterdir()} == drawn
    for picture in output.iterdir():
        assert str(picture) in done.stdout
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 20_000
    # Nothing is left beside the script.
    assert {path.name for path in alone.iterdir()} == {f"{run.example}.py"}


def test_every_example_runs_alone():
    assert {path.stem for path in EXAMPLES} == {run.example for run in RUNS}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_says_what_to_install_and_how_to_start_it(path):
    told = path.read_text(encoding="utf-8").split('"""')[1]
    assert re.search(r"[Nn]eeds `pip install \"gbobjectives\[", told)
    assert f"    python {path.name} " in told


@pytest.mark.parametrize(
    ("example", "arguments", "said"),
    [
        ("counts", "--rows 3", "--rows must be at least 2000; got 3"),
        ("prediction_intervals", "--rows 3", "--rows must be at least 1000; got 3"),
        ("ranking", "--groups 3", "--groups must be at least 100; got 3"),
        ("shap_values", "--rows 3", "--rows must be at least 2000; got 3"),
        ("tuning", "--trials 0", "--trials must be at least 1; got 0"),
    ],
)
def test_too_little_is_refused(example, arguments, said, tmp_path):
    done = run_alone(tmp_path, example, *arguments.split())
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"{example}: error: {said}"
