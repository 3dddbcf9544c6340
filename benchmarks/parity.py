"""Parity with the built-in objectives: largest difference of raw predictions after 50 rounds.

Each built-in that looks at single rows stands beside the loss and the curvature that are it; both
start at the same score, and nothing else may differ. Run from the root of a checkout:
``python benchmarks/parity.py [--rounds N]``.
"""

import argparse
import sys
from pathlib import Path

import lightgbm
import numpy as np
import xgboost

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.parity import CASES, DIFFERENT


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args(argv).rounds
    print(f"xgboost {xgboost.__version__}, lightgbm {lightgbm.__version__}, {rounds} rounds\n")
    print("| library | built-in | loss | curvature | largest difference | spread |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        ours, theirs = case.raw_predictions(rounds)
        cells = (case.library, case.name, repr(case.loss), str(case.curvature))
        difference = np.abs(ours - theirs).max()
        print(f"| {' | '.join(cells)} | {difference:.1e} | {theirs.std():.3f} |", flush=True)
    print("\nNot reproduced:")
    for name, reason in DIFFERENT.items():
        print(f"- {name}: {reason}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
