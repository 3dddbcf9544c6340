"""`gbobjectives check`: the conformance report of one's own loss, with an exit status for CI."""

import sys
from pathlib import Path

import pytest

import gbobjectives as gbo
from gbobjectives.__main__ import main
from gbobjectives.testing import LOSS_CHECKS

GOOD = """
from dataclasses import dataclass

import numpy as np

import gbobjectives as gbo


@dataclass(frozen=True)
class ArctanLoss(gbo.ResidualLoss):
    "Absolute error with a smooth core."

    def _rho(self, u):
        return u * np.arctan(u) - np.log(np.hypot(1, u))

    def _psi(self, u):
        return np.arctan(u)

    def _psi_derivative(self, u):
        return 1 / np.hypot(1, u) ** 2


@dataclass(frozen=True)
class WrongLoss(ArctanLoss):
    "Of a gradient that is none."

    def _psi(self, u):
        return 2 * np.arctan(u)


@dataclass(frozen=True)
class BrokenLoss(ArctanLoss):
    def _resolve(self, batch, statistics):
        raise RuntimeError("of no use")


@dataclass(frozen=True)
class NeedyLoss(ArctanLoss):
    size: float


class UnfinishedLoss(gbo.ResidualLoss):
    pass


narrow = ArctanLoss(delta=0.5)
objective = gbo.Objective(narrow, curvature="safe")
number = 3


class Space:
    inner = narrow
"""


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """A folder with a module of losses, in which one stands."""
    (tmp_path / "own_losses_of_test.py").write_text(GOOD, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("own_losses_of_test", "gbobjectives_checked"):
        sys.modules.pop(name, None)


@pytest.fixture
def check(capsys):
    def check(*arguments):
        capsys.readouterr()
        try:
            status = main(["check", *arguments])
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()

    return check


@pytest.mark.parametrize(
    ("target", "subject"),
    [
        ("own_losses_of_test:ArctanLoss", "ArctanLoss()"),
        ("own_losses_of_test.py:ArctanLoss", "ArctanLoss()"),
        ("./own_losses_of_test.py:narrow", "ArctanLoss(delta=0.5)"),
        ("own_losses_of_test:Space.inner", "ArctanLoss(delta=0.5)"),
        ("gbobjectives:LogCoshLoss", "LogCoshLoss()"),
    ],
)
def test_a_loss_that_passes(check, target, subject):
    status, out, errors = check(target)
    assert (status, errors) == (0, [])
    lines = out.splitlines()
    assert lines[0] == subject
    assert lines[1:-1] == [f"  ok    {name}" for name, _ in LOSS_CHECKS]
    assert lines[-1] == f"{len(LOSS_CHECKS)} of {len(LOSS_CHECKS)} checks passed"


def test_a_file_elsewhere_sees_what_stands_beside_it(check, own, monkeypatch):
    folder = own / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "helper_of_test.py").write_text("DELTA = 2.0\n", encoding="utf-8")
    (folder / "mine.py").write_text(
        "from gbobjectives import FairLoss\nfrom helper_of_test import DELTA\n"
        "loss = FairLoss(delta=DELTA)\n",
        encoding="utf-8",
    )
    status, out, _ = check(str(Path("deep", "er", "mine.py")) + ":loss")
    assert status == 0
    assert out.startswith("FairLoss(delta=2.0)\n")


def test_parameters_of_the_class(check):
    for name in ("--parameter=delta=2", "--parameter=delta = 2.0"):
        assert check("own_losses_of_test:ArctanLoss", name)[1].startswith("ArctanLoss(delta=2.0)")
    status, out, _ = check("gbobjectives:QuantileLoss", "--parameter", "quantile=[0.1, 0.9]",
                           "--parameter", "ordered=True")  # fmt: skip
    assert status == 0
    assert out.startswith("QuantileLoss(quantile=(0.1, 0.9), ordered=True)")


def test_an_objective(check):
    status, out, _ = check("own_losses_of_test:objective")
    assert status == 0
    assert out.splitlines()[0].startswith("Objective(loss=ArctanLoss(delta=0.5)")
    assert "  ok    derivatives for trees" in out


def test_a_loss_that_fails(check):
    status, out, errors = check("own_losses_of_test:WrongLoss")
    assert (status, errors) == (1, [])
    assert "  ok    facts are declared" in out
    assert "  FAIL  derivatives are exact\n    " in out
    passed, _, total = out.splitlines()[-1].split()[:3]
    assert int(passed) < int(total) == len(LOSS_CHECKS)


def test_a_loss_that_raises(check):
    status, out, errors = check("own_losses_of_test:BrokenLoss")
    assert (status, errors) == (1, [])
    assert "raised RuntimeError: of no use" in out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["huber"], "a target is module:Class, module:instance or path/to/file.py:Class"),
        (["no_such_module_of_test:A"], "cannot import no_such_module_of_test: ModuleNotFoundError"),
        (["no_such_file.py:A"], "check: there is no file no_such_file.py"),
        (["own_losses_of_test:ArctanLos"], "(did you mean 'ArctanLoss'?)"),
        (["own_losses_of_test:number"], "is no Loss, and no class of one; it is 3"),
        (["own_losses_of_test:NeedyLoss"], "'size'; give --parameter NAME=VALUE"),
        (["own_losses_of_test:UnfinishedLoss"], "abstract"),
        (["own_losses_of_test:ArctanLoss", "--parameter=delta=-1"], "delta must be a number in"),
        (["own_losses_of_test:ArctanLoss", "--parameter=delta"], "--parameter is NAME=VALUE"),
        (["own_losses_of_test:narrow", "--parameter=delta=1"], "it takes no --parameter"),
        (["wrong.py:A"], "cannot import wrong.py: SyntaxError"),
        (["leaves.py:A"], "cannot import leaves.py: SystemExit: 0"),
        ([], "the following arguments are required: MODULE:NAME"),
    ],
)
def test_nothing_to_check(check, own, arguments, error):
    (own / "wrong.py").write_text("class A(:\n", encoding="utf-8")
    (own / "leaves.py").write_text("raise SystemExit(0)\n", encoding="utf-8")
    status, out, (said,) = check(*arguments)
    assert (status, out) == (2, "")
    assert error in said


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_on_a_terminal(check, monkeypatch, environment, coloured):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert "\x1b" not in check("own_losses_of_test:WrongLoss")[1]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    out = check("own_losses_of_test:WrongLoss")[1]
    assert ("\x1b[31mFAIL\x1b[0m" in out) == coloured
    assert ("\x1b[32mok\x1b[0m" in out) == coloured


def test_the_same_seed_checks_the_same_rows(check, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "gbobjectives.testing.check_loss",
        lambda loss, random_state: seen.append(random_state) or gbo.testing.Report("", (), ()),
    )
    check("gbobjectives:HuberLoss")
    check("gbobjectives:HuberLoss", "--random-state", "7")
    assert seen == [0, 7]
