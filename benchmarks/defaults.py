"""Whether the defaults of residual losses are where they should be, beside leaves that are renewed.

    python benchmarks/defaults.py            the table, in about ten minutes
    python benchmarks/defaults.py --write    into RESULTS.md as well

Each loss is trained with its defaults and with one of them changed: half and twice the automatic
delta, no floor of the curvature, four times the floor of 5 %. What both libraries do instead for
the absolute error and for quantiles is to renew the leaves, by the quantile of the residuals.

Sets, parts, stopping and parameters are those of `accuracy.py`, at learning rate 0.1, and every
method stops and is judged by the absolute error or the pinball loss. A figure is the geometric
mean, over sets and seeds, of the score over that of the built-in with the same seed: of the
validation part at rounds 10, 30 and 100 (or the last, if that comes before), of the test part at
the best round. A set is won or lost if the median over the seeds is more than 0.5 % from the
loss with its defaults.
"""

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import _scores as scores
import numpy as np
from _datasets import Missing, load, split
from _fitting import FITTERS, Method, Score
from _measuring import table
from _tasks import REALS
from results import versions, write_section

import gbobjectives as gbo

SEEDS = 3
ROWS = 10_000
ROUNDS = 1000
ETA = 0.1
AT = (10, 30, 100)

#: Factor of the automatic delta, and floor of the curvature in shares of its mean.
VARIANTS: dict[str, dict[str, float]] = {
    "as it is": {},
    "half the delta": {"factor": 0.5},
    "twice the delta": {"factor": 2.0},
    "no floor": {"floor": 0.0},
    "floor of 20 %": {"floor": 0.2},
}


def changed(loss: gbo.ResidualLoss, factor: float = 1.0, floor: float | None = None) -> Any:
    """The loss with another factor of its automatic delta, or another floor."""
    cls = type(loss)
    rule = cls.rules["auto"]
    facts = {
        "__module__": __name__,
        "auto_delta": replace(cls.auto_delta, factor=factor * cls.auto_delta.factor),
        "rules": {"auto": rule if floor is None else replace(rule, relative_floor=floor)},
    }
    return type(cls.__name__, (cls,), facts)(
        **{f.name: getattr(loss, f.name) for f in fields(loss)}
    )


def losses() -> Iterator[tuple[gbo.ResidualLoss, Score, dict[str, dict[str, Any]]]]:
    """Loss, score, and the built-in beside it in each library."""
    absolute = {
        "XGBoost": {"objective": "reg:absoluteerror"},
        "LightGBM": {"objective": "regression_l1"},
    }
    for loss in (gbo.AbsoluteErrorLoss(), gbo.TukeyLoss(), gbo.HuberLoss()):
        yield loss, scores.mae, absolute
    for level in (0.05, 0.95):
        built_in = {
            "XGBoost": {"objective": "reg:quantileerror", "quantile_alpha": level},
            "LightGBM": {"objective": "quantile", "alpha": level},
        }
        yield gbo.QuantileLoss(level), scores.pinball(level), built_in


def figures(fit: Any, score: Score, test: Any) -> list[float]:
    """Validation score at some rounds, test score at the best, and that round."""
    best = int(np.argmin(fit.history))
    at = [fit.history[min(n, len(fit.history)) - 1] for n in AT]
    return [*at, score(test, fit.response(test)), best + 1.0]


def measure(sets: tuple[str, ...], seeds: int, rows: int, rounds: int) -> dict[Any, Any]:
    """Figures by loss, library, variant, set and seed."""
    found = {}
    for name in sets:
        for seed in range(seeds):
            train, valid, test = split(load(name), "regression", rows, seed)
            for loss, score, built_in in losses():
                methods = {v: Method(v, changed(loss, **c)) for v, c in VARIANTS.items()}
                for library, fitter in FITTERS.items():
                    methods["built-in"] = Method("built-in", params=built_in[library])
                    for variant, method in methods.items():
                        fit = fitter(method, train, valid, score, ETA, rounds)
                        key = repr(loss), library, variant, name, seed
                        found[key] = figures(fit, score, test)
            print(f"{name}, seed {seed}", flush=True)
    return found


def section(found: dict[Any, Any]) -> str:
    cells: dict[Any, dict[Any, Any]] = defaultdict(dict)
    for (loss, library, variant, name, seed), values in found.items():
        cells[loss, library, variant][name, seed] = np.array(values)
    body = []
    for (loss, library, variant), mine in cells.items():
        if variant == "built-in":
            continue
        beside, usual = (cells[loss, library, v] for v in ("built-in", "as it is"))
        ratios = np.array([mine[key] / beside[key] for key in mine])
        means = np.exp(np.log(ratios).mean(axis=0))
        body.append(
            [
                loss,
                library,
                variant,
                *(f"{x:.3f}" for x in means[:-1]),
                f"[{ratios[:, -2].min():.3f}, {ratios[:, -2].max():.3f}]",
                f"x {means[-1]:.2f}",
                "" if variant == "as it is" else verdicts(mine, usual),
            ]
        )
    head = [
        "loss", "library", "default changed", *(f"round {n}" for n in AT), "test, best round",
        "range", "rounds", "sets w/t/l",
    ]  # fmt: skip
    said = (__doc__ or "").partition("RESULTS.md as well\n\n")[2].strip()
    return "\n\n".join(["## Defaults", versions(), said, table(head, body)])


def verdicts(mine: dict[Any, Any], usual: dict[Any, Any]) -> str:
    """Sets won, tied and lost on the test part against the loss as it is."""
    by_set = defaultdict(list)
    for (name, seed), values in mine.items():
        by_set[name].append(values[-2] / usual[name, seed][-2])
    medians = [float(np.median(x)) for x in by_set.values()]
    won, lost = sum(x < 0.995 for x in medians), sum(x > 1.005 for x in medians)
    return f"{won}/{len(medians) - won - lost}/{lost}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=REALS, default=list(REALS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(argv)
    here = []
    for name in options.sets:
        try:
            load(name)
            here.append(name)
        except Missing as error:
            print(f"{name} is left out: {error}")
    if not here:
        return 0
    text = section(measure(tuple(here), options.seeds, options.rows, options.rounds))
    print(text)
    if options.write:
        write_section("defaults", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
