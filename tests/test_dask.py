"""Two workers of a Dask cluster, with uneven shards and weights, against one machine."""

import os
import signal
from concurrent.futures import CancelledError
from dataclasses import dataclass

import dask.array
import distributed
import lightgbm
import numpy as np
import pytest
import xgboost
from xgboost.dask import DaskDMatrix

import gbobjectives as gbo
from tests.boosting import distance

N, FIRST = 1200, 300  # rows, and those of the first worker
ROUNDS = 8
XGB = {"max_depth": 3, "eta": 0.3}
# On several workers LightGBM estimates the rows of a leaf: no limit but that of its Hessian.
LGB = {
    "num_leaves": 7,
    "learning_rate": 0.3,
    "n_estimators": 20,
    "min_child_samples": 1,
    "min_child_weight": 5,
    "verbosity": -1,
}

_rng = np.random.default_rng(3)
# Fewer values than bins: bins, which are approximate over workers, are the values themselves.
X = _rng.integers(0, 32, size=(N, 4)).astype(np.float32)
_signal = (X[:, 0] + X[:, 1] * X[:, 2] / 32 - 24) / 8
_on_first = np.arange(N) < FIRST
WEIGHT = np.where(_on_first, 8.0, 1.0) * _rng.uniform(0.5, 1.5, N)
# Labels of the first worker are unlike those of the second: what it sees alone misleads.
LABELS = {
    "real": 5 * _signal + np.where(_on_first, 20, 2) * _rng.normal(size=N),
    "binary": _rng.random(N) < np.where(_on_first, 0.8, 0.3) / (1 + np.exp(-_signal)),
    "class": np.digitize(_signal + _on_first, [-0.5, 0.5]),
    "count": _rng.poisson(np.exp(0.3 * _signal + _on_first)),
}
LABELS = {name: y.astype(np.float32) for name, y in LABELS.items()}
QUERY = np.repeat(np.arange(N // 10), 10)
TABLE = xgboost.DMatrix(X)

LOSSES = [
    ("squared_error", "real"),
    (gbo.HuberLoss(), "real"),  # auto delta, divided by the mean curvature
    (gbo.QuantileLoss((0.1, 0.9)), "real"),
    (gbo.FocalLoss(alpha="balanced"), "binary"),
    (gbo.DiceLoss(), "binary"),  # coupled
    (gbo.CrossEntropyLoss(3, class_weight="balanced"), "class"),
    (gbo.PoissonLoss(), "count"),
    (gbo.HuberLoss(delta=3.0) + gbo.LogCoshLoss(), "real"),
]


@pytest.fixture(scope="module")
def client():
    # Workers that are killed, or fail on purpose, say so in the log.
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=60
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def spread(client, array, cut=FIRST):
    """A Dask array: rows before the cut on the first worker, the others on the second."""
    # A worker that a test before killed may not be back yet.
    client.wait_for_workers(2)
    addresses = sorted(client.scheduler_info()["workers"])
    parts = []
    for part, address in zip((array[:cut], array[cut:]), addresses, strict=True):
        if len(part):
            # A key of its own: that of an equal array may just be on its way out.
            there = dask.delayed(client.scatter(part, workers=[address], hash=False))
            parts.append(dask.array.from_delayed(there, part.shape, part.dtype))
    return dask.array.concatenate(parts)


def matrix(client, y, w=WEIGHT, rows=slice(None), cut=FIRST, **fields):
    columns = {"label": y, "weight": w, **fields}
    given = {k: spread(client, v[rows], cut) for k, v in columns.items() if v is not None}
    return DaskDMatrix(client, spread(client, X[rows], cut), **given)


def on_one(y, loss, w=WEIGHT, rows=slice(None), rounds=ROUNDS, evals=(), **options):
    """Model and log of one machine."""
    fields = {k: options.pop(k)[rows] for k in ("qid", "base_margin") if k in options}
    data = xgboost.DMatrix(X[rows], y[rows], weight=None if w is None else w[rows], **fields)
    log = {}
    model = gbo.xgb.train(
        XGB | {"nthread": 1}, data, rounds, loss=loss, evals=[(data, "train"), *evals],
        evals_result=log, verbose_eval=False, **options,
    )  # fmt: skip
    return model, log


def on_two(client, data, loss, rounds=ROUNDS, evals=(), **options):
    """Model and log of two workers."""
    trained = gbo.xgb.dask_train(
        client, XGB, data, rounds, loss=loss, evals=[(data, "train"), *evals],
        verbose_eval=False, **options,
    )  # fmt: skip
    return trained["booster"], trained["history"]


def raw(model, data=TABLE):
    return model.predict(data, output_margin=True)


def assert_same(trained, wanted, data=TABLE):
    (model, log), (expected, expected_log) = trained, wanted
    assert distance(raw(model, data), raw(expected, data)) <= 1e-5
    assert log.keys() == expected_log.keys()
    for name, values in expected_log.items():
        assert log[name].keys() == values.keys()
        for metric, history in values.items():
            np.testing.assert_allclose(log[name][metric], history, rtol=1e-5, atol=2e-6)


# ---- XGBoost -------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "label"), LOSSES, ids=lambda x: str(x))
def test_two_workers_give_the_model_and_the_metric_of_one_machine(client, loss, label):
    y = LABELS[label]
    assert_same(on_two(client, matrix(client, y), loss), on_one(y, loss))


def test_what_each_worker_sees_alone_gives_another_model_and_another_metric(client):
    y, loss = LABELS["real"], gbo.HuberLoss()
    data, objective = matrix(client, y), gbo.Objective(loss)

    def by_hand(f, shard):
        return objective.gradient_hessian(shard.get_label(), f, shard.get_weight())

    def train(obj):
        return xgboost.dask.train(
            client, XGB | {"base_score": float(loss.intercept(y, WEIGHT)[0])}, data, ROUNDS,
            obj=obj, custom_metric=gbo.xgb.metric(loss), evals=[(data, "train")],
            verbose_eval=False,
        )  # fmt: skip

    alone = train(by_hand)
    model, log = on_one(y, loss)
    assert distance(raw(alone["booster"]), raw(model)) > 1e-2
    assert alone["history"]["train"]["huber"][-1] != pytest.approx(
        log["train"]["huber"][-1], rel=0.1
    )
    with pytest.raises(ValueError, match=r"all workers.*use gbobjectives\.xgb\.dask_train"):
        train(gbo.xgb.objective(loss))


def test_the_model_says_its_loss_and_predicts_responses(client):
    y, loss = LABELS["count"], gbo.PoissonLoss()
    model, _ = on_two(client, matrix(client, y), loss)
    saved = xgboost.Booster(model_file=model.save_raw())
    assert gbo.loss_of(saved) == loss
    assert np.average(saved.predict(TABLE), weights=WEIGHT) == pytest.approx(
        np.average(y, weights=WEIGHT), rel=0.05
    )


def test_early_stopping_on_rows_that_one_worker_has(client):
    y, valid, rows = LABELS["real"], slice(0, 200), slice(200, N)
    options = {"metric": "rmse", "early_stopping_rounds": 2, "rounds": 60}
    there = (matrix(client, y, rows=valid, cut=200), "valid")
    here = (xgboost.DMatrix(X[valid], y[valid], weight=WEIGHT[valid]), "valid")
    two = on_two(client, matrix(client, y, rows=rows, cut=100), "huber", evals=[there], **options)
    one = on_one(y, "huber", rows=rows, evals=[here], **options)
    assert one[0].num_boosted_rounds() < 60
    assert two[0].best_iteration == one[0].best_iteration
    assert_same(two, one)


def test_a_worker_whose_rows_have_no_weight(client):
    y, w = LABELS["real"], np.where(_on_first, 0, WEIGHT)
    assert_same(on_two(client, matrix(client, y, w), "huber"), on_one(y, "huber", w))


def test_a_worker_that_has_rows_of_the_validation_set_only(client):
    y, rows = LABELS["real"], slice(0, 500)
    two = on_two(
        client, matrix(client, y, rows=rows, cut=500), "huber", evals=[(matrix(client, y), "all")]
    )
    everything = xgboost.DMatrix(X, y, weight=WEIGHT)
    assert_same(two, on_one(y, "huber", rows=rows, evals=[(everything, "all")]))


def test_offsets_and_continued_training(client):
    y, offset = LABELS["real"], X[:, 3] / 4
    with_offset = xgboost.DMatrix(X, base_margin=offset)
    two = on_two(client, matrix(client, y, base_margin=offset), "huber")
    assert_same(two, on_one(y, "huber", base_margin=offset), with_offset)

    data = matrix(client, y)
    longer = on_two(client, data, "huber", xgb_model=on_two(client, data, "huber")[0])
    assert_same(longer, on_one(y, "huber", xgb_model=on_one(y, "huber")[0]))


@pytest.mark.parametrize("loss", [gbo.PairwiseLogisticLoss(), gbo.DiceLoss()], ids=str)
def test_groups_lie_on_one_worker_each(client, loss):
    y = LABELS["binary"]
    two = on_two(client, matrix(client, y, None, qid=QUERY), loss)
    assert_same(two, on_one(y, loss, None, qid=QUERY))
    with pytest.raises(ValueError, match="qid=29 lie on more than one worker"):
        on_two(client, matrix(client, y, None, cut=FIRST - 1, qid=QUERY), loss)
    if isinstance(loss, gbo.GroupLoss):
        with pytest.raises(ValueError, match="without qid all rows are one group"):
            on_two(client, matrix(client, y, None), loss)


def test_bad_input_is_refused_before_training(client):
    data = matrix(client, LABELS["real"])
    with pytest.raises(ValueError, match=r"dtrain: PoissonLoss: y_true must lie in"):
        on_two(client, data, "poisson")
    with pytest.raises(ValueError, match="metric 'amax' may be no mean over rows"):
        on_two(client, data, "huber", metric=gbo.Metric(np.amax, greater_is_better=True))
    with pytest.raises(TypeError, match=r"dtrain must be an xgboost.dask.DaskDMatrix"):
        gbo.xgb.dask_train(client, XGB, TABLE, loss="huber")


def test_an_error_on_one_worker_is_raised_and_leaves_the_cluster_well(client):
    y = LABELS["real"].copy()
    y[5] = 1e6

    @dataclass(frozen=True)
    class BreakingLoss(gbo.RowLoss):
        y_domain, link = gbo.HuberLoss.y_domain, gbo.HuberLoss.link

        def _value(self, y, f):
            return (f - y) ** 2 / 2

        def _gradient(self, y, f):
            return np.where((y == 1e6) & (f > 1), np.nan, f - y)

        def _hessian(self, y, f):
            return np.ones_like(f)

        def _intercept(self, batch, has_offset):
            return 0.0

    data = matrix(client, y)
    with pytest.raises(FloatingPointError, match=r"worker of rank .: BreakingLoss: gradient"):
        on_two(client, data, BreakingLoss())
    assert_same(on_two(client, data, "huber"), on_one(y, "huber"))


# ---- LightGBM ------------------------------------------------------------------------------


def lgb_on_two(client, objective, y, **params):
    data = (spread(client, array) for array in (X, y, WEIGHT))
    model = lightgbm.DaskLGBMRegressor(client=client, objective=objective, **LGB, **params)
    given, labels, w = data
    return model.fit(given, labels, sample_weight=w)


@pytest.mark.parametrize(
    ("loss", "label", "params"),
    [
        (gbo.HuberLoss(), "real", {}),
        (gbo.FocalLoss(alpha="balanced"), "binary", {}),
        (
            gbo.CrossEntropyLoss(3, class_weight="balanced"),
            "class",
            {"num_class": 3, "metric": "None"},
        ),
    ],
    ids=lambda x: str(x),
)
@pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored")
def test_lightgbm_with_all_measured_beforehand(client, loss, label, params):
    y = LABELS[label]
    objective = gbo.lgb.dask_objective(loss, spread(client, y), spread(client, WEIGHT))
    assert objective.objective.loss.resolved
    two = lgb_on_two(client, objective, y, **params)
    one = lightgbm.LGBMRegressor(objective=objective, n_jobs=1, **LGB, **params)
    one.fit(X, y, sample_weight=WEIGHT)
    scores = one.booster_.predict(X)
    assert distance(two.booster_.predict(X), scores) <= 1e-5
    responses = objective.predict(scores)
    start = np.broadcast_to(objective.predict(0 * scores), responses.shape)
    fitted, constant = (loss.link.link(p) for p in (responses, start))
    assert loss.metric_value(y, fitted, WEIGHT) < 0.9 * loss.metric_value(y, constant, WEIGHT)


@pytest.mark.parametrize(
    "loss",
    [
        gbo.HuberLoss(),
        gbo.HuberLoss(delta=2.0),
        gbo.LogLoss(class_weight="balanced"),
        gbo.ListNetLoss(),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Parameter n_jobs will be ignored")
def test_lightgbm_refuses_what_would_be_measured_on_each_worker(client, loss):
    with pytest.raises(ValueError, match="needs sums over the rows of all workers"):
        lgb_on_two(client, gbo.lgb.sklearn_objective(loss), LABELS["binary"])


def test_lightgbm_refuses_a_loss_of_groups_without_groups():
    y = LABELS["binary"]
    with pytest.raises(ValueError, match=r"needs groups, .* train a DaskLGBMRanker"):
        gbo.lgb.dask_objective("list_net", y)(y, np.zeros(N))


def test_lightgbm_refuses_coupled_losses():
    with pytest.raises(ValueError, match=r"use gbobjectives\.xgb\.dask_train"):
        gbo.lgb.dask_objective(gbo.DiceLoss(), LABELS["binary"])


# ---- last, as it takes a worker away -----------------------------------------------------------


def test_a_killed_worker_is_an_error_and_a_new_try_gives_the_same_model(client, tmp_path):
    y, mark = LABELS["real"], tmp_path / "killed"

    class Kill(xgboost.callback.TrainingCallback):
        def after_iteration(self, model, epoch, evals_log):
            if epoch == 2 and xgboost.collective.get_rank() == 1 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return False

    died = (CancelledError, distributed.KilledWorker, RuntimeError, ValueError)
    with pytest.raises(died):
        on_two(client, matrix(client, y), "huber", callbacks=[Kill()])
    assert mark.exists()
    client.wait_for_workers(2, timeout=60)
    again = on_two(client, matrix(client, y), "huber", callbacks=[Kill()])
    assert_same(again, on_one(y, "huber"))
