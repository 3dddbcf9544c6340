"""XGBoost's scikit-learn estimators with a loss; `gbobjectives.xgb` loads them when asked for.

Beyond the public names of XGBoost they rely on one thing: see `_estimators.fit_calling`.
"""

from functools import wraps
from typing import Any, Self

import numpy as np

try:
    import xgboost
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils import assert_all_finite
    from sklearn.utils.multiclass import check_classification_targets
except ImportError as error:
    raise ImportError(
        "the estimators of gbobjectives.xgb need XGBoost and scikit-learn: "
        'pip install "gbobjectives[xgboost,sklearn]"'
    ) from error

from gbobjectives.adapters import _common as common
from gbobjectives.adapters import _estimators as shared
from gbobjectives.adapters import xgboost as adapter
from gbobjectives.adapters._xgboost_callables import fields_of
from gbobjectives.adapters._xgboost_links import objective_of_link
from gbobjectives.adapters.saved import loss_of, record_in
from gbobjectives.losses.base import Loss
from gbobjectives.metrics import Metric
from gbobjectives.objective import Objective

__all__ = ["XGBLossClassifier", "XGBLossRegressor"]


class XGBLossModel(xgboost.XGBModel):  # type: ignore[misc]
    """What both estimators do: the parameters of the loss, training on it, its link."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, and those of the loss as ``loss__gamma``."""
        return shared.with_loss_parameters(super().get_params(deep), deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``loss__gamma=1.0`` puts a loss with that gamma in its place."""
        super().set_params(**shared.set_loss(self, params))
        return self

    def get_xgb_params(self) -> dict[str, Any]:
        """Parameters for XGBoost."""
        return shared.without_loss(super().get_xgb_params())

    def load_model(self, fname: Any) -> None:
        """Load a model file, and the loss that is in it; labels of classes are not."""
        super().load_model(fname)
        for name in ("loss_", "_labels"):
            self.__dict__.pop(name, None)
        record = record_in(self.get_booster())
        if record is None:
            return
        # A loss of the user's own is no more than named in the file.
        own = self.loss.loss if isinstance(self.loss, Objective) else self.loss
        self.loss_ = own if record.get("repr") == repr(own) else loss_of(self.get_booster())
        n_classes = getattr(self.loss_, "n_classes", None)
        if n_classes is not None and hasattr(self, "n_classes_"):
            self.n_classes_ = n_classes

    @wraps(xgboost.XGBModel.fit)
    def fit(self, X: Any, y: Any, **options: Any) -> Self:
        """Fit; parameters are those of the parent."""
        return self._fit(self._objective_of(y), X, y, options)

    def _objective_of(self, y: Any) -> Objective:
        return shared.objective_of_fit(type(self).__name__, self.loss)

    def _fit(self, made: Objective, X: Any, y: Any, options: dict[str, Any]) -> Self:
        """The parent's `fit`, whose data sets go to our `train`."""
        if callable(self.objective):
            raise ValueError(
                f"{type(self).__name__}: objective={self.objective!r}: give `loss` in its place"
            )

        def train(params: dict[str, Any], dtrain: Any, num_boost_round: int, **rest: Any) -> Any:
            nonlocal made
            made = shared.resolved_on(made, *fields_of(dtrain, made.loss)[:2])
            settings = {name: value for name, value in params.items() if value is not None}
            rest |= self._metrics(made.loss, rest["custom_metric"])
            rest.pop("obj")
            return adapter.train(settings, dtrain, num_boost_round, loss=made, **rest)

        with shared.silent_about_link(objective_of_link(xgboost, made.loss) is None):
            shared.fit_calling(train, xgboost.XGBModel.fit)(self, X, y, **options)
        self.loss_ = made.loss
        return self

    def _metrics(self, loss: Loss, custom_metric: Any) -> dict[str, Any]:
        """What `eval_metric` is to `train`: ours, a function of responses, or built-in ones."""
        given = self.eval_metric
        if given is None:
            return {"custom_metric": None}
        entries = [given] if callable(given) or isinstance(given, str) else list(given)
        ours = [m for m in entries if isinstance(m, Metric | Loss | Objective)]
        if ours:
            return {"metric": ours[0], "custom_metric": None}
        if custom_metric is None:
            # With a metric of the user `train` adds none, and XGBoost stops on the built-in one.
            return {"custom_metric": _no_metric}
        return {"custom_metric": lambda raw, data: custom_metric(loss.predict(raw), data)}

    @wraps(xgboost.XGBModel.predict)
    def predict(self, X: Any, *, output_margin: bool = False, **options: Any) -> Any:
        """Responses, whatever the link; raw scores if ``output_margin``."""
        if not hasattr(self, "loss_"):
            return super().predict(X, output_margin=output_margin, **options)
        raw = super().predict(X, output_margin=True, **options)
        return raw if output_margin else self.loss_.predict(raw)


def _no_metric(raw: Any, data: Any) -> list[tuple[str, float]]:
    return []


class XGBLossRegressor(xgboost.XGBRegressor, XGBLossModel):  # type: ignore[misc]
    """`xgboost.XGBRegressor` that trains on a loss of this package, and predicts responses.

    The intercept, the link and the metric are those of the loss, as in `gbobjectives.xgb.train`.

    Parameters
    ----------
    loss : str, Loss, Objective, type or mapping
        What to minimise: a name, a loss, a loss with curvature and scale, a class, a spec. Its
        parameters are parameters of the estimator: ``loss__delta``; ``loss__loss__delta`` and
        ``loss__curvature`` of an `Objective`.
    eval_metric : Metric, Loss, str, callable or list, optional
        What is logged of ``eval_set`` and stopped on; the loss's own metric by default. Functions
        ``(y_true, y_pred)`` see responses, as under a built-in objective.
    **kwargs
        Parameters of `xgboost.XGBRegressor`. Leave out ``objective``: the link of the loss says it.

    Attributes
    ----------
    loss_ : Loss
        What was minimised.

    Examples
    --------
    >>> import numpy as np, gbobjectives as gbo
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> y = 2.0 ** (X[:, 0] > 9)
    >>> model = gbo.xgb.XGBLossRegressor(loss="poisson", max_depth=1, n_estimators=50)
    >>> model.fit(X, y).predict(X[[0, -1]]).round(1)
    array([1., 2.], dtype=float32)
    >>> model.set_params(loss=gbo.HuberLoss(), loss__delta=2.0).loss
    HuberLoss(delta=2.0)
    """

    def __init__(self, *, loss: Any = "squared_error", **kwargs: Any) -> None:
        self.loss = loss
        super().__init__(**{"objective": None, **kwargs})

    __init__.__signature__ = shared.signature_with_loss(  # type: ignore[attr-defined]
        xgboost.XGBModel.__init__, "squared_error"
    )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Which losses take labels of several columns is known by a loss, not by a class.
        own = self.loss.loss if isinstance(self.loss, Objective) else self.loss
        tags.target_tags.multi_output = getattr(own, "n_labels", 1) > 1
        return tags


class XGBLossClassifier(xgboost.XGBClassifier, XGBLossModel):  # type: ignore[misc]
    """`xgboost.XGBClassifier` that trains on a loss of this package.

    Labels may be of any kind; `predict` gives them back. `predict_proba` has a column for each
    class, and rows that sum to 1: of a loss that estimates a decision, not a probability, such as
    the hinge, it is a score between 0 and 1, to be calibrated; of one against the rest, the
    probabilities of all classes over their sum.

    Parameters
    ----------
    loss : str, Loss, Objective, type, mapping or None
        What to minimise: a name, a loss, a loss with curvature and scale, a class, a spec; a
        missing ``n_classes`` is filled in. None is log loss for two classes, and cross-entropy
        for more. Its parameters are parameters of the estimator: ``loss__gamma``. Classes are
        counted in the order of their labels, in a ``class_weight`` of the loss as well.
    eval_metric : Metric, Loss, str, callable or list, optional
        What is logged of ``eval_set`` and stopped on; the loss's own metric by default. Functions
        ``(y_true, y_pred)`` see probabilities, as under a built-in objective, and numbers of
        classes for labels.
    **kwargs
        Parameters of `xgboost.XGBClassifier`. Leave out ``objective``: the link of the loss says
        it.

    Attributes
    ----------
    loss_ : Loss
        What was minimised.
    classes_ : array of shape (K,)
        Labels. A model that was loaded by `load_model` has 0 to K-1.

    Examples
    --------
    >>> import numpy as np, gbobjectives as gbo
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> y = np.where(X[:, 0] > 9, "late", "on time")
    >>> model = gbo.xgb.XGBLossClassifier(loss="focal", n_estimators=20)
    >>> model.set_params(loss__gamma=1.0).fit(X, y).predict(X[[0, -1]])
    array(['on time', 'late'], dtype='<U7')
    >>> model.loss_
    FocalLoss(gamma=1.0, alpha=None)
    """

    def __init__(self, *, loss: Any = None, **kwargs: Any) -> None:
        self.loss = loss
        super().__init__(**{"objective": None, **kwargs})

    __init__.__signature__ = shared.signature_with_loss(  # type: ignore[attr-defined]
        xgboost.XGBModel.__init__, None
    )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags

    @wraps(xgboost.XGBClassifier.fit)
    def fit(self, X: Any, y: Any, *, eval_set: Any = None, **options: Any) -> Self:
        """Fit; parameters are those of the parent."""
        owner = type(self).__name__
        given, y = y, np.asarray(common.host_array(y))
        assert_all_finite(y)
        check_classification_targets(y)
        shared.check_order(owner, self.loss, y)
        encoder = LabelEncoder().fit(y)
        numbers, labels = encoder.transform(y), encoder.classes_
        made = shared.objective_of_classes(owner, self.loss, len(labels))
        if eval_set is not None:
            # Training data among them stay the same objects: XGBoost uses them once.
            options["eval_set"] = [
                (Xv, numbers if yv is given else encoder.transform(np.asarray(yv)))
                for Xv, yv in eval_set
            ]
        self._fit(made, X, numbers, options)
        self.n_classes_, self._labels = len(labels), labels
        return self

    @property
    def classes_(self) -> Any:
        """Labels of the classes, in the order of the columns of `predict_proba`."""
        return self._labels if hasattr(self, "_labels") else super().classes_

    @wraps(xgboost.XGBClassifier.predict)
    def predict(self, X: Any, *, output_margin: bool = False, **options: Any) -> Any:
        """Labels; raw scores if ``output_margin``."""
        if output_margin or not hasattr(self, "loss_"):
            return super().predict(X, output_margin=output_margin, **options)
        return self.classes_[self.predict_proba(X, **options).argmax(axis=1)]

    @wraps(xgboost.XGBClassifier.predict_proba)
    def predict_proba(self, X: Any, **options: Any) -> Any:
        """Probabilities, a column for each class."""
        if not hasattr(self, "loss_"):
            return super().predict_proba(X, **options)
        return shared.probabilities(self.loss_, self._raw(X, **options))

    def _raw(self, X: Any, **options: Any) -> Any:
        return xgboost.XGBModel.predict(self, X, output_margin=True, **options)
