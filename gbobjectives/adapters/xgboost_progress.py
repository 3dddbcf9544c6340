"""Progress of a training by XGBoost; `gbobjectives.xgb` loads it when asked for."""

from typing import Any

import numpy as np

try:
    import xgboost
except ImportError as error:
    raise ImportError(
        'gbobjectives.xgb.Progress needs XGBoost: pip install "gbobjectives[xgboost,progress]"'
    ) from error

from gbobjectives.adapters._progress import Board, Listener, Score, import_rich, is_score

__all__ = ["Progress"]


class Progress(xgboost.callback.TrainingCallback, Listener):  # type: ignore[misc]
    """Callback that shows how far training is: rounds, time left, metrics, best round.

    For ``callbacks=`` of `xgboost.train`, `xgboost.cv`, the estimators and
    `gbobjectives.xgb.train`. Two lines in a terminal or a notebook (with ipywidgets); nothing
    where the output goes elsewhere. Turn XGBoost's own log off: ``verbose_eval=False``.

    Parameters
    ----------
    n_rounds : int, optional
        Rounds to come, which XGBoost does not say; `gbobjectives.xgb.train` and our estimators
        do. Without them no time left is known.
    metric : str, optional
        Name of the metric that is shown; the last one that is logged by default. The best round
        is the best one of the last data set.
    greater_is_better : bool, optional
        Direction of that metric; known of the metric of `gbobjectives.xgb.train`, and guessed
        from the name otherwise, as XGBoost's early stopping does.
    title : str
        What the line begins with.
    console : rich.console.Console, optional
        Where to draw; standard output by default.

    Raises
    ------
    ImportError
        If rich is missing.

    Examples
    --------
    >>> import numpy as np, xgboost, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> data = xgboost.DMatrix(X, label=X[:, 0])
    >>> model = gbo.xgb.train({}, data, 5, loss="huber", callbacks=[gbo.xgb.Progress()])
    """

    def __init__(
        self,
        n_rounds: int | None = None,
        *,
        metric: str | None = None,
        greater_is_better: bool | None = None,
        title: str = "XGBoost",
        console: Any = None,
    ) -> None:
        super().__init__()
        import_rich()
        self.n_rounds, self.metric, self.title = n_rounds, metric, title
        self.greater_is_better, self.console = greater_is_better, console
        self._board: Board | None = None
        self._known: tuple[int | None, dict[str, bool]] = (None, {})

    def told(self, n_rounds: int, metric: Any) -> None:
        """Rounds to come, and the direction of the metric."""
        known = {} if metric is None else {metric.name: bool(metric.greater_is_better)}
        self._known = (n_rounds, known)

    def before_training(self, model: Any) -> Any:
        """Draw the first state."""
        total = self.n_rounds or self._known[0]
        self._board = Board(self.title, total, self.metric, self.console)
        self._board.show(0, ())
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """One round is done."""
        assert self._board is not None
        scores = [
            # Cross-validation gives mean and standard deviation.
            Score(data, name, float(np.ravel(log[-1])[0]), self._better(name))
            for data, metrics in evals_log.items()
            for name, log in metrics.items()
        ]
        self._board.show(epoch + 1, scores)
        return False

    def after_training(self, model: Any) -> Any:
        """Draw the last state, which stays."""
        self.finished()
        return model

    def finished(self) -> None:
        """Draw the last state, which stays."""
        if self._board is not None:
            self._board.close()
        # What was told of this training says nothing of the next.
        self._board, self._known = None, (None, {})

    def _better(self, metric: str) -> bool:
        if self.greater_is_better is not None:
            return self.greater_is_better
        return self._known[1].get(metric, is_score(metric))
