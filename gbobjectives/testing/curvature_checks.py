"""What every loss owes of its curvature: sign, and every guarantee that a rule names."""

import numpy as np

from gbobjectives.curvature import DESCENDING
from gbobjectives.testing.checks import Problems, worst
from gbobjectives.testing.leaves import leaf_steps
from gbobjectives.testing.samples import Case

LEAVES = 600


def convexity(case: Case) -> Problems:
    """A convex loss has no negative Hessian."""
    if not case.loss.convex:
        return
    for far in (False, True):
        y, f = case.rows(case.rng(), 300, far)
        group = case.groups(case.rng(), len(f))
        h = case.loss.hessian(y, f, group=group)
        allowed = 1e-12 * case.natural(y, f, group)
        yield from worst("hessian of a convex loss", -h, allowed, y, f, h, np.zeros_like(h))


def positive_curvature(case: Case) -> Problems:
    """A rule with any guarantee gives positive numbers, the objective's floor included."""
    loss = case.loss
    for name, rule in loss.rules.items():
        if rule.guarantee == "none":
            continue
        for far in (False, True):
            y, f = case.rows(case.rng(), 300, far)
            group = case.groups(case.rng(), len(f))
            block = loss.curvature(y, f, name, group=group)
            raw = block[~(block > 0) | ~np.isfinite(block)]
            if raw.size:
                yield f"curvature {name!r} is {raw[0]} in {raw.size} of {block.size} entries"


def descent(case: Case) -> Problems:
    """No step of a leaf raises its loss under a rule that guarantees as much."""
    for name, rule in case.loss.rules.items():
        if rule.guarantee not in DESCENDING:
            continue
        # The full step is the hardest; random rates and penalties are the rest of the claim.
        for options in ({"eta": 1.0, "reg_lambda": 0.0}, {}):
            rises = leaf_steps(
                case.loss, name, LEAVES // 2, case.seed, y_true=case.labels, **options
            )
            if rises:
                yield (
                    f"curvature {name!r} ({rule.guarantee}): {rises} of {LEAVES // 2} random "
                    f"leaves end with a higher loss {options or 'at random eta and lambda'}"
                )


def majorizers(case: Case) -> Problems:
    """The quadratic of a majorizer lies above the loss."""
    loss, rng = case.loss, case.rng()
    if not case.by_rows:
        return
    for name, rule in loss.rules.items():
        if rule.guarantee != "majorizer":
            continue
        y, f = case.rows(rng, 4000)
        output = rng.integers(0, loss.n_outputs, len(f))
        at = (np.arange(len(f)), output) if f.ndim == 2 else (np.arange(len(f)),)
        moved = f.copy()
        moved[at] += case.scale * 10.0 ** rng.uniform(-3, 4, len(f)) * rng.choice([-1, 1], len(f))
        t = (moved - f)[at]
        before, after = loss.value(y, f), loss.value(y, moved)
        g, h = loss.gradient(y, f)[at], loss.curvature(y, f, name)[at]
        bound = before + g * t + h * t * t / 2
        size = np.abs(before) + np.abs(after) + np.abs(g * t) + h * t * t
        size += (np.abs(g) + np.abs(h * t)) * (np.abs(f[at]) + np.abs(moved[at]))
        what = f"value under the quadratic of curvature {name!r}"
        yield from worst(what, after - bound, 1e-12 * size, y, f, after, bound)
