"""scikit-learn's HistGradientBoosting: losses for ``loss=`` of its regressor and classifier.

The estimators take a loss of a private class, `sklearn._loss.loss.BaseLoss`, and hand it all rows
at once: raw predictions as float64, (n, 1) for one output. The loss multiplies the weights,
estimates the intercept, and names the link; all else is done by scikit-learn. The class is made
when the first loss is asked for, so that importing gbobjectives does not import scikit-learn.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.adapters import _common as common
from gbobjectives.adapters._estimators import probabilities
from gbobjectives.links import Interval
from gbobjectives.losses.base import Loss
from gbobjectives.losses.kinds import GroupLoss
from gbobjectives.metrics import Metric
from gbobjectives.objective import Objective, as_objective

__all__ = ["loss"]

#: First and last version of scikit-learn that this is tested with: the class is private.
TESTED = ((1, 5), (1, 9))

WHERE = "hgb.loss"


def loss(loss: Any) -> Any:
    """Loss for ``loss=`` of `HistGradientBoostingRegressor` and `HistGradientBoostingClassifier`.

    Parameters
    ----------
    loss : Loss, Objective, str or mapping
        What to minimise.

    Returns
    -------
    sklearn._loss.loss.BaseLoss
        A loss that pickles, clones and compares by its objective.

    Raises
    ------
    ImportError
        If scikit-learn is missing, or of a version that this was not tested with.
    ValueError
        If the estimators have no place for the loss: groups, several outputs that are no
        classes, several labels a row.

    Notes
    -----
    The model starts at the loss's intercept and predicts responses. Early stopping, with
    ``scoring="loss"``, watches the loss's own metric. All rows are seen at once, so that
    ``"auto"`` parameters, ``scale="auto"`` and coupled losses are exact. The classifier hands
    over classes as 0, ..., K - 1: a loss of one output for two classes, one of K outputs for K.
    Given to the regressor, a loss of K outputs fails inside scikit-learn, before we are asked:
    "non-broadcastable output operand".
    The kernels run on the threads of the Objective, ``n_threads``.

    Examples
    --------
    >>> import numpy as np, gbobjectives as gbo
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> y = 2.0 ** (X[:, 0] > 49)
    >>> model = HistGradientBoostingRegressor(loss=gbo.hgb.loss(gbo.PoissonLoss()))
    >>> model.fit(X, y).predict(X[[0, -1]]).round(1)
    array([1., 2.])
    """
    made = as_objective(loss, WHERE)
    own = made.loss
    if isinstance(own, GroupLoss):
        raise ValueError(
            f"{WHERE}: {type(own).__name__} needs groups, which HistGradientBoosting does not have"
        )
    if own.n_labels > 1 and own.targets is None:
        raise ValueError(
            f"{WHERE}: {own!r} takes {own.n_labels} labels a row, and HistGradientBoosting one; "
            "keep them in the loss, loss.bind(targets), and give y=np.arange(len(targets))"
        )
    if own.n_outputs > 1 and own.link.name not in ("softmax", "logit"):
        raise ValueError(
            f"{WHERE}: {own!r} has {own.n_outputs} outputs, and HistGradientBoosting has several "
            "for classes only"
        )
    classes = own.link.name in ("softmax", "logit")
    return _class_of(HistLossOfClasses if classes else HistLoss)(made)


@dataclass(frozen=True)
class ResponseLink:
    """The link of a loss under the names of `sklearn._loss.link.BaseLink`."""

    own: Loss

    @property
    def interval_y_pred(self) -> Interval:
        """Where responses lie."""
        return self.own.link.range

    def link(self, y_pred: Any) -> Array:
        """Response to raw prediction."""
        return self.own.link.link(np.asarray(y_pred))

    def inverse(self, raw_prediction: Any) -> Array:
        """Raw prediction to response."""
        return self.own.predict(raw_prediction)


class HistLoss:
    """What the estimators call; `_class_of` puts `BaseLoss` below it."""

    def __init__(self, objective: Objective) -> None:
        own = objective.loss
        self.objective = objective
        self.metric = Metric(own)
        n_classes = max(own.n_outputs, 2) if isinstance(self, HistLossOfClasses) else None
        _base_loss().__init__(self, closs=None, link=ResponseLink(own), n_classes=n_classes)
        self.is_multiclass = own.n_outputs > 1

    def __reduce__(self) -> tuple[Any, ...]:
        # The class itself is made at run time.
        return loss, (self.objective,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HistLoss) and self.objective == other.objective

    def __hash__(self) -> int:
        return hash(self.objective)

    def __repr__(self) -> str:
        return f"{WHERE}({self.objective!r})"

    def __call__(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, n_threads: int = 1
    ) -> float:
        """Weighted mean of the loss's metric, for early stopping."""
        return self.metric(y_true, self._raw(raw_prediction), sample_weight)

    def loss(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        loss_out: Any = None,
        n_threads: int = 1,
    ) -> Any:
        """Value of each row, times its weight."""
        own = self.objective.loss
        raw = self._raw(raw_prediction)
        return _into(loss_out, own(y_true, raw, sample_weight, reduction="none"))

    def gradient(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        gradient_out: Any = None,
        n_threads: int = 1,
    ) -> Any:
        """Gradient of each row, times its weight and over the scale."""
        return self.gradient_hessian(y_true, raw_prediction, sample_weight, gradient_out)[0]

    def gradient_hessian(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[Any, Any]:
        """Gradient and curvature, times the weights and over the scale, into the given arrays."""
        raw = self._raw(raw_prediction)
        g, h = self.objective.gradient_hessian(y_true, raw, sample_weight)
        return _into(gradient_out, g), _into(hessian_out, h)

    def fit_intercept_only(self, y_true: Any, sample_weight: Any = None) -> Array:
        """Best constant raw prediction, shape (n_outputs,)."""
        own = self.objective.loss
        return common.finite_intercept(WHERE, own, y_true, sample_weight, None, "")

    def _raw(self, raw_prediction: Any) -> Any:
        """Raw prediction as our losses have it: one output is no column."""
        own = self.objective.loss
        columns = 1 if raw_prediction.ndim == 1 else raw_prediction.shape[1]
        if columns != own.n_outputs:
            raise ValueError(
                f"{WHERE}: {own!r} has {own.n_outputs} output(s), and the estimator {columns}: the "
                "regressor has one, the classifier one for two classes and K for K"
            )
        return raw_prediction if columns > 1 else raw_prediction.reshape(-1)


class HistLossOfClasses(HistLoss):
    """The same with probabilities, by which the estimators tell losses of classes."""

    def predict_proba(self, raw_prediction: Any) -> Array:
        """Probability of each class, shape (n, n_classes)."""
        return probabilities(self.objective.loss, self._raw(raw_prediction))


@cache
def _class_of(cls: type[HistLoss]) -> Any:
    """The class as a subclass of scikit-learn's own, which the estimators insist on."""
    return type(cls.__name__, (cls, _base_loss()), {"__module__": __name__, "__doc__": cls.__doc__})


@cache
def _base_loss() -> Any:
    try:
        import sklearn
    except ImportError as error:
        raise ImportError(
            f'{WHERE} needs scikit-learn: pip install "gbobjectives[sklearn]"'
        ) from error
    major, minor = sklearn.__version__.split(".")[:2]
    first, last = TESTED
    if not first <= (int(major), int(minor)) <= last:
        known = " to ".join(f"{a}.{b}" for a, b in TESTED)
        raise ImportError(
            f"{WHERE}: HistGradientBoosting takes losses of a private class only, which is tested "
            f"with scikit-learn {known}; found {sklearn.__version__}"
        )
    from sklearn._loss.loss import BaseLoss

    return BaseLoss


def _into(out: Any, values: Array) -> Any:
    """The values, in the given array if there is one."""
    if out is None:
        return values
    out[...] = values.reshape(out.shape)
    return out
