"""Derivatives of losses whose rows see each other, and those of rows: one check for both."""

import numpy as np

from gbobjectives.testing.checks import EPS, Problems, quotient_of, row_derivatives, worst
from gbobjectives.testing.samples import SMALL, Case


def _by_groups(case: Case, far: bool) -> Problems:
    """Each score of a small batch moves by itself, with and without groups and weights."""
    loss, rng = case.loss, case.rng()
    # A short step, as there may be a kink at each pair of rows.
    h = 2.0**-14 * case.scale
    for weighted in (False, True):
        for grouped in (False, True):
            y, f = case.rows(rng, 2 * SMALL, far)
            n = len(f)
            sizes = np.array([SMALL, SMALL]) if grouped else np.array([n])
            if case.labels_of_groups and not grouped:
                y = np.full_like(y, y[0])
            w = case.of_groups(rng.uniform(0.5, 2, n), sizes) if weighted else None
            group = sizes if grouped else None
            of_row = np.repeat(np.arange(len(sizes)), sizes)
            g = loss.gradient(y, f, w, group)
            claimed = loss.hessian(y, f, w, group)
            natural = np.abs(g).max() + case.natural(y, f, group) * case.scale
            first, second, noise = np.zeros(f.shape), np.zeros(f.shape), np.zeros((2, *f.shape))
            for at in np.ndindex(f.shape):
                stencil = np.zeros((4, 2))
                for k, pair in zip((-2, -1, 1, 2), stencil, strict=True):
                    moved = f.copy()
                    moved[at] += k * h
                    pair[0] = loss.value(y, moved, w, group)[of_row[at[0]]]
                    pair[1] = loss.gradient(y, moved, w, group)[at]
                first[at], second[at] = quotient_of(stencil, h)
                noise[(slice(None), *at)] = 32 * EPS * np.abs(stencil).max(axis=0) / h
            setting = f"{'with' if weighted else 'no'} weights, {'with' if grouped else 'no'} group"
            limit = 1e-6 * np.abs(g) + 1e-7 * natural + noise[0]
            what = f"gradient against differences of value ({setting})"
            yield from worst(what, np.abs(first - g), limit, y, f, g, first)
            limit = 1e-6 * np.abs(claimed) + 1e-7 * natural / case.scale + noise[1]
            what = f"hessian against differences of gradient ({setting})"
            yield from worst(what, np.abs(second - claimed), limit, y, f, claimed, second)


def derivatives(case: Case) -> Problems:
    """Gradient is the derivative of value, hessian that of gradient, at ordinary points."""
    yield from row_derivatives(case) if case.by_rows else _by_groups(case, far=False)


def far_derivatives(case: Case) -> Problems:
    """The same where rows are badly wrong."""
    yield from row_derivatives(case, far=True) if case.by_rows else _by_groups(case, far=True)
