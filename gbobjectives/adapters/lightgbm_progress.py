"""Progress of a training by LightGBM; `gbobjectives.lgb` loads it when asked for."""

from typing import Any

from gbobjectives.adapters._progress import Board, Listener, Score, import_rich

__all__ = ["Progress"]


class Progress(Listener):
    """Callback that shows how far training is: rounds, time left, metrics, best round.

    For ``callbacks=`` of `lightgbm.train`, `lightgbm.cv`, the ``fit`` of the estimators and
    `gbobjectives.lgb.train`. Two lines in a terminal or a notebook (with ipywidgets); nothing
    where the output goes elsewhere.

    Parameters
    ----------
    metric : str, optional
        Name of the metric that is shown; the last one that is logged by default. The best round
        is the best one of the last data set.
    title : str
        What the line begins with.
    console : rich.console.Console, optional
        Where to draw; standard output by default.

    Raises
    ------
    ImportError
        If rich is missing.

    Notes
    -----
    LightGBM's own `train` does not tell a callback that it stops early: what is shown then is the
    state of a moment before.

    Examples
    --------
    >>> import numpy as np, lightgbm, gbobjectives as gbo
    >>> X = np.arange(100.0).reshape(-1, 1)
    >>> data = lightgbm.Dataset(X, label=X[:, 0])
    >>> params = {"verbosity": -1}
    >>> model = gbo.lgb.train(params, data, 5, loss="huber", callbacks=[gbo.lgb.Progress()])
    """

    # Before early stopping, which ends the round by an exception.
    order = 25
    before_iteration = False

    def __init__(
        self, *, metric: str | None = None, title: str = "LightGBM", console: Any = None
    ) -> None:
        import_rich()
        self.metric, self.title, self.console = metric, title, console
        self._board: Board | None = None

    def __call__(self, env: Any) -> None:
        """One round is done."""
        if env.iteration == env.begin_iteration:
            total = env.end_iteration - env.begin_iteration
            self._board = Board(self.title, total, self.metric, self.console)
        assert self._board is not None
        scores = [_score(entry) for entry in env.evaluation_result_list or ()]
        self._board.show(env.iteration - env.begin_iteration + 1, scores)
        if env.iteration == env.end_iteration - 1:
            self.finished()

    def finished(self) -> None:
        """Draw the last state, which stays."""
        if self._board is not None:
            self._board.close()
        self._board = None


def _score(entry: Any) -> Score:
    """Of `train` or of `cv`, which before 4.7 names data set and metric together."""
    data, metric, value, greater_is_better = entry[:4]
    if data == "cv_agg":
        data, _, metric = metric.partition(" ")
    return Score(data, metric, value, greater_is_better)
