"""Losses that see more than a row: what they reach, and what they cost.

``--only ranking``: NDCG@10 of ours and of the built-ins, with early stopping on queries held
back for it; time of a gradient as a multiple of LightGBM's lambdarank; one large group.
``--only overlap``: F1 of Dice and others beside log loss and focal loss where positives are rare.
Run from the root of a checkout:
``python benchmarks/groups.py [--only NAME] [--rows N] [--rounds N]``.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost

import gbobjectives as gbo

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
NDCG10 = gbo.LambdaNDCGLoss(truncation=10)


def median_seconds(function: Callable[[], Any], repeats: int = 3) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


# ---- ranking -----------------------------------------------------------------------------------

Part = tuple[Any, Any, Any]

RANKING = (
    gbo.MarginRankingLoss(),
    gbo.PairwiseLogisticLoss(),
    gbo.LambdaNDCGLoss(),
    gbo.LambdaNDCGLoss(truncation=10),
    gbo.ListNetLoss(),
    gbo.XENDCGLoss(),
)
BUILT_IN = {
    "lightgbm": ("lambdarank", "rank_xendcg"),
    "xgboost": ("rank:pairwise", "rank:ndcg"),
}
XGB = {"max_depth": 4, "eta": 0.1, "nthread": 1, "disable_default_eval_metric": True}
LGB = {"num_leaves": 15, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1}


def generated(n_queries: int, seed: int) -> Part:
    """Features, grades 0 to 4 (half of them 0), and sizes of queries of about 40 rows."""
    rng = np.random.default_rng(seed)
    sizes = np.maximum(rng.poisson(40, n_queries), 1)
    n = int(sizes.sum())
    x = rng.normal(size=(n, 10)).astype(np.float32)
    level = np.repeat(rng.normal(size=n_queries), sizes)
    signal = x[:, 0] + x[:, 1] * x[:, 2] + np.abs(x[:, 3]) + level + rng.normal(size=n)
    return x, np.digitize(signal, np.quantile(signal, [0.5, 0.75, 0.9, 0.97])), sizes


def recorded(path: Path) -> tuple[Part, Part] | None:
    """Training and test part of LightGBM's example, where it can be read."""
    try:
        import pandas as pd

        table = pd.read_parquet(path)
    except (ImportError, OSError) as error:
        print(f"{path.name} is left out: {str(error).splitlines()[0]}")
        return None
    features = [c for c in table if c not in ("group", "split") and not c.startswith("target")]

    def part(rows: Any) -> Part:
        x, y = rows[features].to_numpy(np.float32), rows["target"].to_numpy(np.float32)
        return x, y, rows.groupby("group", sort=False).size().to_numpy()

    train = table["split"] == "train"
    return part(table[train]), part(table[~train])


def split(part: Part) -> tuple[Part, Part]:
    """The first 80 % of the queries, and the others."""
    x, y, sizes = part
    k = max(1, len(sizes) * 4 // 5)
    n = int(sizes[:k].sum())
    return (x[:n], y[:n], sizes[:k]), (x[n:], y[n:], sizes[k:])


def ndcg10(library: str, objective: Any, train: Part, test: Part, rounds: int) -> float:
    """NDCG@10 on the test part of a loss of ours, or of a built-in by its name."""
    fit, watch = split(train)
    x, y, sizes = test
    patience = max(1, rounds // 8)
    named = isinstance(objective, str)
    if library == "xgboost":
        dtrain, dwatch, dtest = (
            xgboost.DMatrix(x, y, qid=np.repeat(np.arange(len(s)), s))
            for x, y, s in (fit, watch, test)
        )
        model = xgboost.train(
            XGB | ({"objective": objective} if named else {"base_score": 0.0}),
            dtrain,
            rounds,
            obj=None if named else gbo.xgb.objective(objective),
            custom_metric=gbo.xgb.metric(NDCG10),
            evals=[(dwatch, "watch")],
            early_stopping_rounds=patience,
            verbose_eval=False,
        )
        best = (0, model.best_iteration + 1)
        scores = model.predict(dtest, output_margin=True, iteration_range=best)
    else:
        dtrain = lightgbm.Dataset(fit[0], fit[1], group=fit[2])
        model = lightgbm.train(
            LGB
            | {"metric": "None", "objective": objective if named else gbo.lgb.objective(objective)},
            dtrain,
            rounds,
            valid_sets=[lightgbm.Dataset(watch[0], watch[1], group=watch[2], reference=dtrain)],
            feval=gbo.lgb.metric(NDCG10),
            callbacks=[lightgbm.early_stopping(patience, verbose=False)],
        )
        scores = model.predict(x, raw_score=True)
    return 1 - NDCG10.metric_value(y, scores, group=sizes)


def ndcg_table(n_queries: int, rounds: int, seeds: int = 3) -> None:
    """NDCG@10 of every loss and built-in, in both libraries."""
    sets = {
        f"generated ({seeds} sets)": [
            (generated(n_queries, s), generated(n_queries, 1000 + s)) for s in range(seeds)
        ]
    }
    example = recorded(SHARED / "lgb_lambdarank.parquet")
    if example is not None:
        sets["lgb_lambdarank"] = [example]
    print(f"{'NDCG@10':42} " + " ".join(f"{name:>22}" for name in sets))
    for library, names in BUILT_IN.items():
        for objective in (*names, *RANKING):
            row = [
                np.mean([ndcg10(library, objective, *parts, rounds) for parts in several])
                for several in sets.values()
            ]
            print(f"{library:9} {objective!s:32} " + " ".join(f"{x:22.4f}" for x in row))


def lambdarank_seconds(x: Any, y: Any, sizes: Any, rounds: int, **parameters: Any) -> float:
    """Time of LightGBM's own gradient: a round, less a round whose gradient costs nothing."""
    given = {"max_bin": 15, "verbosity": -1}
    data = lightgbm.Dataset(x, y, group=sizes, params=given).construct()
    ready = np.random.default_rng(0).normal(size=len(y)).astype(np.float32), np.ones(len(y), "f4")
    base = given | {"num_threads": 1, "num_leaves": 2, "metric": "None"}

    def round_of(**objective: Any) -> float:
        few, many = (
            median_seconds(lambda k=k: lightgbm.train(base | objective, data, k))
            for k in (1, 1 + rounds)
        )
        return (many - few) / rounds

    free = round_of(objective=lambda scores, dataset: ready)
    return round_of(objective="lambdarank", **parameters) - free


def gradient_times(n: int, rounds: int = 5) -> None:
    """Time of gradient and curvature on one thread, and as a multiple of LightGBM's."""
    rng = np.random.default_rng(0)
    sizes = np.full(max(1, n // 100), 100)
    n = int(sizes.sum())
    y, f = rng.integers(0, 5, n).astype(np.float32), rng.normal(size=n)
    x = (f + rng.normal(size=n)).astype(np.float32)[:, None]
    theirs = lambdarank_seconds(x, y, sizes, rounds)
    all_pairs = lambdarank_seconds(x, y, sizes, rounds, lambdarank_truncation_level=100)
    print(f"\n{n} rows in {len(sizes)} groups, one thread: gradient and curvature, ms")
    print(f"{'LightGBM lambdarank (truncation 30)':42} {1e3 * theirs:8.1f}")
    print(f"{'LightGBM lambdarank (all pairs)':42} {1e3 * all_pairs:8.1f}")
    for loss in (*RANKING[:3], gbo.LambdaNDCGLoss(truncation=30), *RANKING[3:]):
        objective = gbo.Objective(loss, n_threads=1)
        ours = median_seconds(lambda o=objective: o.gradient_hessian(y, f, None, sizes))
        print(f"{loss!s:42} {1e3 * ours:8.1f}  {ours / theirs:5.1f} times lambdarank's")


def large_group(n: int) -> None:
    """Time and peak memory of one group."""
    rng = np.random.default_rng(0)
    y, f = rng.integers(0, 5, n).astype(np.float32), rng.normal(size=n)
    print(f"\none group of {n} rows (all pairs as float64: {8e-9 * n * n:.2g} GB)")
    for loss in RANKING:
        objective = gbo.Objective(loss, n_threads=1)
        tracemalloc.start()
        start = time.perf_counter()
        objective.gradient_hessian(y, f)
        seconds = time.perf_counter() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"{loss!s:42} {seconds:8.2f} s  {peak / 1e6:8.1f} MB")


def ranking(options: argparse.Namespace) -> None:
    """What ranking losses reach and cost."""
    ndcg_table(n_queries=max(10, options.rows // 4000), rounds=options.rounds)
    gradient_times(options.rows)
    large_group(options.rows // 10)


# ---- overlap -----------------------------------------------------------------------------------

OVERLAP = (
    gbo.LogLoss(),
    gbo.ClassBalanced(gbo.LogLoss(), 0.9999),
    gbo.FocalLoss(gamma=2.0, alpha=0.25),
    gbo.FocalLoss(gamma=2.0, alpha=0.75),
    gbo.DiceLoss(),
    gbo.DiceLoss(denominator="squares"),
    gbo.TverskyLoss(alpha=0.3, beta=0.7),
    gbo.SelfAdjustingDiceLoss(),
    gbo.FocalDiceLoss(),
    gbo.LogLoss() + gbo.DiceLoss(),
    gbo.GradientHarmonizedLoss(),
)


def rare_positives(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Some 3 % positives, not all of which can be told."""
    x = rng.normal(size=(n, 10))
    score = 2 * x[:, 0] + x[:, 1] * x[:, 2] + np.abs(x[:, 3]) - 6.5
    return x, (rng.random(n) < 1 / (1 + np.exp(-score))).astype(float)


def f1(y: Any, called: Any) -> float:
    return float(2 * (y * called).sum() / max(y.sum() + called.sum(), 1))


def probabilities(library: str, loss: Any, data: tuple[Any, Any], rows: Any, rounds: int) -> Any:
    """Of a model with the libraries' default settings but for the rate, 0.1."""
    if library == "xgboost":
        dtrain = xgboost.DMatrix(*data)
        model = gbo.xgb.train({"eta": 0.1, "nthread": 1}, dtrain, rounds, loss=loss)
        return model.predict(xgboost.DMatrix(rows))
    params = {"num_threads": 1, "verbosity": -1}
    return gbo.lgb.train(params, lightgbm.Dataset(*data), rounds, loss=loss).predict(rows)


def overlap(options: argparse.Namespace) -> None:
    """F1 where positives are rare: called from 1/2, and from a threshold.

    The threshold is chosen on one half of the test rows, and all is judged on the other.
    """
    n, rng = options.rows // 50, np.random.default_rng(0)
    data, (x, y) = rare_positives(n, rng), rare_positives(2 * n, rng)
    print(f"\nF1, {n} rows, {100 * data[1].mean():.1f} % positives")
    print(f"{'':62}{'xgboost':>18}{'lightgbm':>18}\n{'':62}" + f"{'at 1/2':>9}{'at best':>9}" * 2)
    for loss in OVERLAP:
        scores = []
        for library in ("xgboost", "lightgbm"):
            p = probabilities(library, loss, data, x, options.rounds)
            grid = np.unique(np.quantile(p[:n], np.linspace(0.8, 1, 200)))
            best = grid[np.argmax([f1(y[:n], p[:n] >= c) for c in grid])]
            scores += [f1(y[n:], p[n:] >= c) for c in (0.5, best)]
        name = repr(loss).replace("Loss(", "(").replace("label_smoothing=0.0, pos_weight=1.0", "")
        print(f"{name:62.62}" + "".join(f"{score:9.3f}" for score in scores))


SECTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "ranking": ranking,
    "overlap": overlap,
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(SECTIONS))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args(argv)
    print(f"xgboost {xgboost.__version__}, lightgbm {lightgbm.__version__}")
    for name, section in SECTIONS.items():
        if options.only in (None, name):
            section(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
