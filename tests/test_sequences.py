"""CTC against the sum over all paths, its bound, its errors, and training to a decoded text."""

from itertools import groupby, product

import lightgbm
import numpy as np
import pytest
import xgboost

import gbobjectives as gbo


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def log_softmax(f):
    return f - np.log(np.exp(f).sum(axis=1, keepdims=True))


def by_enumeration(target, f, blank):
    """-log p(target) by the sum over every path, and the occupancy of each symbol."""
    p, k = np.exp(log_softmax(f)), f.shape[1]
    total, occupied = 0.0, np.zeros_like(f)
    for path in product(range(k), repeat=len(f)):
        if [s for s, _ in groupby(path) if s != blank] == list(target):
            weight = np.prod(p[np.arange(len(f)), path])
            total += weight
            occupied[np.arange(len(f)), path] += weight
    return -np.log(total), occupied / total


TARGETS = [[1, 2], [2], [1, 1], [], [2, 1, 2], [0, 0, 1]]


@pytest.mark.parametrize("blank", [0, 2, 3])
def test_all_paths_are_summed(blank, rng):
    targets = [[(s + blank + 1) % 4 for s in target] for target in TARGETS]
    loss = gbo.CTCLoss(n_symbols=4, blank=blank).bind(targets)
    sizes = np.array([3, 1, 4, 2, 6, 5])
    f = 2 * rng.normal(size=(sizes.sum(), 4))
    y, parts = np.repeat(np.arange(6), sizes), np.split(f, np.cumsum(sizes)[:-1])
    want = [by_enumeration(t, part, blank) for t, part in zip(targets, parts, strict=True)]
    np.testing.assert_allclose(loss.value(y, f, group=sizes), [v for v, _ in want], rtol=1e-12)
    g = np.concatenate([occupied for _, occupied in want])
    p = np.exp(log_softmax(f))
    got = loss.gradient(y, f, group=sizes)
    np.testing.assert_allclose(got, p - g, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(got.sum(axis=1), 0, atol=1e-12)
    hessian = loss.hessian(y, f, group=sizes)
    np.testing.assert_allclose(hessian, p * (1 - p) - g * (1 - g), rtol=1e-10, atol=1e-14)
    fisher = loss.curvature(y, f, "fisher", group=sizes)
    np.testing.assert_allclose(fisher, p * (1 - p), rtol=1e-10)


def test_one_frame_and_one_symbol_are_cross_entropy(rng):
    loss, f = gbo.CTCLoss(n_symbols=3).bind([[1], [2], []]), rng.normal(size=(3, 3))
    plain, y = gbo.CrossEntropyLoss(n_classes=3), np.array([1, 2, 0])
    for what in ("value", "gradient", "curvature"):
        got = getattr(loss, what)([0, 1, 2], f)
        np.testing.assert_allclose(got, getattr(plain, what)(y, f), rtol=1e-12)


def test_a_sequence_does_not_see_the_others(rng):
    targets = [list(rng.integers(1, 5, size=n)) for n in (3, 9, 0, 1, 6)]
    loss = gbo.CTCLoss(n_symbols=5).bind(targets)
    sizes = np.array([30, 18, 5, 1, 200])
    y, f = np.repeat(np.arange(5), sizes), rng.normal(size=(sizes.sum(), 5))
    together = loss.value(y, f), loss.gradient(y, f)
    for i in range(5):
        alone = y == i
        np.testing.assert_allclose(loss.value(y[alone], f[alone]), together[0][[i]], rtol=1e-12)
        np.testing.assert_allclose(
            loss.gradient(y[alone], f[alone]), together[1][alone], rtol=1e-9, atol=1e-14
        )


def test_without_groups_runs_of_a_label_are_sequences(rng):
    loss = gbo.CTCLoss(n_symbols=3).bind([[1], [2]])
    y, f = [1, 1, 0, 0, 1], rng.normal(size=(5, 3))
    np.testing.assert_array_equal(loss.value(y, f), loss.value(y, f, group=[2, 2, 1]))


def test_ten_thousand_frames_are_no_underflow(rng):
    target = rng.integers(1, 4, size=50)
    loss = gbo.CTCLoss(n_symbols=4).bind([target])
    y, f = np.zeros(10_000), 3 * rng.normal(size=(10_000, 4))
    value, gradient = loss.value(y, f), loss.gradient(y, f)
    assert 1000 < value[0] < 1e5
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)
    single = loss.gradient(y, f.astype(np.float32))
    np.testing.assert_allclose(single, gradient, atol=1e-4)


def test_frames_that_say_the_target_leave_nothing_to_do():
    loss = gbo.CTCLoss(n_symbols=3).bind([[1, 2]])
    f = 60.0 * np.eye(3)[[0, 1, 1, 0, 2]]
    assert 0 <= loss(np.zeros(5), f) < 1e-12
    assert np.abs(loss.gradient(np.zeros(5), f)).max() < 1e-12


def test_a_weight_is_that_of_a_sequence(rng):
    loss = gbo.CTCLoss(n_symbols=3).bind([[1], [2, 1]])
    y, f, w = np.array([0, 0, 1, 1, 1]), rng.normal(size=(5, 3)), np.array([2.0] * 2 + [0.5] * 3)
    a, b = loss.value(y, f)
    assert loss(y, f, w) == pytest.approx((2 * a + 0.5 * b) / 2.5)
    plain, _ = gbo.Objective(loss).gradient_hessian(y, f)
    weighted, _ = gbo.Objective(loss).gradient_hessian(y, f, w)
    np.testing.assert_allclose(plain, loss.gradient(y, f), rtol=1e-6)
    np.testing.assert_allclose(weighted, plain * w[:, None], rtol=1e-6)


# ---- the bound -----------------------------------------------------------------------------


def test_soft_cross_entropy_lies_above(rng):
    loss = gbo.CTCLoss(n_symbols=4).bind([*TARGETS[:3], [1, 3, 2]])
    soft = gbo.CrossEntropyLoss(n_classes=4)
    sizes = np.array([6, 6, 6, 6])
    y = np.repeat(np.arange(4), sizes)
    for _ in range(100):
        f = rng.normal(size=(24, 4)) * 10 ** rng.uniform(-1, 1)
        moved = f + rng.normal(size=f.shape) * 10 ** rng.uniform(-2, 1)
        occupied = soft.predict(f) - loss.gradient(y, f)
        occupied = np.clip(occupied, 0, 1)
        occupied /= occupied.sum(axis=1, keepdims=True)
        bound = soft.value(occupied, moved) - soft.value(occupied, f)
        rise = loss.value(y, moved) - loss.value(y, f)
        assert (rise <= np.add.reduceat(bound, np.cumsum(sizes) - sizes) + 1e-6).all()


def test_all_symbol_trees_at_once_do_not_raise_it(rng):
    loss = gbo.CTCLoss(n_symbols=4).bind([list(rng.integers(1, 4, size=4)) for _ in range(6)])
    y = np.repeat(np.arange(6), 12)
    for _ in range(200):
        f = rng.normal(size=(72, 4)) * 10 ** rng.uniform(-1, 1)
        g, h = loss.gradient(y, f), loss.curvature(y, f)
        moved = f.copy()
        for k in range(4):
            leaf = rng.integers(0, rng.integers(1, 8), 72)
            pull, weight = (np.bincount(leaf, x[:, k]) for x in (g, h))
            moved[:, k] -= (pull / np.maximum(weight, 1e-300))[leaf]
        assert loss(y, moved) <= loss(y, f) * (1 + 1e-9)


def test_no_constant_nearby_beats_the_intercept(rng):
    loss = gbo.CTCLoss(n_symbols=4).bind([list(rng.integers(1, 3, size=n)) for n in (1, 2, 4)])
    y = np.repeat([0, 1, 2], [8, 8, 12])
    best = loss.intercept(y)
    score = loss(y, np.tile(best, (28, 1)))
    assert best[3] < best.max() - 5  # in no target
    for _ in range(200):
        other = best + rng.normal(size=4) * 10 ** rng.uniform(-3, 0.5)
        assert loss(y, np.tile(other, (28, 1))) >= score - 1e-6


# ---- targets and errors --------------------------------------------------------------------


def test_ragged_targets_and_padded_ones_are_the_same():
    loss = gbo.CTCLoss(n_symbols=4)
    ragged = loss.bind([[1, 2, 1], [3], []])
    assert ragged == loss.bind(np.array([[1, 2, 1], [3, -1, -1], [-1, -1, -1]], dtype=float))
    assert ragged == gbo.get_loss(ragged.spec())


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([[1, 2], [0, 1]], "got 0 at sequence 1, position 0"),
        ([[1, 3]], "got 3 at sequence 0, position 1"),
        ([[1, -2]], "got -2 at sequence 0, position 1"),
        (np.array([[-1, 1]]), "got 1 at sequence 0, position 1"),
        ([[0.5]], "targets must be sequences of integers"),
        ([1, 2], "targets must be sequences of integers"),
    ],
)
def test_bad_targets(targets, message):
    with pytest.raises(ValueError, match=f"CTCLoss: .*{message}"):
        gbo.CTCLoss(n_symbols=3).bind(targets)


def test_errors_name_the_sequence():
    loss, zeros = gbo.CTCLoss(n_symbols=3).bind([[1], [1, 1, 2]]), np.zeros((6, 3))
    y = np.array([0, 0, 0, 1, 1, 1])
    short = r"sequence 1 \(group 1\) has 3 frames; its target of 3 symbols needs at least 4"
    with pytest.raises(ValueError, match=f"CTCLoss: {short}"):
        loss.value(y, zeros)
    with pytest.raises(ValueError, match="same label; row 3 has another"):
        loss.value(y, zeros, group=[6])
    with pytest.raises(ValueError, match="same weight; row 1 has another"):
        loss(0 * y, zeros, [1.0, 2.0, 1.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"given by bind\(targets\)"):
        gbo.CTCLoss(n_symbols=3).value(y, zeros)
    with pytest.raises(ValueError, match="blank must be a symbol, 0 to 2; got 3"):
        gbo.CTCLoss(n_symbols=3, blank=3)
    with pytest.raises(ValueError, match="by the weight 0"):
        gbo.CTCLoss(n_symbols=3, ignore_index=-1)


# ---- training ------------------------------------------------------------------------------


def decoded(p, sizes, blank=0):
    best = np.split(p.argmax(axis=1), np.cumsum(sizes)[:-1])
    return [[int(s) for s, _ in groupby(part) if s != blank] for part in best]


def spoken(rng, n=60):
    """Targets of 1 to 3 symbols; frames of a symbol show its number, others nothing."""
    targets = [list(rng.integers(1, 4, size=rng.integers(1, 4))) for _ in range(n)]
    frames = []
    for target in targets:
        shown = [0, 0]
        for symbol in target:
            shown += [symbol] * rng.integers(1, 4) + [0] * rng.integers(1, 4)
        frames.append(np.array(shown))
    sizes = np.array([len(x) for x in frames])
    X = np.concatenate(frames)[:, None] + 0.05 * rng.normal(size=(sizes.sum(), 1))
    return targets, sizes, X


def train_lightgbm(X, y, sizes, loss):
    params = {"verbosity": -1, "learning_rate": 0.3, "num_threads": 1}
    return gbo.lgb.train(params, lightgbm.Dataset(X, y, group=sizes), 30, loss=loss).predict(X)


def train_xgboost(X, y, sizes, loss):
    data = xgboost.DMatrix(X, y, qid=np.repeat(np.arange(len(sizes)), sizes))
    params = {"learning_rate": 0.3, "max_depth": 3, "nthread": 1}
    return gbo.xgb.train(params, data, 30, loss=loss, verbose_eval=False).predict(data)


@pytest.mark.parametrize("train", [train_lightgbm, train_xgboost])
def test_it_finds_the_symbols_that_no_frame_was_told(train, rng):
    targets, sizes, X = spoken(rng)
    y = np.repeat(np.arange(len(sizes)), sizes)
    p = train(X, y, sizes, gbo.CTCLoss(n_symbols=4).bind(targets))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    right = [a == list(b) for a, b in zip(decoded(p, sizes), targets, strict=True)]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("train", [train_lightgbm, train_xgboost])
def test_a_target_that_is_too_long_is_found_before_training(train, rng):
    targets, sizes, X = spoken(rng, 5)
    targets[3] = [1] * 40
    y = np.repeat(np.arange(len(sizes)), sizes)
    with pytest.raises(ValueError, match=r"sequence 3 \(group 3\)"):
        train(X, y, sizes, gbo.CTCLoss(n_symbols=4).bind(targets))
