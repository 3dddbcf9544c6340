"""What curvature and losses do on real data, beside the built-in objectives and other packages.

    python benchmarks/accuracy.py                         every fit that has not been run
    python benchmarks/accuracy.py --only binary poisson   some of the tasks
    python benchmarks/accuracy.py --redo "Huber.* auto"   once more where a default has changed
    python benchmarks/accuracy.py --write                 tables of what was run, into RESULTS.md

The protocol, fixed before the first fit:

- For each of five seeds (20 of ranking and of times to an event, whose sets say little) a set is
  drawn and split anew at random: 60 % to train, 20 % to stop by, 20 % to test, in equal shares of
  the classes; rows that belong together stay together, the rows of a query in random order, as
  built-ins rank ties by it. At most 12,000 rows train (7,200 of nsl_kdd, 6,000 of flights_carrier
  and of the sets of robust regression and quantiles, 3,000 of letter, 196,000 of flights_days).
  Categories are integer codes.
- Library defaults but for the learning rate; one thread; nothing is tuned but the number of
  rounds: a score of the validation part, the same for all methods of a task, ends the training
  once it has not fallen for 30 rounds, and the best round is kept. At most 1000 rounds are made,
  300 of several classes; how often that was reached is said.
- The test part is looked at once a fit. Figures are medians over the seeds, with the range; in
  the first table geometric means over sets and seeds.
- Ratios are paired by seed: the score of a method over that of a built-in, upside down where more
  is better, so that less than 1 is better than the built-in. A cell (set, library, learning rate)
  is won or lost if the median ratio is more than 0.5 % from 1.
- The best built-in of a cell is chosen by its median on the test part: with hindsight, and in
  its favour. What is trained by ours starts from the best constant, as the built-ins do; other
  packages are used as their READMEs say, which is from 0.
- A training has diverged if its last validation loss is more than twice its best.

Each fit adds a line to the file --cache, and is not run again if it is there: a run can be
stopped and continued. Data that is not here is left out with a message.
"""

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

# Idle OpenMP threads that spin take the core from whoever shares it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm
import numpy as np
import xgboost
from _accuracy_tables import Records, sections
from _datasets import SETS, Missing, load, split
from _fitting import FITTERS, PATIENCE, Method
from _tasks import TASKS, Task
from results import versions, write_section

CACHE = Path(tempfile.gettempdir()) / "gbobjectives-accuracy.jsonl"
#: Most rows, of which 60 % train; a tree for each class makes rounds of many classes dear.
ROWS = 20_000
ROWS_OF = {
    "letter": 5_000,
    "flights_carrier": 10_000,
    "nsl_kdd": 12_000,
    "flights_days": 400_000,
} | dict.fromkeys(
    ("flights_delay", "california_housing", "vic_electricity", "support2_charges"), 10_000
)

#: Most rounds of one output, and of several.
ROUNDS = {False: 1000, True: 300}

#: What is raised where a training fails: a result, not an error of this script.
FAILURES = (lightgbm.basic.LightGBMError, xgboost.core.XGBoostError, FloatingPointError)


class Cell(NamedTuple):
    """One method on one draw of a set: what a line of the cache is found by."""

    stop_by: str
    data: str
    library: str
    eta: float
    seed: int
    rows: int
    method: str


def run(task: Task, cell: Cell, method: Method, parts: list[Any]) -> dict[str, Any]:
    """Train, and judge on the test part."""
    train, valid, test = parts
    stop_by = task.stop_by if isinstance(task.stop_by, tuple) else (task.stop_by,)
    most = ROUNDS[SETS[cell.data][0] == "multiclass"]
    start = time.perf_counter()
    try:
        fits = [
            FITTERS[cell.library](member, train, valid, score, cell.eta, most)
            for member, score in zip(method.members or (method,), stop_by, strict=True)
        ]
        predictions = [predict(test) for fit in fits for predict in (fit.raw, fit.response)]
        if not all(np.isfinite(p).all() for p in predictions):
            raise FloatingPointError("predictions that are not finite")
        scores = task.judge(fits, train, valid, test)
    except FAILURES as error:
        return cell._asdict() | {"error": str(error).splitlines()[0]}
    histories = [fit.history for fit in fits]
    best = [int(np.argmin(history)) for history in histories]
    return cell._asdict() | {
        "scores": scores,
        "rounds": [i + 1 for i in best],
        "capped": any(len(h) - i - 1 < PATIENCE for h, i in zip(histories, best, strict=True)),
        # Two infinite losses are no number, and no better than one.
        "growth": max(
            h[-1] / h[i] if np.isfinite(h[i]) else np.inf
            for h, i in zip(histories, best, strict=True)
        ),
        "history": [[float(f"{x:.6g}") for x in history] for history in histories],
        "seconds": round(time.perf_counter() - start, 2),
    }


def most_rows(name: str, rows: int | None) -> int:
    most = ROWS_OF.get(name, ROWS)
    return most if rows is None else min(rows, most)


def cells(
    task: Task, seeds: int | None, rows: int | None, known: set[Cell]
) -> Iterator[tuple[Cell, Method, list[Any]]]:
    """What remains of a task; all sets of a seed before those of the next."""
    for seed in range(seeds or task.seeds):
        for name in task.sets:
            n = most_rows(name, rows)
            try:
                parts = split(load(name), SETS[name][0], n, seed)
            except Missing as error:
                if seed == 0:
                    print(f"{name} is left out: {error}", flush=True)
                continue
            for library in FITTERS:
                for eta in task.etas:
                    for method in task.methods(library, parts[0]):
                        cell = Cell(task.stopped_by, name, library, eta, seed, n, method.name)
                        if cell not in known:
                            yield cell, method, parts


def read(path: Path) -> dict[Cell, dict[str, Any]]:
    """Records by cell; of two, the later."""
    if not path.exists():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {Cell(*(record[name] for name in Cell._fields)): record for record in records}


def written(known: dict[Cell, dict[str, Any]], rows: int | None) -> dict[str, str]:
    """Sections of RESULTS.md: the protocol, and tables of what was run on so many rows."""
    records = [r for cell, r in known.items() if cell.rows == most_rows(cell.data, rows)]
    protocol = (__doc__ or "").partition("first fit:\n\n")[2].partition("\n\n")[0]
    others = ("scikit-learn", "jaxboost", "bokbokbok", "gbdtcbl")
    made = {"accuracy": f"## Accuracy\n\n{protocol}"}
    return made | sections(Records(records), versions(*others))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=sorted(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, help="as many draws of each set")
    parser.add_argument("--rows", type=int, help=f"most rows of a set; {ROWS} by default")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), help="some of the sets")
    parser.add_argument("--cache", type=Path, default=CACHE, help="a line for every fit")
    parser.add_argument("--redo", metavar="REGEX", help="run methods of such names again")
    parser.add_argument("--write", action="store_true", help="run nothing; write RESULTS.md")
    options = parser.parse_args(argv)
    if options.write:
        for name, text in written(read(options.cache), options.rows).items():
            write_section(name, text)
        return 0
    known = read(options.cache)
    done = {c for c in known if not (options.redo and re.search(options.redo, c.method))}
    with options.cache.open("a", encoding="utf-8") as file:
        for name in options.only:
            task = TASKS[name]
            for cell, method, parts in cells(task, options.seeds, options.rows, done):
                if options.sets and cell.data not in options.sets:
                    continue
                known[cell] = run(task, cell, method, parts)
                done.add(cell)
                file.write(json.dumps(known[cell]) + "\n")
                file.flush()
    print("\n\n".join(written(known, options.rows).values()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
