"""Ranking losses trained in both libraries, beside the built-ins, and equal to them where plain."""

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from tests.boosting import LGB, XGB
from tests.versions import several_intercepts

N_QUERIES = 120
LOSSES = [
    gbo.MarginRankingLoss(),
    gbo.PairwiseLogisticLoss(),
    gbo.LambdaNDCGLoss(),
    gbo.LambdaNDCGLoss(truncation=10),
    gbo.ListNetLoss(),
    gbo.XENDCGLoss(),
]


def queries(n_queries: int, seed: int, sizes=None):
    """Features, graded labels and sizes of queries with a level and a length of their own."""
    rng = np.random.default_rng(seed)
    sizes = np.maximum(rng.poisson(20, n_queries), 1) if sizes is None else sizes
    n = int(sizes.sum())
    x = rng.normal(size=(n, 6)).astype(np.float32)
    level = np.repeat(rng.normal(size=n_queries), sizes)
    signal = x[:, 0] + x[:, 1] * x[:, 2] + np.abs(x[:, 3]) + level + 0.7 * rng.normal(size=n)
    return x, np.digitize(signal, np.quantile(signal, [0.5, 0.75, 0.9, 0.97])), sizes


X, Y, SIZES = queries(N_QUERIES, 0)
X_TEST, Y_TEST, SIZES_TEST = queries(80, 1)


def ndcg10(scores, y=Y_TEST, sizes=SIZES_TEST) -> float:
    return 1 - gbo.LambdaNDCGLoss(truncation=10).metric_value(y, scores, group=sizes)


def dmatrix(x=X, y=Y, sizes=SIZES, **fields):
    return xgboost.DMatrix(x, y, qid=np.repeat(np.arange(len(sizes)), sizes), **fields)


def dataset(x=X, y=Y, sizes=SIZES, **fields):
    return lightgbm.Dataset(x, y, group=sizes, free_raw_data=False, **fields)


def xgb_scores(loss=None, rounds=80, **params):
    if loss is None:
        return xgboost.train(XGB | params, dmatrix(), rounds).predict(
            dmatrix(X_TEST, Y_TEST, SIZES_TEST)
        )
    return gbo.xgb.train(XGB | params, dmatrix(), rounds, loss=loss).predict(
        dmatrix(X_TEST, Y_TEST, SIZES_TEST)
    )


def lgb_scores(loss=None, rounds=80, **params):
    if loss is None:
        return lightgbm.train(LGB | params, dataset(), rounds).predict(X_TEST)
    return gbo.lgb.train(LGB | params, dataset(), rounds, loss=loss).predict(X_TEST)


BUILT_IN = {
    xgb_scores: [{"objective": "rank:pairwise"}, {"objective": "rank:ndcg"}],
    lgb_scores: [{"objective": "lambdarank"}, {"objective": "rank_xendcg"}],
}
both = pytest.mark.parametrize("scores", [xgb_scores, lgb_scores], ids=["xgboost", "lightgbm"])


@pytest.fixture(scope="module")
def built_in():
    return {f: max(ndcg10(f(**params)) for params in given) for f, given in BUILT_IN.items()}


@both
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_ndcg_is_no_worse_than_that_of_the_built_ins(scores, loss, built_in):
    chance = ndcg10(np.zeros(len(Y_TEST)))
    assert built_in[scores] > chance + 0.3
    # A hinge asks no pair for more than its margin, at the top or not.
    allowed = 0.15 if isinstance(loss, gbo.MarginRankingLoss) else 0.05
    assert ndcg10(scores(loss)) >= built_in[scores] - allowed


# ---- parity ------------------------------------------------------------------------------------


def start(n: int) -> np.ndarray:
    """Scores without ties, which the libraries order as they are stored."""
    return (0.5 * np.random.default_rng(9).normal(size=n)).astype(np.float32)


PLAIN = {
    "lambdarank_pair_method": "topk",
    "lambdarank_num_pair_per_sample": 1000,
    "lambdarank_normalization": False,
    "lambdarank_score_normalization": False,
}


# lambdarank_score_normalization came with 3.1 too.
@several_intercepts
@pytest.mark.parametrize(
    ("name", "loss"),
    [("rank:ndcg", gbo.LambdaNDCGLoss()), ("rank:pairwise", gbo.PairwiseLogisticLoss())],
)
def test_plain_xgboost(name, loss):
    rng = np.random.default_rng(3)
    sizes = np.full(40, 15)
    x, _, _ = queries(40, 5, sizes)
    # Queries of the same labels, so that a mean over pairs is a sum times one number.
    y = np.concatenate([rng.permutation(np.repeat([0, 1, 2, 3], [6, 4, 3, 2])) for _ in sizes])
    pairs = (15**2 - (y[:15, None] == y[:15]).sum()) / 2
    scale = 15 / pairs if name == "rank:pairwise" else 1.0
    data = dmatrix(x, y, sizes, base_margin=start(len(y)))
    params = XGB | {"min_child_weight": 0.1, "base_score": 0.0}
    theirs = xgboost.train(params | PLAIN | {"objective": name}, data, 50)
    objective = gbo.Objective(loss, "gershgorin", scale=scale)
    ours = xgboost.train(params, data, 50, obj=gbo.xgb.objective(objective))
    got, want = (model.predict(data, output_margin=True) for model in (ours, theirs))
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_plain_lambdarank():
    data = [dataset(init_score=start(len(Y)).astype(np.float64)) for _ in range(2)]
    params = LGB | {"lambdarank_norm": False, "lambdarank_truncation_level": 1000, "metric": "None"}
    theirs = lightgbm.train(params | {"objective": "lambdarank"}, data[0], 10)
    objective = gbo.lgb.objective(gbo.Objective(gbo.LambdaNDCGLoss(), "exact"))
    ours = lightgbm.train(LGB | {"objective": objective}, data[1], 10)
    # LightGBM takes its logistic function from a table of a million entries.
    difference = ours.predict(X, raw_score=True) - theirs.predict(X, raw_score=True)
    assert np.abs(difference).max() < 5e-4 * np.ptp(theirs.predict(X, raw_score=True))


# ---- use ---------------------------------------------------------------------------------------


def test_metrics_of_rank_beside_the_loss():
    loss, log = gbo.LambdaNDCGLoss(truncation=10), {}
    model = gbo.xgb.train(
        XGB | {"eval_metric": "ndcg@10", "eta": 0.5},
        dmatrix(),
        200,
        loss=loss,
        evals=[(dmatrix(X_TEST, Y_TEST, SIZES_TEST), "valid")],
        early_stopping_rounds=10,
        evals_result=log,
        verbose_eval=False,
    )
    own, ndcg = log["valid"]["one_minus_ndcg"], log["valid"]["ndcg@10"]
    # Ties of the first rounds have one order there and all orders here.
    np.testing.assert_allclose(1 - np.array(own[20:]), ndcg[20:], atol=0.01)
    assert model.best_iteration == int(np.argmin(own)) == len(own) - 11


def test_lightgbm_stops_at_its_own_ndcg():
    log = {}
    train = dataset()
    gbo.lgb.train(
        LGB | {"metric": "ndcg", "eval_at": [10]},
        train,
        40,
        loss=gbo.XENDCGLoss(),
        valid_sets=dataset(X_TEST, Y_TEST, SIZES_TEST, reference=train),
        callbacks=[lightgbm.record_evaluation(log), lightgbm.early_stopping(10, verbose=False)],
    )
    assert max(log["valid_0"]["ndcg@10"]) > 0.6


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_ranker_of_lightgbm(loss):
    settings = {k: v for k, v in LGB.items() if k != "num_threads"} | {"n_jobs": 1}
    ranker = lightgbm.LGBMRanker(
        objective=gbo.lgb.sklearn_objective(loss), n_estimators=30, **settings
    )
    scores = ranker.fit(X, Y, group=SIZES).predict(X_TEST)
    booster = lightgbm.train(LGB | {"objective": gbo.lgb.objective(loss)}, dataset(), 30)
    np.testing.assert_array_equal(scores, booster.predict(X_TEST))


def test_a_weight_of_a_query_in_xgboost_is_that_query_twice():
    loss = gbo.PairwiseLogisticLoss()
    weight = np.where(np.arange(N_QUERIES) < 10, 2.0, 1.0)
    first = int(SIZES[:10].sum())
    twice = dmatrix(
        np.vstack([X[:first], X]),
        np.concatenate([Y[:first], Y]),
        np.concatenate([SIZES[:10], SIZES]),
    )
    once = dmatrix(weight=weight)
    # All values of a feature are bins: copies of rows move no quantile.
    params = XGB | {"tree_method": "exact"}
    a, b = (gbo.xgb.train(params, data, 10, loss=loss).predict(dmatrix()) for data in (once, twice))
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_two_runs_with_draws_give_the_same_model():
    a, b = (lgb_scores(gbo.XENDCGLoss(seed=4), rounds=8) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - lgb_scores(gbo.XENDCGLoss(seed=5), rounds=8)).max() > 0.01


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_the_ranker_of_xgboost_takes_no_callable(loss):
    with pytest.raises(ValueError, match="needs groups, and XGBRanker refuses callables"):
        gbo.xgb.sklearn_objective(loss)
