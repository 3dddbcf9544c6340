"""LightGBM's scikit-learn estimators with a loss; `gbobjectives.lgb` loads them when asked for.

Beyond the public names of LightGBM they rely on two things: see `_estimators.fit_calling`, and
`LGBMLossModel._process_params`.
"""

import copy
from functools import wraps
from typing import Any, Self

import numpy as np

try:
    import lightgbm
    from sklearn.base import is_classifier
except ImportError as error:
    raise ImportError(
        "the estimators of gbobjectives.lgb need LightGBM and scikit-learn: "
        'pip install "gbobjectives[lightgbm,sklearn]"'
    ) from error

from gbobjectives.adapters import _estimators as shared
from gbobjectives.adapters import lightgbm as adapter
from gbobjectives.adapters._lightgbm_callables import LGBMetric, fields_of, sklearn_metric
from gbobjectives.losses import get_loss
from gbobjectives.losses.base import Loss
from gbobjectives.metrics import Metric, as_metric
from gbobjectives.objective import Objective

__all__ = ["LGBMLossClassifier", "LGBMLossRegressor"]

# Built-in metrics would read raw scores as responses; these are the same numbers of responses.
METRICS = {
    "l1": "mae",
    "mae": "mae",
    "l2": "mse",
    "mse": "mse",
    "rmse": "rmse",
    "l2_root": "rmse",
    "binary_logloss": "log",
    "multi_logloss": "cross_entropy",
    "binary_error": "zero_one",
    "multi_error": "zero_one",
}


class LGBMLossModel(lightgbm.LGBMModel):  # type: ignore[misc]
    """What both estimators do: the parameters of the loss, training on it, its link."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, and those of the loss as ``loss__gamma``."""
        return shared.with_loss_parameters(super().get_params(deep), deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``loss__gamma=1.0`` puts a loss with that gamma in its place."""
        super().set_params(**shared.set_loss(self, params))
        return self

    def _process_params(self, stage: str) -> dict[str, Any]:
        """Parameters for LightGBM, which takes a parameter `loss` for the name of an objective.

        The parent's are asked of a copy that has the parent's class, as its `get_params` does.
        What the parent adds, objective, number of outputs and metric, our `train` knows better.
        """
        plain: Any = copy.copy(self)
        plain.__class__ = next(c for c in type(self).__mro__ if not issubclass(c, LGBMLossModel))
        params: dict[str, Any] = plain._process_params(stage)
        asked = plain.get_params() if stage == "fit" else {}
        for name in ("objective", "num_class", "metric"):
            for alias in adapter.ALIASES[name]:
                params.pop(alias, None)
            found = [asked[x] for x in adapter.ALIASES[name] if asked.get(x) is not None]
            if found:
                params[name] = found[0]
        return {"metric": [], **params} if stage == "fit" else params

    def fit(self, X: Any, y: Any, *, eval_metric: Any = None, **options: Any) -> Self:
        """Fit; the `fit` of `LGBMRegressor` and of `LGBMClassifier` calls it, by keywords."""
        made = self._objective_of(y)
        if not is_classifier(self) and np.asarray(y).dtype.kind == "O":
            # LightGBM would make numbers of them, after the loss has seen them.
            y = np.asarray(y, dtype=np.float64)
        pairs = options.get("eval_set")
        if pairs and options.get("eval_X", 0) is None:
            # From 4.7 on LightGBM has two names for the same, and warns of this one.
            del options["eval_set"]
            pairs = [pairs] if isinstance(pairs, tuple) else pairs
            Xv, yv = zip(*pairs, strict=True)
            options |= {"eval_X": Xv, "eval_y": yv}
        entries = eval_metric if isinstance(eval_metric, list) else [eval_metric]
        entries = [_of_responses(m, made.loss) for m in entries if m is not None]

        def train(params: dict[str, Any], train_set: Any, **rest: Any) -> Any:
            nonlocal made
            made = shared.resolved_on(made, *fields_of(train_set)[:2])
            # LightGBM 4.0 names the columns in `train`.
            if (names := rest.pop("feature_name", "auto")) != "auto":
                train_set.set_feature_name(names)
            metrics, functions = params["metric"], rest.pop("feval")
            functions += [_named(m, made.loss) for m in metrics if m in METRICS]
            params["metric"] = [m for m in metrics if m not in METRICS]
            # None is the loss's own metric.
            feval = functions if metrics or functions else None
            return adapter.train(params, train_set, loss=made, feval=feval, **rest)

        one = made.loss.n_outputs == 1
        known = adapter.OBJECTIVE_OF_LINK if one else adapter.OBJECTIVE_OF_LINKS
        with shared.silent_about_link(made.loss.link.name not in known):
            fit = shared.fit_calling(train, lightgbm.LGBMModel.fit)
            fit(self, X, y, eval_metric=entries, **options)
        self.loss_ = made.loss
        return self

    def _objective_of(self, y: Any) -> Objective:
        owner = type(self).__name__
        if callable(self.objective):
            raise ValueError(f"{owner}: objective={self.objective!r}: give `loss` in its place")
        if is_classifier(self):
            # The parent has numbered the classes.
            return shared.objective_of_classes(owner, self.loss, len(np.unique(y)))
        return shared.objective_of_fit(owner, self.loss)

    @property
    def objective_(self) -> Any:
        """What was minimised."""
        return self.loss_

    def predict(
        self,
        X: Any,
        raw_score: bool = False,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        pred_leaf: bool = False,
        pred_contrib: bool = False,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Responses, whatever the link; the other results as the parent."""
        other = pred_leaf or pred_contrib
        result = super().predict(
            X,
            raw_score=not other,
            start_iteration=start_iteration,
            num_iteration=num_iteration,
            pred_leaf=pred_leaf,
            pred_contrib=pred_contrib,
            validate_features=validate_features,
            **kwargs,
        )
        return result if other or raw_score else self.loss_.predict(result)


def _of_responses(metric: Any, loss: Loss) -> Any:
    """An `eval_metric` of the user, for the raw scores that LightGBM hands to it."""
    if isinstance(metric, str):
        return metric
    if isinstance(metric, Metric | Loss | Objective):
        return sklearn_metric(metric, loss=loss)

    # LightGBM counts the parameters of the function, which `wraps` hands on.
    @wraps(metric)
    def of_raw(y_true: Any, y_pred: Any, *rest: Any) -> Any:
        return metric(y_true, loss.predict(y_pred), *rest)

    return of_raw


def _named(name: str, loss: Loss) -> LGBMetric:
    of: Any = METRICS[name]
    if of == "cross_entropy":
        of = get_loss(of, n_classes=loss.n_outputs)
    return LGBMetric(as_metric(Metric(of, name=name), loss))


class LGBMLossRegressor(lightgbm.LGBMRegressor, LGBMLossModel):  # type: ignore[misc]
    """`lightgbm.LGBMRegressor` that trains on a loss of this package, and predicts responses.

    The intercept, the link and the metric are those of the loss, as in `gbobjectives.lgb.train`.

    Parameters
    ----------
    loss : str, Loss, Objective, type or mapping
        What to minimise: a name, a loss, a loss with curvature and scale, a class, a spec. Its
        parameters are parameters of the estimator: ``loss__delta``; ``loss__loss__delta`` and
        ``loss__curvature`` of an `Objective`.
    **kwargs
        Parameters of `lightgbm.LGBMRegressor`. Leave out ``objective``: the link of the loss says
        it.

    Attributes
    ----------
    loss_ : Loss
        What was minimised.

    Notes
    -----
    ``fit`` takes what that of the parent takes. Its ``eval_metric`` may be a `Metric` or a loss,
    too; it is the loss's own if none is given. Functions ``(y_true, y_pred)`` see responses, as
    under a built-in objective. Of the built-in metrics, l1, l2, rmse and those of ranks are
    possible.

    Examples
    --------
    >>> import numpy as np, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> y = 2.0 ** (X[:, 0] > 49)
    >>> model = gbo.lgb.LGBMLossRegressor(loss="poisson", n_estimators=50, verbosity=-1)
    >>> model.fit(X, y).predict(X[[0, -1]]).round(1)
    array([1., 2.])
    >>> model.set_params(loss=gbo.HuberLoss(), loss__delta=2.0).loss
    HuberLoss(delta=2.0)
    """

    def __init__(self, *, loss: Any = "squared_error", **kwargs: Any) -> None:
        self.loss = loss
        super().__init__(**kwargs)

    __init__.__signature__ = shared.signature_with_loss(  # type: ignore[attr-defined]
        lightgbm.LGBMModel.__init__, "squared_error"
    )


class LGBMLossClassifier(lightgbm.LGBMClassifier, LGBMLossModel):  # type: ignore[misc]
    """`lightgbm.LGBMClassifier` that trains on a loss of this package.

    `predict` gives labels, and `predict_proba` has a column for each class, and rows that sum to 1:
    of a loss that estimates a decision, not a probability, such as the hinge, it is a score between
    0 and 1, to be calibrated; of one against the rest, the probabilities of all classes over their
    sum.

    Parameters
    ----------
    loss : str, Loss, Objective, type, mapping or None
        What to minimise: a name, a loss, a loss with curvature and scale, a class, a spec; a
        missing ``n_classes`` is filled in. None is log loss for two classes, and cross-entropy
        for more. Its parameters are parameters of the estimator: ``loss__gamma``. Classes are
        counted in the order of their labels, in a ``class_weight`` of the loss as well.
    **kwargs
        Parameters of `lightgbm.LGBMClassifier`. Leave out ``objective``: the link of the loss says
        it. Its ``class_weight`` is by labels, and multiplies the weights of rows.

    Attributes
    ----------
    loss_ : Loss
        What was minimised.

    Notes
    -----
    ``fit`` takes what that of the parent takes. Its ``eval_metric`` may be a `Metric` or a loss,
    too; it is the loss's own if none is given. Functions ``(y_true, y_pred)`` see probabilities,
    as under a built-in objective. Of the built-in metrics, logloss, error and those of ranks are
    possible.

    Examples
    --------
    >>> import numpy as np, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> y = np.where(X[:, 0] > 49, "late", "on time")
    >>> model = gbo.lgb.LGBMLossClassifier(loss="focal", n_estimators=20, verbosity=-1)
    >>> model.set_params(loss__gamma=1.0).fit(X, y).predict(X[[0, -1]])
    array(['on time', 'late'], dtype='<U7')
    >>> model.loss_
    FocalLoss(gamma=1.0, alpha=None)
    """

    def __init__(self, *, loss: Any = None, **kwargs: Any) -> None:
        self.loss = loss
        super().__init__(**kwargs)

    __init__.__signature__ = shared.signature_with_loss(  # type: ignore[attr-defined]
        lightgbm.LGBMModel.__init__, None
    )

    @wraps(lightgbm.LGBMClassifier.fit)
    def fit(self, X: Any, y: Any, *args: Any, **options: Any) -> Self:  # type: ignore[override]
        """Fit; parameters are those of the parent."""
        shared.check_order(type(self).__name__, self.loss, y)
        Xv, yv = options.get("eval_X"), options.get("eval_y")
        if options.get("eval_set") is None and Xv is not None and yv is not None:
            # LightGBM 4.7 numbers the classes of an eval_set, and forgets those of an eval_y.
            several = isinstance(Xv, tuple) and isinstance(yv, tuple)
            pairs = list(zip(Xv, yv, strict=True)) if several else [(Xv, yv)]
            options["eval_set"] = pairs
            del options["eval_X"], options["eval_y"]
        super().fit(X, y, *args, **options)
        return self

    def predict(
        self,
        X: Any,
        raw_score: bool = False,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        pred_leaf: bool = False,
        pred_contrib: bool = False,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Labels; raw scores, leaves or contributions as the parent."""
        asked = (raw_score, start_iteration, num_iteration, pred_leaf, pred_contrib)
        found = self.predict_proba(X, *asked, validate_features, **kwargs)
        if raw_score or pred_leaf or pred_contrib:
            return found
        return self.classes_[found.argmax(axis=1)]

    def predict_proba(
        self,
        X: Any,
        raw_score: bool = False,
        start_iteration: int = 0,
        num_iteration: int | None = None,
        pred_leaf: bool = False,
        pred_contrib: bool = False,
        validate_features: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Probabilities, a column for each class; the other results as the parent."""
        asked = (True, start_iteration, num_iteration, pred_leaf, pred_contrib)
        found = LGBMLossModel.predict(self, X, *asked, validate_features, **kwargs)
        if raw_score or pred_leaf or pred_contrib:
            return found
        return shared.probabilities(self.loss_, found)

    def decision_function(self, X: Any, **options: Any) -> Any:
        """Raw scores: (n,) for two classes, (n, K) for more.

        Parameters
        ----------
        X : array_like, shape (n, p)
            Rows to predict.
        **options : Any
            More for `LGBMModel.predict`, such as ``num_iteration``.

        Returns
        -------
        numpy.ndarray, shape (n,) or (n, K)
            Raw scores.
        """
        raw = LGBMLossModel.predict(self, X, raw_score=True, **options)
        return shared.decisions(self.loss_, raw)
