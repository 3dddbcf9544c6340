"""Docstrings: numpydoc's checks, an example that runs, and what a loss owes its reader."""

import ast
import doctest
import inspect
import re
from functools import cache

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import ERROR_MSGS, validate

import gbobjectives as gbo
from gbobjectives import curvature, links, metric_functions
from gbobjectives.losses import LOSSES

MODULES = (gbo, gbo.xgb, gbo.lgb, gbo.hgb, gbo.cat, metric_functions, gbo.testing, curvature, links)

#: Names of rooms that have no list of public ones: what a user's own loss or metric needs of them.
NAMED = {curvature: ["Rule"], links: ["Interval", "Link", "get_link"]}

#: Checks that are left out, and why. PR01 is asked for below, with what is said once.
LEFT_OUT = {
    "ES01": "a summary that says it all needs no second paragraph",
    "EX01": "asked for below: of names, not of each of their methods",
    "PR01": "asked for below: a parameter that many methods share is explained once",
    "PR03": "parameters that are those of a library's function share a line, out of order",
    "PR08": "a description may begin with the symbol of a formula, such as m or q",
    "RT01": "a summary names what is returned; a section is there where it has parts",
    "SA01": "backticks in the text lead to other names, where they matter",
    "SS05": "summaries name what is returned, and a plural such as Rows is no verb",
}


def _public_names(module):
    if module in NAMED:
        return NAMED[module]
    listed = getattr(module, "__all__", None)
    names = listed or [name for name in vars(module) if not name.startswith("_")]
    return [*names, *getattr(module, "LAZY", ())]


def _path(thing):
    return f"{thing.__module__}.{thing.__qualname__}"


def _names():
    """Public classes and functions by the path of their definition."""
    found = {}
    for module in MODULES:
        for name in _public_names(module):
            thing = getattr(module, name)
            callable_ = inspect.isclass(thing) or inspect.isfunction(thing)
            if callable_ and thing.__module__.startswith("gbobjectives"):
                found[_path(thing)] = thing
    return found


def _members(classes):
    """Methods and properties that are ours, each once, with a public class that has it."""
    found = {}
    for cls in classes:
        for base in cls.__mro__:
            for name, member in vars(base).items():
                of = inspect.unwrap(getattr(member, "fget", None) or member)
                of = getattr(of, "__func__", of)
                ours = inspect.isfunction(of) and of.__module__.startswith("gbobjectives")
                if ours and base.__module__.startswith("gbobjectives") and name[0] != "_":
                    found.setdefault(f"{_path(base)}.{name}", (cls, member))
    return found


NAMES = _names()
MEMBERS = _members(thing for thing in NAMES.values() if inspect.isclass(thing))


def _sections(thing):
    """Parameters and attributes that the docstring lists."""
    doc = ClassDoc(thing) if inspect.isclass(thing) else FunctionDoc(thing)
    listed = [p for s in ("Parameters", "Attributes") for p in doc[s]]
    return {name.lstrip("*") for p in listed for name in re.split(r",\s*", p.name)}


def _documented(thing):
    """Those that it lists, or names in backticks; and "parameters are those of `another`"."""
    text = thing.__doc__ or ""
    found = _sections(thing) | set(re.findall(r"`(\w+)`", text))
    for other in re.findall(r"[Pp]arameters are those of `(\w+)`", text):
        found |= _sections(getattr(inspect.getmodule(thing), other))
    return found


@cache
def _explained(cls):
    """Those that a class, or a base of ours, documents."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("gbobjectives")]
    return set().union(*(_documented(base) for base in ours))


def _signature(thing):
    return [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]


def _of_the_library(cls, name):
    """Whether a library's class has it too, whose docstring has the parameters."""
    return any(
        name in vars(base) and not base.__module__.startswith("gbobjectives")
        for base in cls.__mro__
    )


#: Functions whose ``**options`` are listed by their names: parameters of the class they make.
WITH_OPTIONS = {
    "gbobjectives.autodiff.from_value": gbo.ValueLoss,
    "gbobjectives.expressions.from_expression": gbo.ExpressionLoss,
}


@pytest.mark.parametrize("path", [*NAMES, *MEMBERS])
def test_docstrings_pass_numpydoc(path):
    assert LEFT_OUT.keys() <= ERROR_MSGS.keys()
    # To numpydoc a parameter that is one of `**options` is unknown.
    left_out = LEFT_OUT.keys() | ({"PR02"} if path in WITH_OPTIONS else set())
    errors = [f"{code}: {text}" for code, text in validate(path)["errors"] if code not in left_out]
    assert not errors


@pytest.mark.parametrize("path", WITH_OPTIONS)
def test_options_that_are_listed_are_all_that_there_are(path):
    function, made = NAMES[path], WITH_OPTIONS[path]
    taken = {*_signature(made), *_signature(function)}
    taken -= {"function", "ignore_index", "targets", "options"}
    assert _sections(function) == taken


@pytest.mark.parametrize("path", NAMES)
def test_parameters_of_a_name_are_documented(path):
    """Those of a class in it or its bases; those that all functions of a module share, there."""
    thing = NAMES[path]
    if not inspect.isclass(thing):
        shared = set(re.findall(r"``(\w+)``", inspect.getmodule(thing).__doc__ or ""))
        handed_on = {"options"} if path in WITH_OPTIONS else set()
        assert not set(_signature(thing)) - _documented(thing) - shared - handed_on
    elif getattr(thing.__init__, "__module__", "").startswith("gbobjectives"):
        library = [b for b in thing.__mro__ if b.__module__.startswith(("xgboost", "lightgbm"))]
        theirs = {name for base in library for name in _signature(base)}
        assert not set(_signature(thing)) - _explained(thing) - theirs


@pytest.mark.parametrize("path", MEMBERS)
def test_parameters_of_a_method_are_documented_in_it_or_its_class(path):
    cls, member = MEMBERS[path]
    if isinstance(member, property) or _of_the_library(cls, path.rsplit(".", 1)[1]):
        return
    function = inspect.unwrap(getattr(member, "__func__", member))
    assert not set(_signature(function)) - _documented(function) - _explained(cls)


#: Its example shows a scheduler at another address; tests/test_dask.py runs it on a cluster.
NEEDS_A_CLUSTER = {"gbobjectives.adapters.xgboost_dask.dask_train"}


@pytest.mark.parametrize("path", NAMES)
def test_every_name_has_an_example_that_runs(path, pytestconfig):
    assert pytestconfig.getoption("doctestmodules"), "examples are run by --doctest-modules"
    (found,) = doctest.DocTestFinder(recurse=False).find(NAMES[path], path)
    assert "Examples\n" in inspect.getdoc(NAMES[path])
    run = [x.source for x in found.examples if not x.options.get(doctest.SKIP)]
    lines = [line for line in run if not line.startswith(("import ", "from "))]
    assert lines or path in NEEDS_A_CLUSTER


# ---- what a loss owes ------------------------------------------------------------------

#: "Gradient <formula>, Hessian <formula>" in one sentence; the lookahead lets matches overlap.
DERIVATIVES = re.compile(
    r"(?=[Gg]radient (?P<gradient>(?:(?!\. [A-Z]).){1,120}?)[,;:]? (?:and (?:to )?(?:the )?)?"
    r"Hessian(?:'s diagonal)? (?P<hessian>.{1,60}))"
)

#: What a formula has, and a remark, such as "the gradient falls", has not.
SYMBOL = re.compile(r"\d|[-+*/^=('_]|(?<!\w)[b-zA-HJ-Z](?!\w)")


def _states_derivatives(doc):
    """Whether both words are followed by a formula, at most four words later."""
    body = " ".join(doc.split("References\n")[0].split())
    return any(
        all(SYMBOL.search(" ".join(part.split()[:4])) for part in found.groups())
        for found in DERIVATIVES.finditer(body)
    )


@pytest.mark.parametrize("cls", LOSSES.values(), ids=LOSSES)
def test_a_loss_states_what_it_owes(cls):
    doc = inspect.getdoc(cls)
    assert _states_derivatives(doc), "Gradient <formula>, Hessian <formula>"
    said = " ".join(doc.split())
    for owed in (
        "[Ee]stimates ",
        "Domain: ",
        "Link: ",
        "Units: ",
        r"(?:Not c|C)onvex",
        r"majorizer|no_overshoot|descent|heuristic|keeps its guarantee|its guarantee is",
        "Raises ------ (?:Type|Value)Error",
        r"References ---------- \.\. \[1\] \w",
    ):
        assert re.search(owed, said), owed


@pytest.mark.parametrize(
    "remark",
    [
        "Not convex: the gradient falls as a power.",
        "Gradient and Hessian are exact off the edges.",
        "Gradient e^f - y. The rest is left to the reader.",
        "The gradient is continuous, Hessian of neither part known.",
    ],
)
def test_a_remark_on_derivatives_does_not_state_them(remark):
    assert not _states_derivatives(remark)


def test_every_public_name_is_looked_at():
    """A name that slips through the lists above would be checked by nothing."""
    tree = ast.parse(inspect.getsource(gbo))
    imported = {
        a.asname or a.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gbobjectives")
        for a in node.names
    } - {"*"}
    known = {thing.__name__ for thing in NAMES.values()}
    modules = {name for name in imported if inspect.ismodule(getattr(gbo, name))}
    assert imported - modules <= known
    assert {cls.__name__ for cls in LOSSES.values()} <= known
