"""What a custom objective adds to training: ours, built-in, naive NumPy, and none at all.

Synthetic rows of 28 features. "null" is the library with an objective that only hands back
arrays, those that ours gave round by round, so that it grows the same trees; "naive" is the
objective as people write it in NumPy. Ours is `gbobjectives.xgb.train` or `gbobjectives.lgb.train`
as a whole: checks, intercept and model text included. Contenders train in turn; a ratio, of
seconds by the clock and of CPU seconds of all threads, is the median of those within a repeat.

``--parts``: ``losses`` (log loss with the second derivative, which is the built-in's mathematics;
focal loss; log-cosh with its safe curvature), ``rows``, ``classes`` and ``threads`` (log loss or
softmax as work grows). Run from the root of a checkout: ``python benchmarks/training.py
[--parts NAME ...] [--libraries NAME ...] [--rows N] [--rounds N] [--repeats N] [--grown-rows N ...]
[--grown-repeats N] [--classes K ...] [--threads N ...] [--write]``.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import product
from typing import Any

import _naive as naive
import lightgbm
import numpy as np
import xgboost
from _measuring import in_turn, median_ratio, processor, table
from results import versions, write_section

import gbobjectives as gbo

FEATURES = 28
PARTS = ("losses", "rows", "classes", "threads")
CHECKED_ROUNDS = 3
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Recording(gbo.Objective):
    """An objective that keeps all that it hands over."""

    pairs: list[Pair] = field(default_factory=list, compare=False)

    def gradient_hessian(self, *arguments: Any, **named: Any) -> Pair:
        """What the objective gives, kept."""
        self.pairs.append(super().gradient_hessian(*arguments, **named))
        return self.pairs[-1]

    def __deepcopy__(self, memo: Any) -> "Recording":
        # LightGBM trains with a copy of its parameters, which would keep the pairs to itself.
        return self


@dataclass(frozen=True)
class Work:
    """One training: a library, a loss, and how much there is to do."""

    library: str
    loss: str
    rows: int
    threads: int
    classes: int = 1

    def __str__(self) -> str:
        classes = f", {self.classes} classes" if self.classes > 1 else ""
        rows = f"{self.rows:,} rows{classes}, {self.threads} thread{'s' * (self.threads > 1)}"
        return f"{self.library}, {self.loss}, {rows}"

    @property
    def objective(self) -> gbo.Objective:
        """Ours; where there is a built-in, with its mathematics."""
        bound = {"XGBoost": "gershgorin", "LightGBM": "friedman"}[self.library]
        loss, curvature, scale = {
            "log loss": (gbo.LogLoss(), "exact", None),
            "focal": (gbo.FocalLoss(gamma=naive.GAMMA, alpha=naive.ALPHA), "auto", "auto"),
            "log-cosh safe": (gbo.LogCoshLoss(), "safe", "auto"),
            "softmax": (gbo.CrossEntropyLoss(max(2, self.classes)), bound, None),
        }[self.loss]
        return gbo.Objective(loss, curvature, scale, n_threads=self.threads)

    @property
    def built_in(self) -> dict[str, Any]:
        """Parameters of the built-in objective, none where there is no such."""
        name = {
            ("XGBoost", "log loss"): "binary:logistic",
            ("LightGBM", "log loss"): "binary",
            ("XGBoost", "softmax"): "multi:softprob",
            ("LightGBM", "softmax"): "multiclass",
        }.get((self.library, self.loss))
        return {"objective": name} | self.outputs if name else {}

    @property
    def outputs(self) -> dict[str, int]:
        """Parameters for several outputs."""
        return {"num_class": self.classes} if self.classes > 1 else {}

    @property
    def formula(self) -> Callable[[Any, Any], Pair] | None:
        """Gradient and curvature in plain NumPy."""
        formulas = {"log loss": log_loss, "focal": naive.focal, "log-cosh safe": naive.log_cosh}
        return formulas.get(self.loss)


def log_loss(y: Any, f: Any) -> Pair:
    """As the tutorials of both libraries have it."""
    p = 1 / (1 + np.exp(-f))
    return p - y, p * (1 - p)


@lru_cache(maxsize=1)
def sample(loss: str, n: int, classes: int) -> tuple[Any, Any]:
    """Features and labels of that kind, of which the features tell about half."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, FEATURES)).astype(np.float32)
    if classes > 1:
        scores = x @ rng.normal(size=(FEATURES, classes)).astype(np.float32) / 2
        return x, (scores + rng.gumbel(size=scores.shape)).argmax(axis=1).astype(np.float32)
    signal = x[:, 0] + x[:, 1] * x[:, 2] + np.sin(2 * x[:, 3])
    noise = rng.standard_t(3, n) if loss == "log-cosh safe" else rng.logistic(size=n)
    y = signal + noise
    return x, (y if loss == "log-cosh safe" else y > 0).astype(np.float32)


# ---- contenders --------------------------------------------------------------------------------

Train = Callable[[Any], Any]


def xgboost_of(work: Work, x: Any, y: Any, rounds: int) -> tuple[Train, Train, Train]:
    """Trainings of hist: by an Objective of ours, built-in parameters, a function."""
    data = xgboost.DMatrix(x, y, nthread=work.threads)
    params = {"tree_method": "hist", "nthread": work.threads, "verbosity": 0}
    custom = params | work.outputs | {"base_score": 0.0, "disable_default_eval_metric": True}
    return (
        lambda objective: gbo.xgb.train(params, data, rounds, loss=objective),
        lambda built_in: xgboost.train(params | built_in, data, rounds),
        lambda function: xgboost.train(custom, data, rounds, obj=function),
    )


def lightgbm_of(work: Work, x: Any, y: Any, rounds: int) -> tuple[Train, Train, Train]:
    """The same of LightGBM."""
    params = {"num_threads": work.threads, "verbosity": -1, "metric": "None"}
    data = lightgbm.Dataset(x, y, params=params).construct()
    custom = params | work.outputs
    return (
        lambda objective: gbo.lgb.train(params, data, rounds, loss=objective),
        lambda built_in: lightgbm.train(params | built_in, data, rounds),
        lambda function: lightgbm.train(custom | {"objective": function}, data, rounds),
    )


LIBRARIES = {"XGBoost": xgboost_of, "LightGBM": lightgbm_of}


def contenders_of(work: Work, rounds: int) -> dict[str, Callable[[], Any]]:
    """Trainings by name; ours and null always."""
    rows = sample(work.loss, work.rows, work.classes)
    ours, built_in, custom = LIBRARIES[work.library](work, *rows, rounds)
    it = work.objective
    recording = Recording(it.loss, it.curvature, it.scale, it.n_threads)
    ours(recording)

    def null() -> Any:
        rest = iter(recording.pairs)
        return custom(lambda scores, data: next(rest))

    made = {"ours": partial(ours, it), "null": null}
    if work.built_in:
        made["built-in"] = partial(built_in, work.built_in)
    if formula := work.formula:
        made["naive"] = partial(custom, lambda scores, data: formula(data.get_label(), scores))
    return made


# ---- measuring and showing ---------------------------------------------------------------------


def same_trees(work: Work, contenders: dict[str, Callable[[], Any]]) -> None:
    """Refuse to compare trainings that do not grow the same trees."""
    x, _ = sample(work.loss, work.rows, work.classes)
    x = x[:1000]

    def raw(model: Any) -> Any:
        if work.library == "XGBoost":
            return model.predict(xgboost.DMatrix(x), output_margin=True)
        return model.predict(x, raw_score=True)

    ours = raw(contenders["ours"]())
    # The null objective starts elsewhere, and softmax is a matter of differences.
    for name, allowed in {"null": 1e-4, "built-in": 0.1}.items():
        if name in contenders:
            difference = raw(contenders[name]()) - ours
            difference = difference - difference.mean(axis=0)
            if np.median(np.abs(difference)) > allowed:
                raise AssertionError(f"{work}: {name} grows other trees, {difference}")


COMPARED = (("ours", "null"), ("ours", "built-in"), ("naive", "null"))
COLUMNS = (
    *("training", "ours", "null"),
    *(f"{above} / {below}, {clock}" for above, below in COMPARED for clock in ("clock", "CPU")),
)


def measured(work: Work, rounds: int, repeats: int) -> list[str]:
    """One line of the table."""
    # Of many classes and rounds the trees of the built-in part company by rounding alone.
    same_trees(work, contenders_of(work, min(rounds, CHECKED_ROUNDS)))
    contenders = contenders_of(work, rounds)
    taken = in_turn(contenders, repeats)
    cells = [str(work)]
    for name in ("ours", "null"):
        wall = np.median([x.wall for x in taken[name]])
        cells.append(f"{wall * 1e9 / work.rows / work.classes / rounds:.1f}")
    for (above, below), clock in product(COMPARED, ("wall", "cpu")):
        if above not in taken or below not in taken:
            cells.append("-")
            continue
        ours, theirs = ([getattr(x, clock) for x in taken[name]] for name in (above, below))
        cells.append(f"{median_ratio(ours, theirs):.3f}")
    return cells


def works(options: argparse.Namespace) -> Iterator[tuple[Work, int]]:
    """What is to be measured, and how often."""
    most = max(options.threads)
    for library in options.libraries:
        log = Work(library, "log loss", options.rows, most)
        if "losses" in options.parts:
            for loss in ("log loss", "focal", "log-cosh safe"):
                yield replace(log, loss=loss), options.repeats
        if "threads" in options.parts:
            for threads in options.threads:
                if threads != most or "losses" not in options.parts:
                    yield replace(log, threads=threads), options.repeats
        if "rows" in options.parts:
            for rows in options.grown_rows:
                yield replace(log, rows=rows), options.grown_repeats
        if "classes" in options.parts:
            for classes in options.classes:
                rows = max(1, options.rows // 10)
                softmax = Work(library, "softmax", rows, most, classes)
                yield softmax, options.grown_repeats


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=7)
    grown = [10**5, 10**6, 5 * 10**6]
    parser.add_argument("--grown-rows", nargs="+", type=int, default=grown)
    parser.add_argument("--grown-repeats", type=int, default=3)
    parser.add_argument("--classes", nargs="+", type=int, default=[3, 10, 30, 100])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    lines = []
    for work, repeats in works(options):
        lines.append(measured(work, options.rounds, repeats))
        if sys.stderr.isatty():
            print("  ".join(lines[-1]), file=sys.stderr)
    text = f"""## Training

{versions()} {processor()}.

{options.rounds} rounds, {FEATURES} features, default trees. Columns "ours" and "null": ns a row,
class and round by the clock. Aims: ours / null at most 1.05, ours / built-in at most 1.10.

{table(COLUMNS, lines)}"""
    print(text)
    if options.write:
        write_section("training", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
