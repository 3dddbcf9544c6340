"""The example that searches for gamma and the learning rate, on a small sample."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gbobjectives as gbo
from tests.versions import frames_and_subsets

ROOT = Path(gbo.__file__).resolve().parent.parent


def run_example(*arguments):
    # Some runners force colours; a file gets none.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")
    }
    script = ROOT / "examples" / "tuning.py"
    return subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "library", ["xgboost", pytest.param("lightgbm", marks=frames_and_subsets)]
)
def test_tuning_on_a_sample(library):
    done = run_example("--rows", "3000", "--trials", "4", "--library", library)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "4 trials" in lines[0]
    rows = [[x.strip() for x in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    (default, *before), (tuned, *after) = rows
    assert (default, tuned) == ("default", "tuned")
    assert before[:2] == ["0.00", "0.100"]
    assert float(after[3]) >= float(before[3])
    share = float(lines[0].split("%")[0].split()[-1]) / 100
    assert all(share + 0.05 < float(row[4]) < 1 for row in (before, after))


def test_too_few_trials_are_refused():
    done = run_example("--trials", "0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "tuning: error: --trials must be at least 1; got 0"
