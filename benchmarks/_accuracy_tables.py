"""The tables of `accuracy.py`, from the lines of its cache."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from _measuring import table
from _scores import GREATER
from _tasks import SAME_LOSS, TASKS, Task

Record = dict[str, Any]

#: Medians of paired ratios within it of 1 are a tie.
TIE = 0.005

#: The last validation loss over the best from which on a training counts as diverged.
DIVERGED = 2.0

#: Rounds are counted to this multiple of the best validation score of a built-in.
TARGET = 1.02

LIBRARIES = ("XGBoost", "LightGBM")


class Records:
    """What was measured, by task, set, library, rate and method; a list of seeds each."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.cells: dict[tuple[Any, ...], dict[int, Record]] = defaultdict(dict)
        for record in records:
            self.cells[
                record["stop_by"], record["data"], record["library"], record["eta"],
                record["method"],
            ][record["seed"]] = record  # fmt: skip

    def of(self, task: Task, data: str, library: str, eta: float) -> dict[str, dict[int, Record]]:
        """Methods of the task that were run, in the order in which they ran."""
        where = (task.stopped_by, data, library, eta)
        wanted = task.names
        found = {key[4]: seeds for key, seeds in self.cells.items() if key[:4] == where}
        return {name: found[name] for name in found if name in wanted}

    def places(self, task: Task) -> list[tuple[str, str, float]]:
        """Sets, libraries and rates of which there is something."""
        return [
            (data, library, eta)
            for data in task.sets
            for library in LIBRARIES
            for eta in task.etas
            if self.of(task, data, library, eta)
        ]


def value(record: Record, score: str) -> float:
    """A score as a loss; that of a training that failed is infinite."""
    if "error" in record:
        return np.inf
    found = record["scores"][score]
    return 1 / max(found, 1e-9) if score in GREATER else found


def ratios(ours: dict[int, Record], theirs: dict[int, Record], score: str) -> np.ndarray:
    """Of the seeds that both have: under 1 is better, also where more is better."""
    pairs = [(value(ours[s], score), value(theirs[s], score)) for s in ours if s in theirs]
    return np.array([1.0 if a == b else a / b for a, b in pairs])


def verdict(paired: Sequence[float]) -> str:
    middle = np.median(paired)
    return "win" if middle < 1 - TIE else "loss" if middle > 1 + TIE else "tie"


def tally(verdicts: Iterable[str]) -> str:
    """Wins, ties and losses; "-" where nothing was compared."""
    listed = list(verdicts)
    counts = "/".join(str(listed.count(kind)) for kind in ("win", "tie", "loss"))
    return counts if listed else "-"


def number(x: float) -> str:
    """Four significant digits, without an exponent where it can be helped."""
    if x == 0 or not np.isfinite(x):
        return f"{x:g}"
    digits = max(0, 3 - int(np.floor(np.log10(abs(x)))))
    return f"{x:.{digits}f}" if 1e-5 < abs(x) < 1e7 else f"{x:.2e}"


def with_range(values: Sequence[float], middle: float, form: Any = number) -> str:
    return f"{form(middle)} [{form(np.min(values))}, {form(np.max(values))}]"


def ratio(x: float) -> str:
    return f"{x:.3f}" if x < 100 else f"{x:.3g}"


def rounds_of(seeds: dict[int, Record]) -> str:
    found = [np.mean(r["rounds"]) for r in seeds.values() if "error" not in r]
    return f"{np.median(found):.0f}" if found else "-"


def diverged(seeds: Iterable[Record]) -> str:
    """How many, of how many."""
    listed = list(seeds)
    return f"{sum('error' in r or r['growth'] > DIVERGED for r in listed)}/{len(listed)}"


# ---- the built-in's own loss -------------------------------------------------------------------


def curvature_of(methods: dict[str, Any], curvature: str) -> dict[int, Record] | None:
    return next((s for name, s in methods.items() if name.endswith(f" {curvature}")), None)


def front_table(records: Records) -> str:
    """Losses by library and learning rate, over all sets and seeds."""
    rows = []
    for task in (TASKS[name] for name in SAME_LOSS):
        for library in LIBRARIES:
            for eta in task.etas:
                row = _front_row(records, task, library, eta)
                rows += [[task.title, library, f"{eta:g}", *row]] if row else []
    columns = (
        "loss", "library", "eta", "fits", "auto / built-in", "sets w/t/l", "safe / built-in",
        "sets w/t/l", "rounds, auto", "rounds, safe", "diverged: built-in", "auto", "safe",
    )  # fmt: skip
    return table(columns, rows)


def _front_row(records: Records, task: Task, library: str, eta: float) -> list[str] | None:
    (score,) = task.shown
    paired: dict[str, list[np.ndarray]] = defaultdict(list)
    rounds: dict[str, list[float]] = defaultdict(list)
    seen: dict[str, list[Record]] = defaultdict(list)
    for data in task.sets:
        methods = records.of(task, data, library, eta)
        theirs = methods.get("built-in")
        if theirs is None:
            continue
        seen["built-in"] += theirs.values()
        for curvature in ("auto", "safe"):
            # Where the two are one rule, it was run once.
            ours = curvature_of(methods, curvature) or curvature_of(methods, "auto")
            if ours is None:
                continue
            paired[curvature].append(ratios(ours, theirs, score))
            seen[curvature] += ours.values()
            rounds[curvature] += [
                np.mean(ours[s]["rounds"]) / np.mean(theirs[s]["rounds"])
                for s in ours
                if s in theirs and "error" not in ours[s] and "error" not in theirs[s]
            ]
    if not paired["auto"]:
        return None
    row = [str(len(seen["built-in"]))]
    for curvature in ("auto", "safe"):
        pooled = np.concatenate(paired[curvature])
        row.append(with_range(pooled, float(np.exp(np.log(pooled).mean())), ratio))
        row.append(tally(map(verdict, paired[curvature])))
    row += [f"x {np.median(rounds[c]):.2f}" for c in ("auto", "safe")]
    return row + [diverged(seen[name]) for name in ("built-in", "auto", "safe")]


def same_loss_table(records: Records, task: Task) -> str:
    (score,) = task.shown
    rows = []
    for data, library, eta in records.places(task):
        methods = records.of(task, data, library, eta)
        theirs, auto = methods.get("built-in"), curvature_of(methods, "auto")
        safe = curvature_of(methods, "safe") or auto
        if not (theirs and auto and safe):
            continue
        cells = [ratios(ours, theirs, score) for ours in (auto, safe)]
        level = np.median([value(r, score) for r in theirs.values()])
        rows.append([
            data, library, f"{eta:g}", number(level),
            *(with_range(c, float(np.median(c)), ratio) for c in cells),
            *(rounds_of(seeds) for seeds in (theirs, auto, safe)),
            *(diverged(seeds.values()) for seeds in (theirs, auto, safe)),
        ])  # fmt: skip
    columns = (
        "set", "library", "eta", f"built-in {score}", "auto / built-in", "safe / built-in",
        "rounds: built-in", "auto", "safe", "diverged: built-in", "auto", "safe",
    )  # fmt: skip
    return table(columns, rows)


# ---- the other tasks ---------------------------------------------------------------------------


def best_built_in(methods: dict[str, dict[int, Record]], score: str) -> dict[int, Record] | None:
    """That of the lowest median on the test part: chosen with hindsight, in its favour."""
    built_in = [seeds for name, seeds in methods.items() if name.startswith("built-in")]
    middle = [np.median([value(r, score) for r in seeds.values()]) for seeds in built_in]
    return built_in[int(np.argmin(middle))] if built_in else None


def judged(task: Task) -> list[str]:
    """Scores by which methods are compared; others are only shown."""
    return [score for score in task.shown if score not in ("coverage", "crossing")]


def summary_table(records: Records, task: Task) -> str:
    """Wins, ties and losses of each method, over sets and rates, by library."""
    counted: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for data, library, eta in records.places(task):
        methods = records.of(task, data, library, eta)
        plain = methods.get(task.plain)
        for name, seeds in methods.items():
            for score in judged(task):
                best = best_built_in(methods, score)
                if best is not None:
                    counted[name, library][score].append(verdict(ratios(seeds, best, score)))
            if plain is not None:
                first = verdict(ratios(seeds, plain, judged(task)[0]))
                counted[name, library]["plain"].append(first)
    rows = [
        [name, library, *(tally(by[score]) for score in judged(task)), tally(by["plain"])]
        for library in LIBRARIES
        for (name, where), by in counted.items()
        if where == library
    ]
    scores = [f"{score}, best built-in" for score in judged(task)]
    return table(["method", "library", *scores, f"{judged(task)[0]}, {task.plain}"], rows)


def detail_table(records: Records, task: Task, data: str) -> str:
    """Medians and ranges of a set."""
    rows = []
    for library in LIBRARIES:
        by_rate = {eta: records.of(task, data, library, eta) for eta in task.etas}
        for name in dict.fromkeys(n for methods in by_rate.values() for n in methods):
            row = [name, library]
            for eta, methods in by_rate.items():
                row += _detail(methods.get(name), task, _targets(by_rate[eta]))
            rows.append(row)
    each = [*task.shown, "rounds", *(["to target"] if task.to_target else [])]
    columns = ["method", "library", *(f"{eta:g}: {what}" for eta in task.etas for what in each)]
    return table(columns, rows)


def _targets(methods: dict[str, dict[int, Record]]) -> dict[int, float]:
    """By seed, what is `TARGET` times the best validation score that a built-in reaches."""
    best: dict[int, float] = defaultdict(lambda: np.inf)
    for name, seeds in methods.items():
        if name.startswith("built-in"):
            for seed, record in seeds.items():
                lowest = min((min(h) for h in record.get("history", [])), default=np.inf)
                best[seed] = min(best[seed], TARGET * lowest)
    return best


def _detail(seeds: dict[int, Record] | None, task: Task, targets: dict[int, float]) -> list[str]:
    good = {s: r for s, r in (seeds or {}).items() if "error" not in r}
    if not good:
        return ["failed" if seeds else "-"] * (len(task.shown) + 1 + task.to_target)
    cells = []
    for score in task.shown:
        values = [r["scores"][score] for r in good.values()]
        cells.append(with_range(values, float(np.median(values))))
    cells.append(rounds_of(good))
    if task.to_target:
        reached = []
        for seed, record in good.items():
            under = np.flatnonzero(np.array(record["history"][0]) <= targets[seed])
            reached.append(under[0] + 1 if len(under) else np.inf)
        middle = np.median(reached)
        cells.append(f"{middle:.0f}" if np.isfinite(middle) else "never")
    return cells


def losses_of_ours(records: Records, task: Task) -> str:
    """Where a built-in is better than the plain loss of ours; said in words."""
    score, worse = judged(task)[0], []
    for data, library, eta in records.places(task):
        methods = records.of(task, data, library, eta)
        ours, best = methods.get(task.plain), best_built_in(methods, score)
        if ours is None or best is None or verdict(ratios(ours, best, score)) != "loss":
            continue
        by = float(np.median(ratios(ours, best, score)))
        name = next(n for n, seeds in methods.items() if seeds is best)
        worse.append(f"{data} ({library}, {eta:g}): {name}, {ratio(by)}")
    if not worse:
        return f"No built-in beats {task.plain} by {score}."
    return f"Where a built-in beats {task.plain} by {score}: " + "; ".join(worse) + "."


def caps(records: Records, task: Task) -> str:
    """How often the most rounds were reached."""
    reached: dict[bool, list[bool]] = defaultdict(list)
    failed: dict[str, int] = defaultdict(int)
    seen: set[int] = set()
    for place in records.places(task):
        for name, seeds in records.of(task, *place).items():
            seen |= seeds.keys()
            for record in seeds.values():
                if "error" in record:
                    failed[name] += 1
                else:
                    reached[name.startswith("built-in")].append(record["capped"])
    said = [
        f"{sum(reached[who])} of {len(reached[who])} fits of {what}"
        for who, what in ((True, "built-ins"), (False, "the others"))
    ]
    text = f"{len(seen)} seeds. The most rounds were reached by {said[0]} and {said[1]}."
    if failed:
        text += " Trainings that failed: " + ", ".join(f"{n} {k}" for n, k in failed.items()) + "."
    return text


def sections(records: Records, opening: str) -> dict[str, str]:
    """Tables of what there are records of; `opening` goes below the heading of each section."""
    made = {}
    front = [TASKS[name] for name in SAME_LOSS if records.places(TASKS[name])]
    if front:
        blocks = ["### The built-in's own loss, nothing but the curvature changed", opening]
        blocks += [front_table(records)]
        for task in front:
            blocks += [f"#### {task.title}", same_loss_table(records, task), caps(records, task)]
        made["own loss"] = "\n\n".join(blocks)
    for name, task in TASKS.items():
        if name in SAME_LOSS or not records.places(task):
            continue
        blocks = [f"### {task.title}", opening, task.said, summary_table(records, task)]
        blocks += [losses_of_ours(records, task), caps(records, task)]
        for data in dict.fromkeys(data for data, _, _ in records.places(task)):
            blocks += [f"#### {task.title}: {data}", detail_table(records, task, data)]
        made[name] = "\n\n".join(block for block in blocks if block)
    return made
