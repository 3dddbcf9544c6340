"""The triplet loss: its triplets, its derivatives where rows coincide, and that it trains."""

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo
from gbobjectives._batch import Groups


@pytest.fixture
def rng():
    return np.random.default_rng(6)


# ---- triplets ------------------------------------------------------------------------------


def test_drawn_triplets_are_of_one_group_two_classes_and_three_rows(rng):
    sizes = np.array([1, 2, 40, 7, 300])
    groups, y = Groups(sizes), rng.integers(0, 5, 350).astype(float)
    y[3:43] = 2.0  # one class only
    loss = gbo.TripletMarginLoss(n_triplets=20, draw=3)
    a, p, n = loss.triplet_rows(y, groups)
    assert (y[a] == y[p]).all()
    assert (y[a] != y[n]).all()
    assert (a != p).all()
    for other in (p, n):
        np.testing.assert_array_equal(groups.ids[a], groups.ids[other])
    anchors = [
        i
        for i in range(350)
        if (same := (groups.ids == groups.ids[i]) & (y == y[i])).sum() > 1
        and same.sum() < sizes[groups.ids[i]]
    ]
    np.testing.assert_array_equal(np.bincount(a, minlength=350)[anchors], 20)
    assert len(a) == 20 * len(anchors)


def test_every_possible_partner_is_drawn_equally_often():
    y, groups = np.array([0.0, 1.0, 0.0, 0.0, 2.0]), Groups(np.array([5]))
    loss = gbo.TripletMarginLoss(n_triplets=30_000, draw=1)
    a, p, n = loss.triplet_rows(y, groups)
    for drawn, allowed in ((p[a == 2], [0, 3]), (n[a == 2], [1, 4])):
        share = np.bincount(drawn, minlength=5) / 30_000
        np.testing.assert_allclose(share[allowed], 0.5, atol=0.02)
        assert share.sum() == pytest.approx(share[allowed].sum())


def test_equal_groups_have_equal_triplets_and_rounds_have_others(rng):
    y, f = rng.integers(0, 3, 30), rng.normal(size=(30, 2))
    loss = gbo.TripletMarginLoss(draw=8)
    value = loss.value(np.tile(y, 2), np.tile(f, (2, 1)), group=[30, 30])
    np.testing.assert_allclose(value, loss.value(y, f)[[0, 0]], rtol=1e-12)
    recipe = gbo.TripletMarginLoss()
    assert recipe.resolve(y, f) == recipe.resolve(y, f)
    assert recipe.resolve(y, f + 0.1).draw != recipe.resolve(y, f).draw
    assert replace(recipe, seed=1).resolve(y, f).draw != recipe.resolve(y, f).draw


@pytest.mark.parametrize("distance", ["euclidean", "squared"])
def test_given_triplets_are_summed_as_the_formula_says(distance, rng):
    triplets = [(0, 1, 2), (2, 3, 0), (1, 0, 3), (1, 0, 2)]
    loss = gbo.TripletMarginLoss(0.7, 3, distance, triplets=triplets)
    f, w, y = rng.normal(size=(4, 3)), rng.uniform(0.5, 2, 4), np.zeros(4)

    def d(i, j):
        length = np.linalg.norm(f[i] - f[j])
        return length if distance == "euclidean" else length**2

    hinges = [max(0, d(a, p) - d(a, n) + 0.7) for a, p, n in triplets]
    weights = [w[a] * w[p] * w[n] for a, p, n in triplets]
    assert loss(y, f, w) == pytest.approx(np.average(hinges, weights=weights))
    assert loss(y, f) == pytest.approx(np.mean(hinges))
    assert gbo.get_loss(loss.spec()) == loss


def test_groups_without_triplets_count_for_nothing():
    loss, f = gbo.TripletMarginLoss(), np.arange(10.0).reshape(5, 2)
    np.testing.assert_array_equal(loss.value([1, 1, 1, 2, 3], f, group=[3, 2]), [0, 0])
    for what in ("gradient", "hessian"):
        assert not getattr(loss, what)([1, 1, 1, 2, 3], f, group=[3, 2]).any()


def test_a_row_of_weight_0_is_in_no_triplet_that_counts(rng):
    loss = gbo.TripletMarginLoss(triplets=[(0, 1, 2), (0, 1, 3)])
    f, y = rng.normal(size=(4, 2)), np.zeros(4)
    without = gbo.TripletMarginLoss(triplets=[(0, 1, 2)])
    assert loss(y, f, [1.0, 1.0, 1.0, 0.0]) == pytest.approx(without(y, f))
    g, h = gbo.Objective(loss).gradient_hessian(y, f, [1.0, 1.0, 1.0, 0.0])
    assert not g[3].any()
    assert not h[3].any()


# ---- where rows coincide -------------------------------------------------------------------


def test_at_a_constant_the_squared_distance_is_flat_and_the_euclidean_has_a_kink():
    y, f = np.array([0, 0, 1, 1, 2, 2]), np.full((6, 4), 0.3)
    assert not gbo.TripletMarginLoss(n_outputs=4, distance="squared").gradient(y, f).any()
    loss = gbo.TripletMarginLoss(n_outputs=4, n_triplets=50)
    resolved = loss.resolve(y, f)
    g = resolved.gradient(y, f)
    # Rows of a class are pulled the same way, up to what was drawn; classes are not.
    cosine = g @ g.T / np.outer(*[np.linalg.norm(g, axis=1)] * 2)
    assert cosine[[0, 2, 4], [1, 3, 5]].min() > 0.9
    assert cosine[[0, 0, 2], [2, 4, 4]].max() < 0.9
    # It is a direction of descent.
    assert resolved(y, f - 0.1 * g) < resolved(y, f)
    # Every row by itself keeps to a generalised gradient: unit lengths at the most.
    single = gbo.TripletMarginLoss(n_outputs=4, triplets=[(0, 1, 2)]).gradient(y, f)
    np.testing.assert_allclose(np.linalg.norm(single, axis=1), [1, 0, 1, 0, 0, 0], atol=1e-12)


def test_it_does_not_see_a_common_shift(rng):
    y, f = rng.integers(0, 3, 40), rng.normal(size=(40, 3)).round(3)
    loss = gbo.TripletMarginLoss(n_outputs=3, draw=1)
    np.testing.assert_allclose(loss.gradient(y, f + 64), loss.gradient(y, f), atol=1e-12)
    np.testing.assert_allclose(loss.gradient(y, f).sum(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(loss.intercept(y), 0)


@pytest.mark.parametrize(("distance", "allowed"), [("squared", 0.001), ("euclidean", 0.2)])
def test_a_heuristic_curvature_descends_nearly_always(distance, allowed):
    loss = gbo.TripletMarginLoss(n_outputs=3, distance=distance, draw=5)
    assert loss.guarantee("auto") == "heuristic"
    rises = gbo.testing.leaf_steps(loss, "auto", 1000, eta=1.0, reg_lambda=0.0)
    assert rises <= allowed * 1000
    assert rises < gbo.testing.leaf_steps(loss, "exact", 1000, eta=1.0, reg_lambda=0.0)


# ---- errors and training -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"margin": 0.0}, r"margin must be a number in \(0, inf\); got 0"),
        ({"n_outputs": 1}, "n_outputs must be an integer of at least 2; got 1"),
        ({"distance": "cosine"}, "distance must be .*got 'cosine'"),
        ({"n_triplets": 0}, "n_triplets must be an integer of at least 1; got 0"),
        ({"triplets": [(0, 1)]}, "triplets must be triples of row numbers"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=f"TripletMarginLoss: {message}"):
        gbo.TripletMarginLoss(**parameters)


def test_given_triplets_must_be_rows_of_one_group():
    loss, f = gbo.TripletMarginLoss(triplets=[(0, 1, 4)]), np.zeros((4, 2))
    with pytest.raises(ValueError, match="must name rows 0 to 3 of one group; got 0 to 4"):
        loss.value(np.zeros(4), f)
    with pytest.raises(ValueError, match="got 0 to 4, 2 groups"):
        loss.value(np.zeros(6), np.zeros((6, 2)), group=[3, 3])


def blobs(rng, n=600):
    y = rng.integers(0, 4, n)
    corner = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[y]
    return corner + 0.2 * rng.normal(size=(n, 2)), y


def train_lightgbm(X, y, loss):
    params = {"verbosity": -1, "num_leaves": 8, "learning_rate": 0.3, "num_threads": 1}
    return gbo.lgb.train(params, lightgbm.Dataset(X, y), 40, loss=loss).predict(X)


def train_xgboost(X, y, loss):
    data, params = xgboost.DMatrix(X, y), {"max_depth": 3, "nthread": 1}
    return gbo.xgb.train(params, data, 40, loss=loss, verbose_eval=False).predict(data)


@pytest.mark.parametrize("train", [train_lightgbm, train_xgboost])
def test_it_trains_from_a_constant(train, rng):
    X, y = blobs(rng)
    loss = gbo.TripletMarginLoss(n_outputs=3)
    places = train(X, y, loss)
    assert places.shape == (600, 3)
    assert loss(y, places) < 0.2 * loss(y, 0 * places)
    np.testing.assert_array_equal(train(X, y, loss), places)
