"""The README's error tour: each message that it quotes is the one that the code raises."""

import re
import warnings
from pathlib import Path

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.metrics import roc_auc_score

import gbobjectives as gbo

README = Path(__file__).resolve().parent.parent / "README.md"

X = np.arange(100.0).reshape(-1, 1)
SIDE = (X[:, 0] > 49).astype(float)
CLASSES = X[:, 0] % 3


def by_xgboost(loss, labels, params=None, **options):
    data = xgboost.DMatrix(X, labels)
    options |= {"evals": [(data, "train")], "verbose_eval": False}
    return gbo.xgb.train(params or {}, data, 2, loss=loss, **options)


def by_lightgbm(loss, labels, params=None):
    params = {"verbosity": -1} | (params or {})
    return gbo.lgb.train(params, lightgbm.Dataset(X, labels), 2, loss=loss)


def responses(loss, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = by_xgboost(loss, labels)
    assert gbo.predict(model, xgboost.DMatrix(X)).mean() > 10


#: What a beginner does, in the order of the tour, and what sets it right.
MISTAKES = [
    (lambda: gbo.get_loss("hubber"), lambda: gbo.get_loss("huber")),
    (lambda: by_xgboost(gbo.LogLoss, SIDE), lambda: by_xgboost(gbo.LogLoss(), SIDE)),
    (lambda: by_xgboost("log", 2 * SIDE - 1), lambda: by_xgboost("log", (2 * SIDE - 1 + 1) / 2)),
    (
        lambda: by_lightgbm(gbo.CrossEntropyLoss(3), CLASSES + 1),
        lambda: by_lightgbm(gbo.CrossEntropyLoss(3), CLASSES),
    ),
    (
        lambda: gbo.HuberLoss().gradient(SIDE.reshape(-1, 1), np.zeros(100)),
        lambda: gbo.HuberLoss().gradient(SIDE.reshape(-1, 1).ravel(), np.zeros(100)),
    ),
    (
        lambda: by_xgboost("log", SIDE, {"scale_pos_weight": 3}),
        lambda: by_xgboost(gbo.LogLoss(pos_weight=3), SIDE),
    ),
    (
        lambda: by_lightgbm("log", CLASSES / 2, {"num_class": 3}),
        lambda: by_lightgbm(gbo.CrossEntropyLoss(n_classes=3), CLASSES),
    ),
    (
        lambda: by_lightgbm("log", SIDE, {"metric": "binary_logloss"}),
        lambda: by_lightgbm("log", SIDE),
    ),
    (
        lambda: by_xgboost("log", SIDE, metric=roc_auc_score),
        lambda: by_xgboost("log", SIDE, metric=gbo.Metric(roc_auc_score, greater_is_better=True)),
    ),
    (
        lambda: by_xgboost("log1p_squared_error", X[:, 0]),
        lambda: responses("log1p_squared_error", X[:, 0]),
    ),
]


def _quoted():
    """First thing in backticks of each numbered item; a line break in it is a space."""
    tour = re.search(
        r"<!-- errors -->\n(.*?)<!-- end of errors -->", README.read_text("utf-8"), re.S
    )
    assert tour, "the README has no tour of errors"
    return [" ".join(x.split()) for x in re.findall(r"^\d+\. `([^`]+)`", tour[1], re.M)]


def test_the_tour_has_all_of_them():
    assert len(_quoted()) == len(MISTAKES) == 10


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda i: str(i + 1))
def test_the_message_is_the_one_that_is_quoted(number):
    """Where the README has dots, anything may stand, and nowhere else."""
    mistake, right = MISTAKES[number]
    quoted = _quoted()[number]
    # Warnings are errors here, the one of the tour too.
    with pytest.raises((ValueError, TypeError, UserWarning)) as raised:
        mistake()
    assert len(quoted.replace("...", "")) > 30, "too little is left to recognise it by"
    pattern = ".+".join(re.escape(part) for part in quoted.split("..."))
    assert re.fullmatch(pattern, str(raised.value), re.S), str(raised.value)
    right()
