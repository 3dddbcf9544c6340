"""What the installed versions of the libraries cannot do, found by trying; no test of its own."""

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost

from gbobjectives.adapters._xgboost_links import takes_intercepts


def _reads_frames() -> bool:
    try:
        lightgbm.Dataset(pd.DataFrame({"a": [0.0, 1.0]}), [0.0, 1.0]).construct()
    except AttributeError:
        return False
    return True


def _samples_by_gradient() -> bool:
    data = xgboost.DMatrix(np.arange(4.0).reshape(-1, 1), np.arange(4.0))
    params = {"sampling_method": "gradient_based", "subsample": 0.5, "verbosity": 0}
    try:
        xgboost.train(params, data, 1)
    except xgboost.core.XGBoostError:
        return False
    return True


XGBOOST_HAS_INTERCEPTS = takes_intercepts(xgboost)
LIGHTGBM_READS_FRAMES = _reads_frames()

#: Before 4.4 LightGBM calls functions that NumPy 2 has no more.
frames_and_subsets = pytest.mark.skipif(
    not LIGHTGBM_READS_FRAMES, reason="LightGBM before 4.4 reads no frames under NumPy 2"
)
quantized_gradients = pytest.mark.skipif(
    not LIGHTGBM_READS_FRAMES, reason="LightGBM 4.0 fails a check of its own, built-ins too"
)
several_intercepts = pytest.mark.skipif(
    not XGBOOST_HAS_INTERCEPTS, reason="XGBoost before 3.1 has one base_score for all outputs"
)
gradient_sampling = pytest.mark.skipif(
    not _samples_by_gradient(), reason="XGBoost before 3.1 samples by gradient on a GPU only"
)
