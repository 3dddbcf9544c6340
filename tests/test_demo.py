"""The command line: the catalogue, and the demonstration on a small sample."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gbobjectives as gbo
from gbobjectives.__main__ import main

ROOT = Path(gbo.__file__).resolve().parent.parent


def run_module(*arguments, timeout=300):
    # Some runners force colours; a file gets none.
    environment = {
        k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE")
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gbobjectives", *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        timeout=timeout,
        check=False,
    )


def test_catalogue_lists_every_loss(capsys):
    assert main([]) == 0
    header, rule, *rows = capsys.readouterr().out.splitlines()
    for name in ("name", "aliases", "task", "estimates", "link", "guarantee of safe", "source"):
        assert name in header
    assert set(rule) == {"-", " "}
    assert [row.split()[0] for row in rows] == [*gbo.list_losses(), "zero_one"]
    huber = next(row for row in rows if row.startswith("huber "))
    for fact in ("smooth_l1", "regression", "identity", "majorizer", "doi:"):
        assert fact in huber
    assert main(["list"]) == 0


def test_unknown_command_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["lisst"])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gbobjectives: argument command: invalid choice: 'lisst'")


@pytest.mark.parametrize("missing", ["rich", "lightgbm", "matplotlib"])
def test_missing_extra_is_one_line(monkeypatch, capsys, missing):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["demo"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f'gbobjectives: the demo needs {missing}: pip install "gbobjectives[demo]"'


def test_missing_package_that_is_no_extra_is_an_error(monkeypatch):
    def missing(path):
        raise ModuleNotFoundError("No module named 'numpi'", name="numpi")

    monkeypatch.setattr("gbobjectives.__main__.runpy.run_path", missing)
    with pytest.raises(ModuleNotFoundError, match="numpi"):
        main(["demo"])


def test_demo_on_a_sample(tmp_path):
    # A process of its own: it sets how OpenMP waits, which only counts before the libraries load.
    done = run_module("demo", "--rows", "4000", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    assert "4,000 flights; 9,430 without an arrival delay left out." in done.stdout
    for title in ("(a) Minutes late", "(b) Carrier"):
        assert title in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("│")]
    assert len(rows) == 12 + 1 + 8
    assert sum("LogCoshLoss()" in row for row in rows) == 4
    assert sum("CrossEntropyLoss" in row for row in rows) == 4
    for picture in ("flights_delay.png", "flights_carrier.png"):
        assert str(tmp_path / picture) in done.stdout
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_too_few_rows_is_refused():
    done = run_module("demo", "--rows", "3")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "flights: error: --rows must be at least 1000; got 3"
