"""What `accuracy.py` stops by, and what it says of the test part."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _datasets import Data

import gbobjectives as gbo

LEVELS = (0.05, 0.5, 0.95)
NDCG10 = gbo.LambdaNDCGLoss(truncation=10)

# Log loss of a certain and wrong prediction is infinite; of float32 this is the nearest to it.
NEAR_0 = float(np.finfo(np.float32).eps)


def log_loss(data: Data, p: np.ndarray) -> float:
    if p.ndim == 2:
        p = p[np.arange(len(p)), data.y.astype(int)]
        return float(-np.log(np.maximum(p, NEAR_0)).mean())
    p = np.clip(p, NEAR_0, 1 - NEAR_0)
    return float(-np.where(data.y > 0, np.log(p), np.log1p(-p)).mean())


def average_precision(data: Data, p: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(data.y, p))


def balanced_accuracy(data: Data, p: np.ndarray) -> float:
    right = p.argmax(axis=1) == data.y
    return float(np.mean([right[data.y == k].mean() for k in np.unique(data.y)]))


def poisson_deviance(data: Data, p: np.ndarray) -> float:
    from sklearn.metrics import mean_poisson_deviance

    return float(mean_poisson_deviance(data.y, np.maximum(p, 1e-9), sample_weight=data.weight))


def mae(data: Data, p: np.ndarray) -> float:
    return float(np.abs(p - data.y).mean())


def ndcg10(data: Data, p: np.ndarray) -> float:
    return float(1 - NDCG10.metric_value(data.y, p, group=data.sizes))


def pinball(level: float) -> Callable[[Data, np.ndarray], float]:
    def score(data: Data, p: np.ndarray) -> float:
        r = data.y - p
        return float(np.maximum(level * r, (level - 1) * r).mean())

    return score


def discordance(data: Data, risk: np.ndarray) -> float:
    """1 less Harrell's C-index: of pairs whose order is known, how many are the wrong way round.

    Known are an event and a row that was seen beyond it, or until its time without event. Equal
    risks count by half.
    """
    event, time = data.y > 0, np.abs(data.y)
    later = (time > time[event, None]) | ((time == time[event, None]) & ~event)
    wrong = (risk > risk[event, None]) + 0.5 * (risk == risk[event, None])
    return float(wrong[later].mean())


def normal_scale(y: np.ndarray) -> float:
    """Median absolute deviation, times what makes it the standard deviation of a normal."""
    return float(1.4826 * np.median(np.abs(y - np.median(y))))


def calibrated(valid: Data, test: Data, raw_valid: np.ndarray, raw_test: np.ndarray) -> float:
    """Log loss on the test part after Platt's scaling of the raw predictions on the validation."""
    from sklearn.linear_model import LogisticRegression

    centre, spread = raw_valid.mean(), raw_valid.std() or 1.0

    def column(raw: np.ndarray) -> np.ndarray:
        return ((raw - centre) / spread)[:, None]

    model = LogisticRegression(C=1e6).fit(column(raw_valid), valid.y)
    return log_loss(test, model.predict_proba(column(raw_test))[:, 1])


def best_f1(valid: Data, test: Data, raw_valid: np.ndarray, raw_test: np.ndarray) -> float:
    """F1 on the test part at the threshold that is best on the validation part."""
    from sklearn.metrics import f1_score, precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(valid.y, raw_valid)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(f1_score(test.y, raw_test >= thresholds[f1[:-1].argmax()]))


def of_binary(fits: Any, train: Data, valid: Data, test: Data) -> dict[str, float]:
    (fit,) = fits
    raw = fit.raw(valid), fit.raw(test)
    return {
        "log loss": log_loss(test, fit.response(test)),
        "PR-AUC": average_precision(test, raw[1]),
        "calibrated log loss": calibrated(valid, test, *raw),
        "F1": best_f1(valid, test, *raw),
    }


def of_classes(fits: Any, train: Data, valid: Data, test: Data) -> dict[str, float]:
    p = fits[0].response(test)
    return {
        "log loss": log_loss(test, p / p.sum(axis=1, keepdims=True)),
        "balanced accuracy": balanced_accuracy(test, p),
    }


def of_counts(fits: Any, train: Data, valid: Data, test: Data) -> dict[str, float]:
    return {"deviance": poisson_deviance(test, fits[0].response(test))}


def of_reals(fits: Any, train: Data, valid: Data, test: Data) -> dict[str, float]:
    """Absolute error, and Huber's loss with the delta of the training labels."""
    p = fits[0].response(test)
    delta = 1.345 * normal_scale(train.y)
    return {"MAE": mae(test, p), "Huber loss": gbo.HuberLoss(delta=delta)(test.y, p) / delta}


def of_ranking(fits: Any, train: Data, valid: Data, test: Data) -> dict[str, float]:
    return {"NDCG@10": 1 - ndcg10(test, fits[0].raw(test))}


def of_quantiles(fits: Any, train: Data, valid: Data, test: Data) -> dict[str, float]:
    """Pinball loss of each of `LEVELS`, and what their interval covers."""
    p = np.column_stack([fit.response(test) for fit in fits])
    losses = {f"pinball {t:g}": pinball(t)(test, q) for t, q in zip(LEVELS, p.T, strict=True)}
    return losses | {
        "coverage": float(((p[:, 0] <= test.y) & (test.y <= p[:, -1])).mean()),
        "crossing": float((np.diff(p, axis=1) < 0).any(axis=1).mean()),
    }


def of_survival(fits: Any, train: Data, valid: Data, test: Data) -> dict[str, float]:
    """C-index, and Cox's loss of that multiple of the log risks which is best on `valid`."""
    from scipy.optimize import minimize_scalar

    (fit,) = fits
    cox = gbo.CoxLoss()
    # A risk of 0 has no logarithm.
    logs = [np.log(np.maximum(fit.response(part), 1e-300)) for part in (valid, test)]
    slope = minimize_scalar(lambda s: cox(valid.y, s * logs[0]), bounds=(0, 10), method="bounded").x
    return {
        "C-index": 1 - discordance(test, logs[1]),
        "calibrated Cox loss": float(cox(test.y, slope * logs[1])),
    }


#: Of which more is better.
GREATER = ("PR-AUC", "F1", "balanced accuracy", "NDCG@10", "C-index")
