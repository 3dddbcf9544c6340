"""scikit-learn's own checks: ours pass all of them, those that their parents fail included."""

import warnings

import pytest
from sklearn.utils import estimator_checks

from tests.estimators import LIBRARIES

# What the parents fail, and ours do not, and why: the names of the checks say the rest.
FAILED_BY_PARENT = {
    "XGBLossRegressor": {
        "check_all_zero_sample_weights_error": "the error of ours says what is wrong",
    },
    "XGBLossClassifier": {
        "check_all_zero_sample_weights_error": "the error of ours says what is wrong",
        **dict.fromkeys(
            (
                "check_classifier_data_not_an_array",
                "check_classifiers_classes",
                "check_estimators_dtypes",
                "check_fit2d_1feature",
                "check_fit2d_1sample",
                "check_sample_weights_not_an_array",
                "check_sample_weights_not_overwritten",
                "check_sample_weights_pandas_series",
                "check_sample_weights_shape",
            ),
            "labels of ours may be others than 0 to K-1",
        ),
        **dict.fromkeys(
            ("check_dont_overwrite_parameters", "check_estimators_overwrite_params"),
            "fit of the parent sets `objective`",
        ),
    },
    "LGBMLossRegressor": {
        "check_all_zero_sample_weights_error": "the parent trains a model of nothing",
    },
    "LGBMLossClassifier": {
        "check_all_zero_sample_weights_error": "the parent trains a model of nothing",
    },
}

# Checks of the parents that ours are not put to.
NOT_OURS = {
    "XGBLossRegressor": {
        "check_regressor_multioutput": "a loss of one label takes no y of several columns",
    },
    "XGBLossClassifier": dict.fromkeys(
        (
            "check_classifiers_multilabel_output_format_decision_function",
            "check_classifiers_multilabel_output_format_predict",
            "check_classifiers_multilabel_output_format_predict_proba",
            "check_classifiers_multilabel_representation_invariance",
        ),
        "y holds one label a row",
    ),
}

# More rounds of XGBoost, or fewer of LightGBM, and their own rounding and their least rows of a
# leaf fail checks, of the parents and of ours.
ROUNDS = {"xgboost": 5, "lightgbm": 20}
CASES = [
    (ours(n_estimators=ROUNDS[name], n_jobs=1), parent(n_estimators=ROUNDS[name], n_jobs=1))
    for name, library in LIBRARIES.items()
    for ours, parent in zip(
        (library.regressor_class, library.classifier_class), library.parents, strict=True
    )
]


def results(estimator):
    """Names of the checks, and whether they failed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = estimator_checks.check_estimator(estimator, on_skip=None, on_fail=None)
    failed = {check["check_name"] for check in found if check["status"] == "failed"}
    return {check["check_name"] for check in found}, failed


@pytest.mark.skipif(
    not hasattr(estimator_checks, "estimator_checks_generator"),
    reason="scikit-learn before 1.6 stops at the first failure",
)
@pytest.mark.parametrize(("ours", "parent"), CASES, ids=[type(ours).__name__ for ours, _ in CASES])
def test_scikit_learn_finds_nothing_wrong(ours, parent):
    name = type(ours).__name__
    (checks, failed), (of_parent, failed_by_parent) = results(ours), results(parent)
    not_ours = set(NOT_OURS.get(name, ()))
    assert failed == set()
    assert of_parent - checks == not_ours
    # Which of them the parents fail depends on the versions of all three libraries.
    assert failed_by_parent - not_ours <= set(FAILED_BY_PARENT[name])
    assert len(checks) > 40
