"""Pictures of trainings and models: what is drawn, and what is refused."""

import lightgbm
import matplotlib
import numpy as np
import pytest
import xgboost

matplotlib.use("Agg")
from matplotlib import pyplot

import gbobjectives as gbo


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 3))
Y = X[:, 0] + RNG.standard_t(2, size=300)


def booster(library):
    if library == "xgboost":
        train, valid = xgboost.DMatrix(X[:200], Y[:200]), xgboost.DMatrix(X[200:], Y[200:])
        evals = [(train, "train"), (valid, "valid")]
        options = {"evals": evals, "early_stopping_rounds": 3, "verbose_eval": False}
        return gbo.xgb.train({}, train, 60, loss="huber", **options)
    train = lightgbm.Dataset(X[:200], Y[:200])
    valid = lightgbm.Dataset(X[200:], Y[200:], reference=train)
    params = {"verbosity": -1, "early_stopping_round": 3}
    sets = {"valid_sets": [train, valid], "valid_names": ["train", "valid"]}
    return gbo.lgb.train(params, train, 60, loss="huber", **sets)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_history_of_a_booster_marks_its_best_round(library):
    model = booster(library)
    ax = gbo.plot_history(model)
    labels = [line.get_label() for line in ax.lines]
    best = model.best_iteration + (library == "xgboost")
    assert labels == ["train", "valid", f"best round: {best}"]
    assert ax.lines[1].get_ydata().argmin() + 1 == best
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("round", "huber")


def test_history_of_cross_validation_has_a_band():
    params = {"objective": "reg:squarederror"}
    log = xgboost.cv(params, xgboost.DMatrix(X, Y), 5, nfold=3, metrics="rmse")
    ax = gbo.plot_history(log)
    assert [line.get_label() for line in ax.lines] == ["train", "test"]
    assert len(ax.collections) == 2


def test_history_draws_the_metric_that_is_named():
    log = {"valid": {"mae": [2.0, 1.0], "rmse": [3.0, 2.0]}}
    assert gbo.plot_history(log, metric="mae").get_ylabel() == "mae"
    with pytest.raises(ValueError, match=r"unknown metric 'rms'.*did you mean 'rmse'"):
        gbo.plot_history(log, metric="rms")


def test_history_of_nothing_says_what_to_give():
    with pytest.raises(ValueError, match="nothing was logged; give the dictionary"):
        gbo.plot_history({})


def test_axes_that_are_given_are_drawn_on_and_returned():
    figure, axes = pyplot.subplots(1, 4)
    assert gbo.plot_history({"valid": {"mae": [2.0, 1.0]}}, ax=axes[0]) is axes[0]
    assert gbo.plot_coverage(Y, Y, 0.5, ax=axes[1]) is axes[1]
    drawn = gbo.plot_curvature_report("huber", Y, 0 * Y, ax=axes[2:])
    assert list(drawn) == list(axes[2:])
    assert pyplot.get_fignums() == [figure.number]


def test_curvature_report_counts_rows_and_leaves():
    loss = gbo.HuberLoss(delta=0.5)
    left, right = gbo.plot_curvature_report(loss, Y, 0 * Y, leaf=np.arange(300) // 10)
    share = np.mean(np.abs(Y) > 0.5)
    assert left.get_title() == f"no exact curvature: {100 * share:.0f} % of rows"
    exact, safe = (text.get_text() for text in right.get_legend().get_texts())
    assert safe == "auto: 0 leaves worse"
    assert int(exact.split()[1]) > 0
    none = (np.abs(Y).reshape(30, 10) > 0.5).all(axis=1).sum()
    assert right.get_title() == f"{none} of 30 leaves have no exact step"


def test_curvature_report_counts_rises_of_a_loss_below_0():
    # exp(f) - 10 f is below 0 around its minimum; from 1 the exact step goes 2.7 too far.
    loss, y, raw = gbo.PoissonLoss(), np.full(40, 10.0), np.ones(40)
    _, right = gbo.plot_curvature_report(loss, y, raw, leaf=np.arange(40) // 10)
    exact, own = (text.get_text() for text in right.get_legend().get_texts())
    step = -loss.gradient(y, raw) / loss.hessian(y, raw)
    assert (loss.value(y, raw) < 0).all()
    assert (loss.value(y, raw + step) > loss.value(y, raw)).all()
    assert (exact, own) == ("exact: 4 leaves worse", "auto: 0 leaves worse")


def test_curvature_report_refuses_what_it_cannot_draw():
    with pytest.raises(TypeError, match="single rows with one output is wanted; got DiceLoss"):
        gbo.plot_curvature_report(gbo.DiceLoss(), [0.0, 1.0], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"leaf must have shape \(300,\); got \(3,\)"):
        gbo.plot_curvature_report("huber", Y, 0 * Y, leaf=[0, 1, 2])


def test_coverage_weighs_rows():
    weights = np.where(Y <= 0, 3.0, 1.0)
    ax = gbo.plot_coverage(Y, np.zeros(300), 0.5, sample_weight=weights)
    assert ax.lines[1].get_ydata() == pytest.approx(weights[Y <= 0].sum() / weights.sum())
    with pytest.raises(ValueError, match=r"y_pred must have shape \(300, 2\); got \(300, 1\)"):
        gbo.plot_coverage(Y, Y, [0.1, 0.9])


def test_probabilities_that_are_true_lie_on_the_diagonal():
    p = RNG.uniform(size=20_000)
    ax = gbo.plot_calibration((RNG.uniform(size=20_000) < p).astype(float), p)
    predicted, observed = ax.lines[1].get_data()
    assert len(predicted) == 10
    assert np.abs(predicted - observed).max() < 0.04
    with pytest.raises(ValueError, match="must lie in"):
        gbo.plot_calibration([0.0, 1.0], [0.5, 1.5])
