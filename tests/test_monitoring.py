"""Trouble is told of as it happens, and of a healthy training nothing; progress is shown."""

import io
import logging
import re
import warnings

import lightgbm
import numpy as np
import pytest
import xgboost
from rich.console import Console

import gbobjectives as gbo

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 4))
AMOUNT = X[:, 0] + RNG.normal(size=500) * 0.1
SIDE = (X[:, 0] > 0).astype(float)
LIBRARIES = pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
LIMIT = {"xgboost": "min_child_weight", "lightgbm": "min_sum_hessian_in_leaf"}


def train(library, loss, labels, params, rounds=20, **options):
    if library == "xgboost":
        data = xgboost.DMatrix(X, labels)
        if options:
            options |= {"evals": [(data, "train")], "verbose_eval": False}
        return gbo.xgb.train(params, data, rounds, loss=loss, **options)
    data = lightgbm.Dataset(X, labels)
    if options:
        options |= {"valid_sets": [data], "valid_names": ["train"]}
    return gbo.lgb.train({"verbosity": -1, **params}, data, rounds, loss=loss, **options)


def findings(library, loss, labels, params, curvature="auto"):
    monitor = gbo.Monitor(params, library)
    watched = monitor.watch(gbo.Objective(loss, curvature=curvature))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gbo.TrainingWarning)
        train(library, watched, labels, params)
    return {finding.name: finding for finding in monitor.findings}


@LIBRARIES
@pytest.mark.parametrize(
    ("loss", "labels"),
    [(gbo.HuberLoss(), AMOUNT), (gbo.LogLoss(), SIDE), (gbo.PoissonLoss(), np.abs(AMOUNT))],
    ids=["huber", "log", "poisson"],
)
def test_a_healthy_training_is_silent(library, loss, labels):
    assert findings(library, loss, labels, {}) == {}


@LIBRARIES
def test_no_split_names_the_limit_and_what_to_set_it_to(library):
    found = findings(library, gbo.LogLoss(), SIDE, {LIMIT[library]: 1e4})
    assert list(found) == ["no split"]
    change = found["no split"].change
    assert change.startswith(f"set {LIMIT[library]} to ")
    # It is right: with it, trees split.
    value = float(change.split()[-1])
    assert "no split" not in findings(library, gbo.LogLoss(), SIDE, {LIMIT[library]: value})


@LIBRARIES
def test_a_rising_loss_names_a_curvature_that_cannot(library):
    loss = gbo.LogCoshLoss(delta=0.1)
    found = findings(library, loss, AMOUNT, {"eta": 1.0}, curvature=1e-3)
    assert 'use curvature="auto" (majorizer)' in found["rising loss"].change
    assert "rising loss" not in findings(library, loss, AMOUNT, {"eta": 1.0})


@LIBRARIES
def test_curvatures_that_are_a_floor(library):
    loss = gbo.HuberLoss(delta=1e-3)
    found = findings(library, loss, AMOUNT, {}, curvature=1e-6)
    assert found["floored curvature"].change == 'use curvature="auto"'


@LIBRARIES
def test_scores_that_float32_cannot_tell_apart(library):
    found = findings(library, gbo.SquaredErrorLoss(), AMOUNT + 1e6, {})
    assert "subtract a constant from the labels" in found["saturated scores"].change


@LIBRARIES
@pytest.mark.parametrize(
    ("loss", "label", "low", "high", "seen", "change"),
    [
        (gbo.LogLoss(), 1.0, 16.0, 17.0, r"rounds to an end of \(0, 1\)", "label_smoothing=0.01"),
        (
            gbo.LogLoss(),
            0.0,
            -16.0,
            -17.0,
            r"rounds to an end of \(0, 1\)",
            "stop earlier, or set ",
        ),
        (gbo.CrossEntropyLoss(2), 0, [16.0, 0.0], [17.0, 0.0], "rounds to an end", "stop earlier"),
        (gbo.PoissonLoss(), 1.0, 88.0, 89.0, "beyond the range of float32", " to 1, or "),
    ],
    ids=["certain", "impossible", "softmax", "log"],
)
def test_responses_that_float32_cannot_tell_apart(library, loss, label, low, high, seen, change):
    """One row in fifty is enough, and less far it is silent: `low` is inside, `high` is not."""
    labels, n = np.full(100, label, dtype=float), 100
    labels[50:] = 1 - label
    raw = np.zeros((n, *np.shape(low)), dtype=np.float32)
    found = []
    for end in (low, high):
        monitor = gbo.Monitor({}, library)
        raw[:2] = end
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", gbo.TrainingWarning)
            monitor.watch(loss).gradient_hessian(labels, raw)
        found.append({x.name: x for x in monitor.findings}.get("saturated scores"))
    assert found[0] is None
    assert re.search(seen, found[1].seen)
    assert change in found[1].change
    assert found[1].numbers["share"] == 0.02
    assert found[1].seen.startswith(f"2 % of the raw predictions, up to {np.abs(high).max():.4g},")


def test_a_loss_that_smooths_its_labels_is_not_told_to():
    raw = np.full(10, 20.0, dtype=np.float32)
    monitor = gbo.Monitor()
    with pytest.warns(gbo.TrainingWarning, match="saturated scores"):
        monitor.watch(gbo.LogLoss(label_smoothing=0.1)).gradient_hessian(np.ones(10), raw)
    assert "label_smoothing" not in monitor.findings[-1].change


def test_the_model_is_that_of_the_loss_unwatched():
    watched = train("xgboost", gbo.Monitor().watch("huber"), AMOUNT, {})
    assert watched.get_dump() == train("xgboost", "huber", AMOUNT, {}).get_dump()


def test_findings_go_to_a_logger_or_are_warnings(caplog):
    monitor = gbo.Monitor({"min_child_weight": 1e4}, logger=logging.getLogger("training"))
    with caplog.at_level("WARNING", "training"):
        train("xgboost", monitor.watch(gbo.LogLoss()), SIDE, {"min_child_weight": 1e4})
    assert "no split" in caplog.text
    monitor = gbo.Monitor({"min_child_weight": 1e4})
    with pytest.warns(gbo.TrainingWarning, match="round 4, no split"):
        train("xgboost", monitor.watch(gbo.LogLoss()), SIDE, {"min_child_weight": 1e4})


def test_what_a_monitor_cannot_be_is_an_error():
    with pytest.raises(ValueError, match="library must be"):
        gbo.Monitor(library="catboost")
    with pytest.raises(ValueError, match="period must be at least 1"):
        gbo.Monitor(period=0)


@LIBRARIES
@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
def test_progress_is_shown_in_a_terminal_only(library, terminal):
    adapter = gbo.xgb if library == "xgboost" else gbo.lgb
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    train(library, "huber", AMOUNT, {}, callbacks=[adapter.Progress(console=console)])
    shown = console.file.getvalue()
    if terminal:
        assert "20/20" in shown
        assert "huber: train" in shown
        assert "in round 20" in shown
    else:
        assert shown == ""
