"""The example of prediction intervals, on a small sample."""

import os
import subprocess
import sys
from pathlib import Path

import gbobjectives as gbo

ROOT = Path(gbo.__file__).resolve().parent.parent
LEVELS = (10, 50, 90)


def run_example(*arguments):
    # Some runners force colours; a file gets none.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")
    }
    script = ROOT / "examples" / "prediction_intervals.py"
    return subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=300,
        check=False,
    )


def test_intervals_on_a_sample(tmp_path):
    done = run_example("--rows", "4000", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) < 30  # a screen
    rows = [[x.strip() for x in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows] == ["-"] + 3 * ["XGBoost"] + 3 * ["LightGBM"]
    pinball = {row[1] + row[0]: float(row[8]) for row in rows}
    for library, name, _, *numbers in rows:
        *below, inside, width, _, crossing, after, _ = map(float, numbers)
        assert all(abs(share - level) < 12 for share, level in zip(below, LEVELS, strict=True))
        assert 60 < inside < 95
        assert width > 10
        assert after <= crossing
        if "ordered" in name:
            assert after == 0
        if library != "-":
            assert pinball[name + library] < pinball["constant-"]
    picture = tmp_path / "prediction_intervals.png"
    assert str(picture) in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_too_few_rows_is_refused():
    done = run_example("--rows", "3")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last == "prediction_intervals: error: --rows must be at least 1000; got 3"
