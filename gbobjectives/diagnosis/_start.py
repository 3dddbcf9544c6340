"""Curvature, intercept and the parameters that a custom objective leaves void."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gbobjectives._numerics import Array
from gbobjectives.adapters._parameters import VOID, Library, raw_of_base_score, refusals
from gbobjectives.diagnosis._finding import Finding, Subject, percent
from gbobjectives.losses.base import Loss

#: Raw prediction at which a library starts by itself under a custom objective.
OWN_START = {"xgboost": 0.5, "lightgbm": 0.0}

# A start that costs this much more of the loss than the best constant is a bad one.
WORSE = 0.01


def curvature(s: Subject) -> Iterator[Finding]:
    """Exact Hessians that are 0 or negative, and whether that matters."""
    rule = s.loss.rule(s.objective.curvature)
    harmless = rule.guarantee != "none"
    used = f"the curvature in use, {s.objective.curvature!r} ({rule.guarantee}), is positive"
    for name, share, what in (
        ("zero Hessians", s.statistics.zero, "0, or as good as 0 beside the safe curvature,"),
        ("negative Hessians", s.statistics.negative, "negative"),
    ):
        if share > 0:
            yield Finding(
                "info" if harmless else "warning",
                name,
                f"the exact Hessian is {what} in {percent(share)} of the rows"
                + (f"; {used}" if harmless else f", and curvature={s.objective.curvature!r}"),
                "" if harmless else _other_curvature(s.loss),
                {"share": share},
            )


def _other_curvature(loss: Loss) -> str:
    named = [name for name in ("auto", "safe") if loss.guarantee(name) != "none"]
    return f'use curvature="{named[0]}" ({loss.guarantee(named[0])})' if named else ""


def intercept(s: Subject) -> Iterator[Finding]:
    """Where training starts, and what another start costs."""
    c = s.intercept
    if not np.isfinite(c).all():
        yield Finding(
            "error",
            "no intercept",
            f"the best constant raw prediction is {_shown(c)}: train refuses these labels",
            "look at the labels; classes or amounts that never occur have no finite constant",
        )
        return
    best = s.mean_loss(c)
    response = s.loss.predict(c if s.loss.n_outputs == 1 else c[None])
    own = OWN_START[s.library]
    yield Finding(
        "info",
        "intercept",
        f"train starts at the best constant, raw {_shown(c)}, response {_shown(response)}, where "
        f"the mean loss is {best:.4g}; {s.library} by itself would start at raw {own:g}, where it "
        f"is {s.mean_loss(np.full(len(c), own)):.4g}",
        "",
        {"raw": float(c[0]), "response": float(np.ravel(response)[0]), "loss": best},
    )
    yield from _base_score(s, best)
    if s.raw_is_given:
        now = s.mean_loss(s.raw)
        if now > best + WORSE * abs(best):
            yield Finding(
                "warning",
                "worse than a constant",
                f"the mean loss of raw_prediction is {now:.4g}; that of the best constant is "
                f"{best:.4g}",
                "see that it holds raw scores, before the link, not responses"
                if s.loss.link.name != "identity"
                else "start from the best constant, as train does",
                {"loss": now, "best": best},
            )


def _base_score(s: Subject, best: float) -> Iterator[Finding]:
    if s.library != "xgboost" or s.params.get("base_score") is None:
        return
    given = s.params["base_score"]
    score = np.asarray(json.loads(given) if isinstance(given, str) else given, dtype=float)
    if score.size not in (1, s.loss.n_outputs):
        yield Finding(
            "error",
            "base_score",
            f"params has base_score={given!r}, of {score.size} numbers; the loss has "
            f"{s.loss.n_outputs} output(s), and XGBoost reads past the end of the numbers",
            "leave it out: train sets the best constant",
        )
        return
    raw = np.array(raw_of_base_score(s.loss, np.squeeze(score)))
    if not np.isfinite(raw).all():
        where = s.loss.link.range
        seen, severity = f"is no response of the link, which lie in {where}", "error"
        loss = np.inf
    else:
        loss = s.mean_loss(raw)
        if loss <= best + WORSE * abs(best):
            return
        seen, severity = f"starts where the mean loss is {loss:.4g}, not {best:.4g}", "warning"
    yield Finding(
        "error" if severity == "error" else "warning",
        "base_score",
        f"params has base_score={given!r}, which {seen}",
        "leave it out: train sets the best constant",
        {"best": best} | ({"loss": loss} if np.isfinite(loss) else {}),
    )


def parameters(library: Library, params: Mapping[str, Any], loss: Loss) -> Iterator[Finding]:
    """Parameters that conflict with the loss, or are void under a custom objective."""
    for refusal in refusals(library, params, loss):
        seen, _, change = refusal.message.partition("; ")
        void = "has no effect" in seen
        if refusal.fatal:
            name = "void parameter" if void else "conflicting parameter"
            yield Finding("error", name, seen, change or "leave it out")
        else:
            name, _, change = refusal.message.partition(": the model ")
            yield Finding("warning", "link", name, f"the model {change}")
    for name in VOID[library]:
        if name in params:
            yield Finding(
                "warning",
                "void parameter",
                f"params has {name}={params[name]!r}, which only built-in objectives read",
                "leave it out; give the loss what it is to have",
            )


def _shown(values: Array) -> str:
    flat = np.ravel(values)
    shown = ", ".join(f"{x:.4g}" for x in flat[:5]) + (", ..." if len(flat) > 5 else "")
    return shown if len(flat) == 1 else f"[{shown}]"
