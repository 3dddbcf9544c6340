"""The examples run, each copied out alone, and say what they do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gbobjectives as gbo

ROOT = Path(gbo.__file__).resolve().parent.parent

SMALL = {
    "business_metric": (
        ["--rows", "2000"],
        ["stopped on", "QuantileLoss(0.95)", "Stopping on money", "business_metric.png"],
    ),
    "many_classes": (
        ["--rows", "1500", "--rounds", "2"],
        ["built-in multiclass", "CrossEntropyLoss", "OneVsRestLoss", "NCE, 32, unigram"],
    ),
    "embeddings": (
        ["--rows", "300", "--rounds", "20"],
        ["pixels", "principal components", "triplet loss, euclidean", "embeddings.png"],
    ),
    "imbalanced": (
        ["--rows", "6000"],
        ["F1 at 1/2", "built-in binary", "DiceLoss()", "times the true share", "imbalanced.png"],
    ),
    "own_loss": (
        ["--rows", "1000", "--rounds", "3"],
        ["a class", "gbo.from_value", "20 kept", "g = delta*atan(r/delta)", "own_loss.png"],
    ),
    "robust_regression": (
        ["--rows", "1500"],
        ["0 % wrong", "TukeyLoss()", "built-in reg:absoluteerror", "robust_regression.png"],
    ),
    "sequences": (
        ["--sequences", "30", "--rounds", "10"],
        ["before: the best constant", "CTCLoss", "told all frames", "error rate", "as spoken"],
    ),
}

PICTURES = {"business_metric", "embeddings", "imbalanced", "own_loss", "robust_regression"}


@pytest.mark.parametrize("name", SMALL)
def test_it_runs_and_prints_its_table(name, tmp_path):
    # Some runners force colours; a file gets none.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")
    }
    arguments, expected = SMALL[name]
    if name in PICTURES:
        arguments = [*arguments, "--output", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(words in done.stdout for words in expected), done.stdout
    assert "nan" not in done.stdout
    if name in PICTURES:
        assert (tmp_path / f"{name}.png").stat().st_size > 20_000
