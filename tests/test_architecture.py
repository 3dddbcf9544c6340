"""The shape of the package: who may import whom, what an import costs, what must be written."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gbobjectives as gbo
from gbobjectives.losses import LOSSES
from tests.instances import INSTANCES

PACKAGE = Path(gbo.__file__).parent
MAX_LINES = 400

#: The rooms in their order. A module imports from rooms before its own, or from its own room
#: where that is one of the open ones.
ROOMS = [
    ("_numerics",),
    ("links", "parallel"),
    ("_validation", "_batch"),
    ("curvature",),
    ("losses._intercept", "losses._draws", "losses._lists"),
    ("losses._declaration",),
    ("losses.base",),
    ("losses.kinds",),
    ("losses.classes",),
    ("losses.residual", "losses.binary", "losses.count", "losses.multiclass", "losses.coupled"),
    ("losses.density", "losses.survival"),
    ("losses.robust", "losses.power", "losses.ranking", "losses.pairwise", "losses.listwise"),
    ("losses.multiclass_hinge", "losses.ordinal"),
    ("losses.rounded_hinge", "losses.imbalance"),
    ("losses.quantile", "losses.redescending", "losses.asymmetric", "losses.relative"),
    ("losses.logarithmic",),
    ("losses.amount", "losses.hinge", "losses.binary_variants", "losses.multiclass_variants"),
    ("losses.several", "losses.decision", "losses.sampled", "losses.sequence", "losses.embedding"),
    ("losses.composition",),
    ("losses.coupled_sum",),
    ("losses.wrapping",),
    ("losses",),
    ("_code", "_own_curvature", "_stable_functions"),
    ("_own", "_reading", "_symbols"),
    ("_backends", "_formulas"),
    ("autodiff", "expressions"),
    ("objective",),
    ("_row_statistics",),
    ("metric_functions",),
    ("metrics",),
    ("adapters",),
    ("testing", "plotting"),
    ("reports",),
    ("diagnosis",),
    ("monitoring",),
    ("",),
    ("_catalogue", "_parameter_options", "_terminal_plot"),
    ("_description",),
    ("_command_line",),
    ("__main__",),
]
OPEN = {"adapters", "testing", "diagnosis"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(p for p in parts if p != "__init__")


def room_of(module: str) -> int:
    """Position of the innermost room that is named for the module."""
    best, length = None, -1
    for position, names in enumerate(ROOMS):
        for name in names:
            inside = module == name or (
                name not in ("", "losses") and module.startswith(f"{name}.")
            )
            if inside and len(name) > length:
                best, length = position, len(name)
    assert best is not None, f"{module!r} has no room: add it to ROOMS"
    return best


def imports_of(path: Path) -> set[str]:
    """Modules of the package that a file imports, as names inside the package."""
    found = set()
    modules = {name_of(p) for p in MODULES}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "gbobjectives"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide where a name is from"
            if (node.module or "").split(".")[0] == "gbobjectives":
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    inner = full.removeprefix("gbobjectives").lstrip(".")
                    found.add(full if inner in modules else str(node.module))
    return {x.removeprefix("gbobjectives").lstrip(".") for x in found}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: name_of(p) or "gbobjectives")
def test_imports_point_one_way(path):
    module = name_of(path)
    own = room_of(module)
    for imported in sorted(imports_of(path)):
        room = room_of(imported)
        allowed = room < own or (room == own and OPEN & set(ROOMS[own]))
        assert allowed, f"{module} may not import {imported}"


FOREIGN = {
    *("xgboost", "lightgbm", "catboost", "sklearn", "dask", "distributed"),
    *("matplotlib", "pandas", "mpmath", "pytest"),
}


def test_import_is_light():
    code = f"""
import sys
import gbobjectives
loaded = {{m.split(".")[0] for m in sys.modules}} & {FOREIGN!r}
assert not loaded, loaded
gbobjectives.testing.check_loss(gbobjectives.HuberLoss())
loaded = {{m.split(".")[0] for m in sys.modules}} & {FOREIGN!r}
assert not loaded, loaded
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_only_adapters_know_a_library():
    for path in MODULES:
        module = name_of(path)
        if module.startswith("adapters") or module in ("__main__", "plotting"):
            continue
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {a.name.split(".")[0] for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
        assert not names & FOREIGN, module


FILES = [
    p
    for folder in ("gbobjectives", "tests", "examples", "benchmarks")
    for p in sorted((PACKAGE.parent / folder).rglob("*.py"))
]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE.parent).as_posix())
def test_files_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


PUBLIC = sorted(n for n in vars(gbo) if not n.startswith("_"))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_docstrings(name):
    thing = getattr(gbo, name)
    doc = inspect.getdoc(thing) or ""
    assert len(doc) > 20
    # A dataclass without a docstring is given its signature.
    assert not doc.startswith(f"{name}(")


@pytest.mark.parametrize("cls", LOSSES.values(), ids=lambda c: c.__name__)
def test_every_loss_of_the_catalogue(cls):
    assert any(type(x.loss) is cls for x in INSTANCES), "add it to tests/instances.py"
    assert getattr(gbo, cls.__name__) is cls
    for fact in (cls.task, cls.estimates, cls.source, cls.metric_name):
        assert fact
    for section in ("Domain:", "Link:", "Units:", "References", "Examples"):
        assert section in cls.__doc__, section
    assert {"safe", "auto", "exact"} <= set(cls.rules)


def test_instances_are_told_apart_by_their_ids():
    ids = [x.id for x in INSTANCES]
    assert len(ids) == len(set(ids))
