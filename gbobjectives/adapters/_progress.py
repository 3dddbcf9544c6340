"""Two lines of progress, drawn by rich: rounds, time left, metrics, best round.

It knows no library, and keeps out of the way: a console of its own, no thread, standard output
left as it is. So nothing is left behind where training ends without a word, as LightGBM's does
when it stops early, or by an error.
"""

import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

# Seconds; a drawing takes as long as a round on small data.
BETWEEN_DRAWINGS = 0.05

# Names that mean more is better wherever the libraries and scikit-learn use them.
SCORE_PREFIXES = ("auc", "aucpr", "map", "ndcg", "pre", "average_precision", "accuracy")
SCORE_SUFFIX = "_score"

# XGBoost minimises these, whose names begin like those of scores.
NO_SCORES = ("mape",)


class Score(NamedTuple):
    """Value of a metric on a data set, and its direction."""

    data: str
    metric: str
    value: float
    greater_is_better: bool


def is_score(metric: str) -> bool:
    """Whether more is better, as far as the name says."""
    if metric.startswith(NO_SCORES):
        return False
    return metric.startswith(SCORE_PREFIXES) or metric.endswith(SCORE_SUFFIX)


class Listener:
    """A callback of ours, to which `train` says what the library does not."""

    def told(self, n_rounds: int, metric: Any) -> None:
        """Rounds of the training that begins, and its `Metric` (or None)."""

    def finished(self) -> None:
        """Training is over, in whatever way."""


def tell(callbacks: Sequence[Any] | None, n_rounds: int, metric: Any) -> None:
    """Say to callbacks of ours how the training begins."""
    for callback in callbacks or ():
        if isinstance(callback, Listener):
            callback.told(n_rounds, metric)


def finish(callbacks: Sequence[Any] | None) -> None:
    """Say to callbacks of ours that the training is over."""
    for callback in callbacks or ():
        if isinstance(callback, Listener):
            callback.finished()


class Board:
    """The two lines of one training; nothing where there is neither a terminal nor a notebook."""

    def __init__(self, title: str, total: int | None, metric: str | None, console: Any) -> None:
        rich = import_rich()
        self.metric = metric
        self._best: tuple[float, int] | None = None
        self._scores = ""
        self._drawn = -BETWEEN_DRAWINGS
        self._live: Any = None
        self._console = rich.console.Console() if console is None else console
        if not self._is_seen():
            return
        progress = rich.progress
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            auto_refresh=False,
        )
        self._task = self._bar.add_task(title, total=total)
        self._live = rich.live.Live(
            get_renderable=self._lines,
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        # Whoever interrupts the training gets the cursor back.
        self._console.show_cursor(True)

    def show(self, done: int, scores: Sequence[Score]) -> None:
        """Rounds that are done, and every score of the last one."""
        if self._live is None:
            return
        wanted = self.metric or (scores[-1].metric if scores else "")
        chosen = [x for x in scores if x.metric == wanted]
        if chosen:
            last = chosen[-1]
            better = (
                self._best is None
                or (last.value > self._best[0] and last.greater_is_better)
                or (last.value < self._best[0] and not last.greater_is_better)
            )
            self._best = (last.value, done) if better or self._best is None else self._best
            values = " · ".join(f"{x.data} {x.value:.5g}" for x in chosen)
            best = f"best {self._best[0]:.5g} in round {self._best[1]}"
            self._scores = f"{wanted}: {values} · {best}"
        self._bar.update(self._task, completed=done)
        if time.monotonic() - self._drawn > BETWEEN_DRAWINGS:
            self._live.refresh()
            self._drawn = time.monotonic()

    def close(self) -> None:
        """The last state stays in sight."""
        if self._live is None:
            return
        # Stopped early: what is left is no longer to come.
        self._bar.update(self._task, total=self._bar.tasks[0].completed)
        live, self._live = self._live, None
        live.refresh()
        live.stop()

    def _is_seen(self) -> bool:
        console = self._console
        if console.is_jupyter:
            # Without widgets a notebook would get a warning a round.
            return find_spec("ipywidgets") is not None
        return bool(console.is_terminal and not console.is_dumb_terminal)

    def _lines(self) -> Any:
        rich = import_rich()
        lines = [self._bar, rich.text.Text(self._scores, no_wrap=True, overflow="ellipsis")]
        if self._live is not None and not self._console.is_jupyter:
            # The cursor waits on a line of its own for what others print.
            lines.append(rich.text.Text(""))
        return rich.console.Group(*lines)


def import_rich() -> Any:
    """The package rich, with the parts that are drawn with."""
    try:
        import rich.console
        import rich.live
        import rich.progress
        import rich.text
    except ImportError as error:
        raise ImportError('Progress needs rich: pip install "gbobjectives[progress]"') from error
    return rich
