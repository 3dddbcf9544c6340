"""Findings on labels and parameters: where each is made, with its number, and where not."""

import re

import numpy as np
import pytest

import gbobjectives as gbo

RNG = np.random.default_rng(5)
NORMAL = RNG.normal(size=1000)
LABELS = (RNG.random(1000) < 0.4).astype(float)


def findings(loss, y, **options):
    return {finding.name: finding for finding in gbo.diagnose(loss, y, **options)}


# ---- labels --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "y", "change"),
    [
        ("log", [-1.0, 1.0], "labels are 0 and 1 here: give (y + 1) / 2"),
        ("log", [0.0, 2.0], "of 3 classes: CrossEntropyLoss(n_classes=3)"),
        (gbo.CrossEntropyLoss(3), [1, 2, 3], "classes begin at 0: give y - 1"),
        (gbo.CrossEntropyLoss(3), [0, 2, 3], "set n_classes=4"),
        ("gamma", [0.0, 2.0], "for amounts that may be 0 take TweedieLoss, for counts PoissonLoss"),
        ("poisson", [-3.0, 2.0], "labels of both signs take a regression loss, such as HuberLoss"),
        ("huber", [np.nan, 2.0], "leave them out by Masked(loss, ignore=nan)"),
        ("huber", [np.inf, 2.0], "drop or repair these rows"),
        ("log", [0.5, 1.5], "drop or repair these rows"),
    ],
)
def test_labels_outside_the_domain(loss, y, change):
    found = findings(loss, y)
    assert set(found) == {"labels outside the domain"}
    assert found["labels outside the domain"].severity == "error"
    assert "y_true must" in found["labels outside the domain"].seen
    assert change in found["labels outside the domain"].change


def test_labels_that_are_left_out_are_no_trouble():
    loss = gbo.Masked(gbo.HuberLoss(), ignore=np.nan)
    assert "labels outside the domain" not in findings(loss, [np.nan, 1.0, 2.0, 4.0])


def test_constant_labels():
    assert findings("huber", np.ones(50))["constant labels"].severity == "error"
    assert "constant labels" not in findings("huber", NORMAL)
    # Rows that do not count do not make labels differ.
    y, w = np.array([1.0, 1.0, 5.0]), [1.0, 1.0, 0.0]
    assert "constant labels" in findings("huber", y, sample_weight=w)


def test_units():
    # Seconds since 1970, to a few seconds.
    found = findings("squared_error", 1.7e9 + 20 * NORMAL)["labels lose digits"]
    assert found.numbers["lost"] > 30
    assert found.change.startswith("subtract a constant, such as 1.7")
    assert not {"labels lose digits", "unit of the labels"} & set(
        findings("squared_error", 20 * NORMAL)
    )
    found = findings("squared_error", 1e18 * NORMAL)["unit of the labels"]
    assert found.change == "divide the labels by 3e+18"
    assert "unit of the labels" not in findings("squared_error", 1e18 * NORMAL, library="lightgbm")


def test_outliers():
    y = NORMAL.copy()
    y[:5] = 1e4
    found = findings("squared_error", y)["outliers"]
    assert found.severity == "warning"
    assert found.numbers["rows"] == 5
    assert found.numbers["pull"] > 0.4
    assert "HuberLoss() bounds" in found.change
    robust = findings("huber", y)["outliers"]
    assert (robust.severity, robust.change) == ("info", "")
    assert "outliers" not in findings("squared_error", NORMAL)


def test_delta_and_the_residuals():
    auto = findings("huber", NORMAL)["delta"]
    assert (auto.severity, auto.change) == ("info", "")
    assert auto.numbers["beyond"] == pytest.approx(0.18, abs=0.03)
    assert '"auto" gives here' in auto.seen
    narrow = findings(gbo.HuberLoss(delta=0.01), NORMAL)["delta narrow"]
    assert narrow.numbers["beyond"] > 0.98
    assert re.match(r'use delta="auto" \(1\.\d+ here\), or AbsoluteErrorLoss', narrow.change)
    assert "little pull" in findings(gbo.TukeyLoss(delta=0.01), NORMAL)["delta narrow"].seen
    wide = findings(gbo.HuberLoss(delta=100.0), NORMAL)["delta wide"]
    assert wide.numbers["beyond"] == 0
    assert "SquaredErrorLoss" in wide.change
    assert set(findings(gbo.HuberLoss(delta=1.0), NORMAL)) >= {"delta"}
    # The smoothed corner of an absolute error is another matter: it ought to be narrow.
    corner = findings(gbo.AbsoluteErrorLoss(delta=10.0), NORMAL)["delta wide"]
    assert "no longer the median" in corner.seen
    for loss in (gbo.AbsoluteErrorLoss(delta=0.1), gbo.AbsoluteErrorLoss()):
        assert not {"delta", "delta wide", "delta narrow"} & set(findings(loss, NORMAL))


def test_imbalance():
    y = np.repeat([0.0, 1.0], [980, 20])
    found = findings("log", y)["imbalance"]
    assert (found.severity, found.numbers["rarest"]) == ("warning", pytest.approx(0.02))
    assert 'class_weight="balanced"' in found.change
    weighed = findings(gbo.LogLoss(class_weight="balanced"), y)["imbalance"]
    assert (weighed.severity, weighed.change) == ("info", "")
    assert "imbalance" not in findings("log", LABELS)
    # Weights of rows count.
    w = np.repeat([1.0, 49.0], [980, 20])
    assert "imbalance" not in findings("log", y, sample_weight=w)
    three = findings(gbo.CrossEntropyLoss(3), np.repeat([0, 1, 2], [500, 490, 10]))
    assert "class 2 has 1 %" in three["imbalance"].seen


def test_absent_classes():
    found = findings(gbo.CrossEntropyLoss(4), np.repeat([0, 2], 50))["absent classes"]
    assert "no row has the class 1, 3, of 4" in found.seen
    assert "absent classes" not in findings(gbo.CrossEntropyLoss(2), np.repeat([0, 1], 50))


# ---- parameters ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "params", "name", "seen"),
    [
        ("xgboost", {"scale_pos_weight": 3}, "void", "has no effect under a custom objective"),
        ("xgboost", {"huber_slope": 1.0}, "void", "huber_slope=1.0"),
        ("xgboost", {"quantile_alpha": 0.3}, "void", "quantile_alpha=0.3"),
        ("xgboost", {"tweedie_variance_power": 1.2}, "void", "tweedie_variance_power=1.2"),
        ("xgboost", {"lambdarank_pair_method": "mean"}, "void", "only built-in objectives read"),
        ("xgboost", {"objective": "reg:absoluteerror"}, "conflicting", "conflicts with loss"),
        ("xgboost", {"num_class": 3}, "conflicting", "has 1 output(s)"),
        ("lightgbm", {"boost_from_average": True}, "void", "boost_from_average=True"),
        ("lightgbm", {"is_unbalance": True}, "void", "is_unbalance=True"),
        ("lightgbm", {"alpha": 0.9}, "void", "alpha=0.9"),
        ("lightgbm", {"objective_seed": 1}, "void", "only built-in objectives read"),
        ("lightgbm", {"application": "quantile"}, "conflicting", "conflicts with loss"),
        ("lightgbm", {"metric": "binary_logloss"}, "conflicting", "raw scores as responses"),
        ("lightgbm", {"num_classes": 3}, "conflicting", "has 1 output(s)"),
        ("lightgbm", {"boosting": "rf"}, "conflicting", "refuses custom objectives"),
        ("lightgbm", {"linear_tree": True}, "conflicting", "linear_tree is not possible"),
    ],
)
def test_parameters_that_do_not_go_with_a_loss(library, params, name, seen):
    found = findings("log", LABELS, params=params, library=library)[f"{name} parameter"]
    assert seen in found.seen
    assert found.change
    assert found.severity == ("warning" if "built-in" in seen else "error")


@pytest.mark.parametrize(
    ("library", "params"),
    [
        ("xgboost", {"objective": "binary:logistic", "eval_metric": "auc", "alpha": 0.5, "eta": 1}),
        ("lightgbm", {"objective": "binary", "metric": "auc", "lambda_l1": 0.5, "num_class": 1}),
    ],
)
def test_parameters_that_go_with_a_loss(library, params):
    found = findings("log", LABELS, params=params, library=library)
    assert not [name for name in found if "parameter" in name]
    pairs = findings("log", LABELS, params=list(params.items()), library=library)
    assert pairs == found


def test_several_bad_parameters_are_all_named():
    params = {"scale_pos_weight": 3, "num_class": 3, "quantile_alpha": 0.5}
    found = [x.seen for x in gbo.diagnose("log", LABELS, params=params) if x.severity == "error"]
    assert len(found) == 3


def test_link_that_the_library_lacks():
    y = np.abs(NORMAL)
    found = findings("log1p_squared_error", y, library="lightgbm")["link"]
    assert found.severity == "warning"
    assert "gbobjectives.predict(model, data) predicts responses" in found.change
    assert "link" not in findings("poisson", y)
