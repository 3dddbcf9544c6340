"""Findings on curvature, limits and start: where each is made, with its number, and where not."""

import json
import re

import numpy as np
import pytest

import gbobjectives as gbo
from gbobjectives.testing.samples import Case
from tests.instances import INSTANCES

RNG = np.random.default_rng(5)
NORMAL = RNG.normal(size=1000)
LABELS = (RNG.random(1000) < 0.4).astype(float)
NEVER = {"min_child_weight": 0, "lambda": 0}


def findings(loss, y, **options):
    return {finding.name: finding for finding in gbo.diagnose(loss, y, **options)}


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("instance", INSTANCES, ids=lambda x: x.id)
def test_every_loss_of_the_catalogue(instance, library):
    case = Case(instance.loss, instance.loss, None, 0)
    y, f = case.rows(case.rng(), 60)
    # Groups may be left out where labels are those of rows.
    groups = [case.groups(case.rng(), 60), *([] if case.labels_of_groups else [None])]
    for group in groups:
        for raw in (None, f):
            diagnosis = gbo.diagnose(instance.loss, y, raw, library=library, group=group)
            assert not any(x.name == "labels outside the domain" for x in diagnosis)
            assert str(diagnosis).startswith(f"{instance.loss!r} on 60 labels, for {library}: ")
            assert json.loads(json.dumps(diagnosis.as_dict(), allow_nan=False))["n_rows"] == 60


# ---- curvature -----------------------------------------------------------------------------


def test_share_of_zero_hessians():
    y = np.concatenate([np.zeros(70), np.full(30, 9.0)])
    loss = gbo.HuberLoss(delta=1.0)
    raw = np.zeros(100)
    safe = findings(loss, y, raw_prediction=raw)["zero Hessians"]
    assert (safe.severity, safe.numbers, safe.change) == ("info", {"share": 0.3}, "")
    assert "in 30 % of the rows; the curvature in use, 'auto' (majorizer), is positive" in safe.seen
    exact = gbo.Objective(loss, curvature="exact")
    risky = findings(exact, y, raw_prediction=raw)["zero Hessians"]
    assert (risky.severity, risky.numbers) == ("warning", {"share": 0.3})
    assert risky.change == 'use curvature="auto" (majorizer)'
    assert "zero Hessians" not in findings("squared_error", y, raw_prediction=raw)
    # Rows without weight do not count.
    w = np.repeat([1.0, 0.0], [70, 30])
    assert "zero Hessians" not in findings(loss, y, raw_prediction=raw, sample_weight=w)


def test_share_of_negative_hessians():
    raw = np.concatenate([np.zeros(90), np.full(10, -4.0)])
    y = np.ones(100)
    y[:45] = 0
    found = findings(gbo.FocalLoss(gamma=2.0), y, raw_prediction=raw)["negative Hessians"]
    assert (found.severity, found.numbers) == ("info", {"share": 0.1})
    risky = findings(gbo.Objective("focal", curvature=0.1), y, raw_prediction=raw)
    assert risky["negative Hessians"].severity == "warning"
    assert "negative Hessians" not in findings("log", y, raw_prediction=raw)


# ---- limits --------------------------------------------------------------------------------


def test_limits_that_forbid_a_split():
    found = findings("squared_error", NORMAL, params={"min_child_weight": 501})
    assert found["no split possible"].severity == "error"
    assert found["no split possible"].numbers == {"sum": 1000.0, "needed": 1002.0}
    assert found["no split possible"].change == "set min_child_weight to 20"
    fewer = findings("squared_error", NORMAL, params={"min_child_weight": 499})
    assert "no split possible" not in fewer
    large = fewer["large leaves only"]
    assert (large.severity, large.numbers) == ("warning", {"rows": 499.0, "share": 0.499})
    assert "large leaves only" not in findings(
        "squared_error", NORMAL, params={"min_child_weight": 49}
    )
    # Few rows need not make a leaf large.
    assert "large leaves only" not in findings("squared_error", NORMAL[:10])


@pytest.mark.parametrize("name", ["min_sum_hessian_in_leaf", "min_child_weight", "min_hessian"])
def test_lightgbm_knows_its_limit_by_many_names(name):
    found = findings("squared_error", NORMAL, params={name: 501}, library="lightgbm")
    assert f"{name}=501 in each of two leaves" in found["no split possible"].seen
    assert "no split possible" not in findings("squared_error", NORMAL, library="lightgbm")


def test_the_cause_of_small_sums_is_named():
    # Where weights are shares, or the unit of the residuals was kept, that is what to change.
    shares = np.full(1000, 1e-3)
    found = findings("squared_error", NORMAL, sample_weight=shares)
    assert found["no split possible"].change.startswith("divide the weights by their mean, or")
    assert found["weights far from 1"].numbers["mean"] == pytest.approx(1e-3)
    assert "weights far from 1" not in findings("squared_error", NORMAL, sample_weight=shares * 1e3)
    unit = gbo.Objective(gbo.LinexLoss(a=1e-3), scale=None)
    found = findings(unit, 1000 * NORMAL)["no split possible"]
    assert found.change.startswith('use Objective(loss, scale="auto"), or')
    assert "no split possible" not in findings(gbo.LinexLoss(a=1e-3), 1000 * NORMAL)


def test_curvature_that_is_never_positive():
    raw = np.full(100, -4.0)
    exact = gbo.Objective(gbo.FocalLoss(gamma=2.0), curvature="exact")
    found = findings(exact, np.ones(100), raw_prediction=raw, params=NEVER)["no split possible"]
    assert found.numbers["sum"] == 0
    assert found.change.startswith('use Objective(loss, curvature="auto")')


def test_outputs_are_looked_at_one_by_one():
    y = np.repeat([0.0, 1.0, 2.0], [500, 496, 4])
    found = findings(gbo.CrossEntropyLoss(3), y, params={"min_child_weight": 5})
    assert found["no split possible for some outputs"].severity == "warning"
    assert "of output 2 sums to" in found["no split possible for some outputs"].seen
    one_tree = {"min_child_weight": 5, "multi_strategy": "multi_output_tree"}
    assert not any(
        "split" in name for name in findings(gbo.CrossEntropyLoss(3), y, params=one_tree)
    )
    assert "no split possible" in findings(
        gbo.CrossEntropyLoss(3), y, params=one_tree | {"min_child_weight": 1001}
    )


def test_too_few_rows_for_lightgbm():
    found = findings("squared_error", NORMAL[:39], library="lightgbm")["too few rows to split"]
    assert (found.severity, found.numbers) == ("error", {"rows": 39, "needed": 40.0})
    assert found.change == "set min_data_in_leaf to at most 3"
    for options in (
        {"library": "xgboost"},
        {"library": "lightgbm", "params": {"min_child_samples": 19}},
    ):
        assert "too few rows to split" not in findings("squared_error", NORMAL[:39], **options)


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("xgboost", "gamma"),
        ("xgboost", "min_split_loss"),
        ("lightgbm", "min_gain_to_split"),
    ],
)
def test_a_price_that_no_split_is_worth(library, name):
    # The gain of squared error is at most the sum of squares.
    squares = float(((NORMAL - NORMAL.mean()) ** 2).sum())
    for price, refused in ((1.01 * squares, True), (0.99 * squares, False)):
        found = findings("squared_error", NORMAL, params={name: price}, library=library)
        assert ("no split worth its price" in found) == refused
        if refused:
            assert found["no split worth its price"].numbers["most"] == pytest.approx(squares, 1e-4)


def test_gains_below_what_xgboost_takes():
    assert "gains too small" not in findings("squared_error", NORMAL)
    assert "gains too small" not in findings("squared_error", 1e-5 * NORMAL, library="lightgbm")
    short = findings("squared_error", 1e-3 * NORMAL)["gains too small"]
    none = findings("squared_error", 1e-5 * NORMAL)["gains too small"]
    assert (short.severity, none.severity) == ("warning", "error")
    assert none.change == "multiply the labels by 100000"
    shares = findings("log", LABELS, sample_weight=np.full(1000, 1e-9), params=NEVER)
    assert shares["gains too small"].change == "divide the weights by their mean"
    large = gbo.Objective("log", scale=1e9)
    assert findings(large, LABELS, params=NEVER)["gains too small"].change == (
        "use Objective(loss, scale=1e-09)"
    )


def test_penalties():
    found = findings("squared_error", NORMAL, params={"alpha": 1000.0, "lambda": 1000.0})
    assert found["every step cut to 0"].severity == "error"
    half = found["steps shortened by half or more"]
    assert half.numbers == {"sum": 1000.0, "penalty": 1000.0}
    assert "goes only 50 % of its way" in half.seen
    names = findings("squared_error", NORMAL, params={"alpha": 1.0, "lambda": 999.0})
    assert not {"every step cut to 0", "steps shortened by half or more"} & set(names)
    lightgbm = findings("squared_error", NORMAL, params={"reg_alpha": 1e3}, library="lightgbm")
    assert "reg_alpha=1000" in lightgbm["every step cut to 0"].seen


def test_short_steps():
    found = findings("squared_error", 1e4 * NORMAL, params={"max_delta_step": 1.0})["short steps"]
    reach = np.quantile(np.abs(1e4 * (NORMAL - NORMAL.mean())), 0.9)
    assert found.numbers["distance"] == pytest.approx(reach, rel=0.01)
    assert found.numbers["rounds"] == pytest.approx(reach / 0.3, rel=0.01)
    assert "short steps" not in findings("squared_error", NORMAL, params={"max_delta_step": 1.0})
    assert "short steps" not in findings("squared_error", 1e4 * NORMAL)


# ---- start ---------------------------------------------------------------------------------


def test_intercept():
    found = findings("log", LABELS)["intercept"]
    rate = LABELS.mean()
    assert found.severity == "info"
    assert found.numbers["raw"] == pytest.approx(np.log(rate / (1 - rate)))
    assert found.numbers["response"] == pytest.approx(rate)
    assert "xgboost by itself would start at raw 0.5" in found.seen
    assert "start at raw 0, " in findings("log", LABELS, library="lightgbm")["intercept"].seen


def test_labels_without_a_finite_constant(monkeypatch):
    monkeypatch.setattr(gbo.SquaredErrorLoss, "_intercept", lambda *_: np.inf)
    found = findings("squared_error", NORMAL)
    assert found["no intercept"].severity == "error"
    assert "intercept" not in found


def test_base_score():
    y = 1000 + NORMAL
    found = findings("squared_error", y, params={"base_score": 0.5})["base_score"]
    assert found.severity == "warning"
    assert found.numbers["loss"] == pytest.approx(999.5**2 / 2, rel=1e-3)
    assert "base_score" not in findings("squared_error", y, params={"base_score": y.mean()})
    # It is a response: for log loss a probability.
    assert "base_score" not in findings("log", LABELS, params={"base_score": LABELS.mean()})
    assert findings("log", LABELS, params={"base_score": 1.5})["base_score"].severity == "error"
    three = findings(gbo.CrossEntropyLoss(3), LABELS, params={"base_score": [0.1, 0.2]})
    assert "of 2 numbers; the loss has 3 output(s)" in three["base_score"].seen


def test_raw_prediction_worse_than_a_constant():
    probability = np.where(LABELS == 1, 0.9, 0.1)
    found = findings("log", LABELS, raw_prediction=probability)
    assert "worse than a constant" not in found
    found = findings("log", 1 - LABELS, raw_prediction=probability)["worse than a constant"]
    assert "not responses" in found.change
    assert found.numbers["loss"] > found.numbers["best"]


# ---- the report ----------------------------------------------------------------------------


def test_it_prints_the_worst_first():
    params = {"min_child_weight": 501, "max_delta_step": 1e-6}
    text = str(gbo.diagnose("squared_error", NORMAL, params=params))
    assert text.splitlines()[0] == (
        "SquaredErrorLoss() on 1,000 labels, for xgboost: 1 error, 1 warning, 1 info"
    )
    kinds = re.findall(r"^(error|warning|info): ", text, re.M)
    assert kinds == ["error", "warning", "info"]
    assert max(map(len, text.splitlines())) <= 88


def test_one_finding_prints_on_its_own():
    finding = findings("squared_error", np.ones(3))["constant labels"]
    assert str(finding) == (
        "error, constant labels: all 3 rows that count have the label 1.: there is nothing to "
        "learn\n  change: look at how the labels were made"
    )


def test_wrong_arguments():
    with pytest.raises(ValueError, match='library must be "xgboost" or "lightgbm"; got'):
        gbo.diagnose("huber", NORMAL, library="catboost")
    with pytest.raises(ValueError, match="raw_prediction must have shape"):
        gbo.diagnose("huber", NORMAL, np.zeros((1000, 2)))
    with pytest.raises(ValueError, match="sample_weight must have shape"):
        gbo.diagnose("huber", NORMAL, sample_weight=[1.0])
    with pytest.raises(TypeError, match="diagnose: a Loss, an Objective or a name is wanted"):
        gbo.diagnose(3, NORMAL)


def test_arguments_are_only_read():
    y, w, params = NORMAL.copy(), np.ones(1000), {"num_class": 3, "min_child_weight": 9}
    gbo.diagnose("huber", y, sample_weight=w, params=params)
    assert np.array_equal(y, NORMAL)
    assert (w == 1).all()
    assert params == {"num_class": 3, "min_child_weight": 9}
