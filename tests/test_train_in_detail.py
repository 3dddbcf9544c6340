"""`train`, where a detail decides: metrics of another link, offsets, continuation, generators."""

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from tests.boosting import (
    CLASS,
    COUNT,
    LGB,
    REAL,
    TRAIN,
    VALID,
    WEIGHT,
    XGB,
    N,
    X,
    dataset,
    dmatrix,
)

VALID_ROWS = X[VALID]


@pytest.mark.parametrize("metric", ["mae", gbo.Metric("mae"), gbo.AbsoluteErrorLoss()], ids=str)
def test_a_metric_of_another_link_is_given_responses_in_xgboost(metric):
    log, valid = {}, dmatrix(COUNT, rows=VALID)
    model = gbo.xgb.train(
        XGB, dmatrix(COUNT, rows=TRAIN), 20, loss="poisson", metric=metric,
        evals=[(valid, "v")], evals_result=log, verbose_eval=False,
    )  # fmt: skip
    mae = np.abs(model.predict(valid) - COUNT[VALID]).mean()
    assert log["v"]["mae"][-1] == pytest.approx(mae, abs=1e-5)


def test_a_metric_of_another_link_is_given_responses_in_lightgbm():
    log, train = {}, dataset(COUNT, rows=TRAIN)
    model = gbo.lgb.train(
        LGB, train, 20, loss="poisson", metric="mae",
        valid_sets=[train.create_valid(VALID_ROWS, COUNT[VALID])], valid_names=["v"],
        callbacks=[lightgbm.record_evaluation(log)],
    )  # fmt: skip
    mae = np.abs(model.predict(VALID_ROWS) - COUNT[VALID]).mean()
    assert log["v"]["mae"][-1] == pytest.approx(mae, rel=1e-6)


def test_a_probability_that_float32_rounds_to_1_has_a_log_loss():
    metric = gbo.Metric(gbo.LogLoss())
    p = np.array([0.0, 1.0, 0.5], dtype=np.float32)
    assert np.isfinite(metric([0.0, 1.0, 1.0], p, given="response"))
    with pytest.raises(ValueError, match=r'given must be "raw" or "response"; got .resp.'):
        metric([0.0, 1.0, 1.0], p, given="resp")


@pytest.mark.parametrize("library", ["xgb", "lgb"])
def test_a_metric_that_cannot_be_evaluated_is_refused_before_training(library):
    def unweighted(y_true, y_pred):
        return 0.0

    make, settings = (dmatrix, XGB) if library == "xgb" else (dataset, LGB)
    train = getattr(gbo, library).train
    bad = gbo.Metric(unweighted, greater_is_better=False)
    with pytest.raises(TypeError, match="the data has weights, and unweighted takes no sample_w"):
        train(settings, make(COUNT, WEIGHT), 2, loss="poisson", metric=bad)
    with pytest.raises(ValueError, match=r"has 3 output\(s\), and the model of"):
        train(settings, make(COUNT), 2, loss="poisson", metric=gbo.CrossEntropyLoss(3))
    with pytest.raises(ValueError, match=r"metric: LogLoss: y_true must lie in \[0, 1\]"):
        train(settings, make(COUNT), 2, loss="poisson", metric="log_loss")


def test_evals_may_be_a_generator():
    log, d = {}, dmatrix(COUNT)
    evals = ((d, name) for name in ("a", "b"))
    gbo.xgb.train(XGB, d, 3, loss="poisson", evals=evals, evals_result=log, verbose_eval=False)
    assert list(log) == ["a", "b"]
    log, d = {}, dataset(COUNT)
    valid = (d.create_valid(VALID_ROWS, COUNT[VALID]) for _ in range(2))
    record = lightgbm.record_evaluation(log)
    gbo.lgb.train(LGB, d, 3, loss="poisson", valid_sets=valid, callbacks=[record])
    assert list(log) == ["valid_0", "valid_1"]


def test_continuation_leaves_the_dataset_as_it_was():
    d = dataset(REAL)
    first = gbo.lgb.train(LGB, d, 5, loss="squared_error")
    runs = [
        gbo.lgb.train(LGB, d, 5, loss="squared_error", init_model=first).predict(X)
        for _ in range(2)
    ]
    assert d.get_init_score() is None
    np.testing.assert_array_equal(runs[0], runs[1])
    again = gbo.lgb.train(LGB, d, 5, loss="squared_error")
    np.testing.assert_array_equal(again.predict(X), first.predict(X))


def test_an_offset_that_does_not_fit_is_refused():
    three, wanted = gbo.CrossEntropyLoss(3), r"must hold finite numbers of shape \(600, 3\); got"
    d = xgboost.DMatrix(X, CLASS, base_margin=np.ones(N))
    with pytest.raises(ValueError, match=f"base_margin {wanted} .600,., 0 of them"):
        gbo.xgb.train(XGB, d, 2, loss=three)
    for score, said in ((np.ones(N + 1), ".601,., 0 of"), (np.full(3 * N, np.nan), ".* 1800 of")):
        d = lightgbm.Dataset(X, CLASS, init_score=score)
        with pytest.raises(ValueError, match=f"init_score {wanted} {said} them not finite"):
            gbo.lgb.train(LGB, d, 2, loss=three)


def test_soft_labels_are_refused_in_xgboost():
    d = xgboost.DMatrix(X, np.full((N, 3), 1 / 3))
    with pytest.raises(ValueError, match=r"XGBoost takes no labels of shape \(600, 3\)"):
        gbo.xgb.train(XGB, d, 2, loss=gbo.CrossEntropyLoss(3))


def test_dart_that_watches_its_training_set_is_refused_in_lightgbm():
    d = dataset(REAL)
    with pytest.raises(ValueError, match="drops trees once more whenever it reads the training"):
        gbo.lgb.train(LGB | {"boosting": "dart"}, d, 2, loss="huber", valid_sets=[d])


def test_groups_of_very_different_weight_rank_alike_in_float32():
    rng = np.random.default_rng(0)
    sizes = np.full(200, 10)
    y, f = rng.integers(0, 4, 2000).astype(np.float32), rng.normal(size=2000).astype(np.float32)
    w = np.repeat(np.where(np.arange(200) % 2, 1e4, 1e-3), 10) * rng.uniform(0.5, 1.5, 2000)
    loss = gbo.MarginRankingLoss()
    for what in (loss.gradient, loss.curvature):
        exact = what(y, f.astype(np.float64), sample_weight=w, group=sizes)
        got = what(y, f, sample_weight=w.astype(np.float32), group=sizes)
        for i, size in enumerate(sizes):
            rows = slice(10 * i, 10 * i + size)
            error = np.abs(got[rows] - exact[rows]).max()
            assert error <= 1e-5 * np.abs(exact[rows]).max()


def test_small_means_have_their_own_intercept():
    y = np.array([1.0, 2.0, 3.0]) * 1e-9
    assert gbo.PoissonLoss().intercept(y) == pytest.approx(np.log(2e-9))
    assert gbo.PoissonLoss().intercept(np.zeros(3)) == -15


@pytest.mark.parametrize("scale", [10, 10.0, np.float32(10), np.int64(10)], ids=lambda x: repr(x))
def test_a_number_of_any_type_scales(scale):
    plain = gbo.Objective(gbo.HuberLoss(delta=1.0), scale=None)
    scaled = gbo.Objective(gbo.HuberLoss(delta=1.0), scale=scale)
    for a, b in zip(
        plain.gradient_hessian(REAL, 2 * REAL), scaled.gradient_hessian(REAL, 2 * REAL), strict=True
    ):
        np.testing.assert_allclose(b, a / 10, rtol=1e-6)


def test_a_loss_of_three_kernels_has_a_default_curvature():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Plain(gbo.RowLoss):
        """Squared error."""

        def _value(self, y, f):
            return (f - y) ** 2 / 2

        def _gradient(self, y, f):
            return f - y

        def _hessian(self, y, f):
            return np.ones_like(f)

    assert Plain().guarantee("auto") == "heuristic"
    _, h = gbo.Objective(Plain()).gradient_hessian(REAL, REAL)
    assert (h == 1).all()


def test_a_required_parameter_is_asked_for():
    with pytest.raises(ValueError, match="CrossEntropyLoss: the parameter n_classes is required"):
        gbo.get_loss("softmax")
