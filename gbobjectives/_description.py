"""What `gbobjectives show` says of one loss."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from textwrap import dedent, indent, wrap
from typing import Any

import numpy as np

from gbobjectives import curvature
from gbobjectives._catalogue import address
from gbobjectives._numerics import Array
from gbobjectives._parameter_options import defaults
from gbobjectives._terminal_plot import curves, plot
from gbobjectives.losses import METRICS_ONLY, get_loss, named
from gbobjectives.losses.base import Loss
from gbobjectives.losses.binary import BinaryLoss
from gbobjectives.losses.kinds import RowLoss
from gbobjectives.losses.residual import ResidualLoss
from gbobjectives.testing.samples import draw_labels, score_scale

WIDTH = 80
INDENT = 14  # of what stands beside the name of a fact

N_POINTS = 201
TABLE = np.array([-4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0])  # in units of delta, or 1

#: What the classes of a family say of their derivatives once, for all of them.
FAMILIES: dict[type[Any], str] = {
    ResidualLoss: "with u = (f - y) / delta the value is delta^2 rho(u): gradient "
    "delta rho'(u), Hessian rho''(u)",
    BinaryLoss: "of the margin z = f for y = 1 and -f for y = 0: gradient phi'(z) dz/df, "
    "Hessian phi''(z); of a soft label the mixture",
}

#: The methods that hold the derivatives of a loss.
KERNELS = (
    *("_psi", "_psi_derivative", "_phi_derivatives", "_derivatives"),
    *("_gradient", "_hessian", "_gradient_curvature"),
)


def describe(name: str, parameters: Mapping[str, Any], code: bool = False) -> str:
    """Facts, words, numbers and a picture of the loss of that name."""
    made_by = named(name)
    if not isinstance(made_by, type):
        return _describe_wrapper(made_by)
    cls: type[Loss] = made_by
    loss, wanting = None, ""
    try:
        loss = get_loss(name, **parameters)
    except ValueError as error:
        if parameters:
            raise
        # The defaults alone make no loss of it; its class says enough.
        wanting = str(error)
    head, *paragraphs = _prose(cls)
    parts = [
        f"{cls.__name__ if loss is None else repr(loss)}\n{_filled(head)}",
        _facts(cls, loss),
        *map(_filled, paragraphs),
    ]
    if code:
        parts.append(_code(cls))
    if loss is None:
        parts.append(_filled(f"For numbers and a picture give its parameters. {wanting}."))
    elif cls.name not in METRICS_ONLY:
        parts.append(_numbers(loss))
    return "\n\n".join(parts)


def _describe_wrapper(wrapper: Callable[..., Loss]) -> str:
    head, *paragraphs = _prose(wrapper)
    signature = f"{wrapper.__name__}({', '.join(inspect.signature(wrapper).parameters)})"
    facts = _beside("parameters", _parameter_lines(wrapper, {}))
    return "\n\n".join([f"{signature}\n{_filled(head)}", facts, *map(_filled, paragraphs)])


def _facts(cls: type[Loss], loss: Loss | None) -> str:
    about: Any = cls if loss is None else loss
    metric_only = cls.name in METRICS_ONLY
    rules = {} if metric_only else about.rules
    curvatures = [
        f"{rule:<13} {how.guarantee:<13} {how.formula}"
        + (f", at least {how.relative_floor:g} of its mean" if how.relative_floor else "")
        for rule, how in sorted(rules.items(), key=lambda x: _place(x[0]))
    ]
    proved = sorted({r.guarantee for r in rules.values()} & {*curvature.DESCENDING})
    texts = {
        "names": ", ".join((cls.name, *cls.aliases)),
        "task": cls.task,
        "estimates": cls.estimates,
        "value": cls.formula,
        "derivatives": "none" if metric_only else _derivatives(cls),
        "domain": f"y in {about.y_domain}",
        "link": about.link.name,
        "convex": "yes" if about.convex else "no",
        "metric": cls.metric_name,
        "parameters": _parameter_lines(cls, {} if loss is None else _given(loss)),
        "curvature": curvatures or "none",
        "guarantees": [x for name in proved for x in _meaning(name)],
        "built-ins": cls.parity,
        "source": f"{cls.source}, {address(cls.source)}",
    }
    return "\n".join(_beside(name, text) for name, text in texts.items() if text)


def _place(rule: str) -> tuple[int, str]:
    first = ("auto", "safe", "exact")
    return (first.index(rule), "") if rule in first else (len(first), rule)


def _meaning(name: str) -> list[str]:
    """What a guarantee says, from the module that defines it."""
    found = re.search(rf"^``{name}``\n((?:    .*\n)+)", curvature.__doc__ or "", re.M)
    text = _plain(dedent(found[1])) if found else ""
    return [f"{name}: {text.split('. ')[0].rstrip('.')}"]


def _given(loss: Loss) -> dict[str, Any]:
    return {f.name: getattr(loss, f.name) for f in fields(loss)}


def _parameter_lines(made_by: type[Loss] | Callable[..., Loss], now: Mapping[str, Any]) -> Any:
    described = _documented(made_by)
    lines = []
    for name, default in defaults(made_by).items():
        value = now.get(name, default)
        shown = "(required)" if value is MISSING else f"= {value!r}"
        text = described.get(name, "")
        lines.append(f"{name} {shown}" + (f": {text}" if text else ""))
    return lines


def _documented(made_by: type[Loss] | Callable[..., Loss]) -> dict[str, str]:
    """Descriptions of parameters, from the docstrings of the class and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(made_by.__mro__ if isinstance(made_by, type) else (made_by,)):
        section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", _doc(base), re.M | re.S)
        if section:
            entries = re.findall(r"^(\w[\w, ]*?) : .*\n((?:    .*\n?|\n)+)", section[1], re.M)
            found |= {
                name.strip(): _plain(text) for names, text in entries for name in names.split(",")
            }
    return found


def _doc(thing: Any) -> str:
    # Its own: `inspect.getdoc` would give a class that of its base.
    return inspect.cleandoc(vars(thing).get("__doc__") or "" if isinstance(thing, type)
                            else thing.__doc__ or "")  # fmt: skip


def _prose(thing: Any) -> list[str]:
    """Paragraphs of a docstring up to its first section."""
    text = re.split(r"^\w+\n-+$", _doc(thing), maxsplit=1, flags=re.M)[0]
    return [_plain(paragraph) for paragraph in text.strip().split("\n\n") if paragraph.strip()]


def _derivatives(cls: type[Loss]) -> list[str]:
    """What the docstring says of gradient and Hessian, and what holds in the whole family."""
    sentences = re.split(r"(?<=[.;])\s+(?=[A-Z`])", " ".join(_prose(cls)[1:]))
    own = [x.rstrip(";") for x in sentences if re.search(r"[Gg]radient|Hessian", x)]
    # Where a width of the labels comes in, u is another number.
    families = [] if cls.label_units else FAMILIES.items()
    shared = [text for family, text in families if issubclass(cls, family)]
    return [*shared, *own, "as they are computed: --code"]


def _code(cls: type[Loss]) -> str:
    """The source of the kernels, each from the class that has it."""
    parts = []
    for name in KERNELS:
        for base in cls.__mro__:
            method = base.__dict__.get(name)
            if method is None or getattr(method, "__isabstractmethod__", False):
                continue
            if base.__module__.rpartition(".")[2] not in ("kinds", "base"):
                source = dedent(inspect.getsource(method)).rstrip()
                parts.append(f"# {base.__name__}\n{source}")
            break
    return indent("\n\n".join(parts), "  ")


def _numbers(loss: Loss) -> str:
    """A table of derivatives, and a picture of them."""
    if not isinstance(loss, RowLoss) or loss.targets is not None:
        return (
            "Its rows see each other, or their labels stay with the loss: no one row has numbers\n"
            "of its own, and there is no picture of it."
        )
    label = _label(loss)
    loss = _resolved(loss)
    centre = _centre(loss, label)
    width = score_scale(loss)
    found = curves(loss, *_rows(loss, label, centre + width * TABLE))
    columns = {"raw": centre + width * TABLE} | found
    rows = [list(columns)]
    rows += [[f"{x:.4g}" for x in values] for values in zip(*columns.values(), strict=True)]
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(x.rjust(size) for x, size in zip(row, sizes, strict=True)).rstrip()
        for row in rows
    ]
    where = f"{loss!r} at y = {np.array2string(np.asarray(label), precision=4)}"
    if loss.n_outputs > 1:
        where += ", along the first output, the others 0"
    grid = np.linspace(centre - 5 * width, centre + 5 * width, N_POINTS)
    picture = plot(grid, curves(loss, *_rows(loss, label, grid)))
    if picture is None:
        picture = 'A picture of it: pip install "gbobjectives[plot]"'
    return "\n".join([*wrap(where, WIDTH), *lines, "", picture])


def _label(loss: Loss) -> Any:
    """A label of one row: 0 where only the residual counts, else 1 where it may be."""
    if loss.n_labels > 1:
        return draw_labels(loss, np.random.default_rng(0), 1)[0]
    of_residual = isinstance(loss, ResidualLoss) and not loss.label_units
    if of_residual or getattr(loss, "n_classes", None) is not None:
        return 0.0
    return 1.0 if loss.y_domain.includes(1.0) else 0.5


def _resolved(loss: Loss) -> Loss:
    """A width of 1 in place of "auto"; of what depends on labels, that of ordinary ones."""
    if getattr(loss, "delta", None) == "auto":
        width: dict[str, Any] = {"delta": 1.0}
        loss = replace(loss, **width)
    if loss.resolved:
        return loss
    y = draw_labels(loss, np.random.default_rng(0), 1000)
    f = np.zeros(1000 if loss.n_outputs == 1 else (1000, loss.n_outputs))
    return loss.resolve(y, f)


def _rows(loss: Loss, label: Any, f: Array) -> tuple[Array, Array]:
    """Rows of that label along the first output."""
    y = np.repeat(np.asarray(label, dtype=np.float64)[None], len(f), axis=0)
    if loss.n_outputs == 1:
        return y, f
    raw = np.zeros((len(f), loss.n_outputs))
    raw[:, 0] = f
    return y, raw


def _centre(loss: Loss, label: Any) -> float:
    """Raw prediction that gives the label; 0 where there is none, or it is not finite."""
    if np.ndim(label) or loss.n_outputs > 1:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = float(loss.link.link(np.asarray(float(label))))
    return centre if np.isfinite(centre) else 0.0


def _plain(text: str) -> str:
    """Text without the marks of reStructuredText and LaTeX, in one line."""
    text = re.sub(r":(?:math|class|func):`([^`]*)`", lambda x: _math(x[1]), " ".join(text.split()))
    return text.replace("``", "").replace("`", "").replace(".. [1]", "")


def _math(text: str) -> str:
    for tex, plain in (("\\le ", "<= "), ("\\ge ", ">= "), ("\\ne ", "!= "), ("\\cdot", "*")):
        text = text.replace(tex, plain)
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)", text)
    text = re.sub(r"\\(?:[,;!]|left|right)", "", text)
    text = re.sub(r"([_^])\{(\w)\}", r"\1\2", text)
    text = re.sub(r"(?<=[A-Za-z0-9])\\(?=[A-Za-z])", " ", text)
    return re.sub(r"\\([A-Za-z]+)", r"\1", text)


def _filled(text: str) -> str:
    return "\n".join(wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def _beside(name: str, text: str | list[str]) -> str:
    """A fact beside its name, each entry of a list on lines of its own."""
    lines = []
    for entry in [text] if isinstance(text, str) else text:
        lines += wrap(
            entry, WIDTH - INDENT, subsequent_indent="  " * (not isinstance(text, str)),
            break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
        )  # fmt: skip
    first = f"{name:<{INDENT}}"
    return "\n".join((first if i == 0 else " " * INDENT) + line for i, line in enumerate(lines))
