"""How exact the derivatives are, and how often a leaf's step raises the loss.

    python benchmarks/precision.py              100,000 random leaves a rule; half an hour
    python benchmarks/precision.py --leaves N   fewer
    python benchmarks/precision.py --only TEXT  losses with that in their name

Table 1 compares gradient and Hessian with mpmath at marked points: the largest relative error
in both dtypes, and whether everything is finite for raw predictions up to 1e30. Table 2 takes
full Newton steps (eta = 1, lambda = 0) of random leaves of 1 to 50 rows and counts those that
end with a higher loss; for losses whose rows see each other, random trees. A leaf without
curvature makes no step, and so does not rise.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gbobjectives.testing import checks, leaf_steps
from gbobjectives.testing.samples import Case
from tests.instances import INSTANCES, Instance, derivative_errors


def precision_table(instances: list[Instance]) -> None:
    print("Largest relative error against mpmath\n")
    print("| loss | gradient f64 | Hessian f64 | gradient f32 | Hessian f32 | finite to 1e30 |")
    print("|---|---|---|---|---|---|")
    for instance in instances:
        errors = [e for d in (np.float64, np.float32) for e in derivative_errors(instance, d)]
        finite = not list(checks.finite(Case.of(instance.loss, None, 0)))
        cells = " | ".join(f"{e:.1e}" if e else "exact" for e in errors)
        print(f"| {instance.id} | {cells} | {'yes' if finite else 'NO'} |", flush=True)


def leaf_table(instances: list[Instance], n_leaves: int) -> None:
    print(f"\nShare of {n_leaves:,} random leaves whose full step raises the loss\n")
    print("| loss | curvature | formula | guarantee | rises |")
    print("|---|---|---|---|---|")
    for instance in instances:
        loss = instance.resolved()
        # Rules that are the same number are one row.
        rows: dict[tuple[str, str], list[str]] = {}
        for name, rule in loss.rules.items():
            formula = "h" if loss.convex and rule.formula == "abs(h)" else rule.formula
            rows.setdefault((formula, rule.guarantee), []).append(name)
        for (formula, guarantee), names in rows.items():
            rises = leaf_steps(loss, names[0], n_leaves, eta=1.0, reg_lambda=0.0)
            share = f"{rises / n_leaves:.3%}" if rises else "0"
            cells = (instance.id, ", ".join(names), formula.replace("|", "\\|"), guarantee, share)
            print(f"| {' | '.join(cells)} |", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--leaves", type=int, default=100_000, help="random leaves a rule")
    parser.add_argument("--only", default="", metavar="TEXT", help="losses named like this")
    options = parser.parse_args(argv)
    instances = [x for x in INSTANCES if options.only in x.id]
    precision_table(instances)
    leaf_table(instances, options.leaves)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
