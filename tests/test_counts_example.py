"""The example of counts with exposure, on a small sample."""

import os
import subprocess
import sys
from pathlib import Path

import gbobjectives as gbo
from tests.versions import frames_and_subsets

ROOT = Path(gbo.__file__).resolve().parent.parent


def run_example(*arguments):
    # Some runners force colours; a file gets none.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")
    }
    script = ROOT / "examples" / "counts.py"
    return subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=300,
        check=False,
    )


@frames_and_subsets
def test_counts_on_a_sample():
    done = run_example("--rows", "5000")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) < 30  # a screen
    rows = [[x.strip() for x in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows] == ["-"] + 7 * ["XGBoost"] + 7 * ["LightGBM"]
    constant = float(rows[0][3])
    for library in ("XGBoost", "LightGBM"):
        own = [row for row in rows if row[0] == library]
        offsets = [row for row in own if row[2] == "log exposure as an offset"]
        assert len(offsets) == 4
        assert all(float(row[3]) < constant for row in offsets)
        # Visits a year as they were: the offset is a time, of one year where it is 0.
        assert all(0.7 < float(row[4]) < 1.3 for row in offsets)
        ignored = next(row for row in own if row[2] == "ignored")
        assert float(ignored[6]) < 0.95 * min(float(row[6]) for row in offsets)


def test_too_few_rows_is_refused():
    done = run_example("--rows", "3")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "counts: error: --rows must be at least 2000; got 3"
