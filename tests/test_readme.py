"""The README is current: its table, its examples, its files."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gbobjectives.__main__ import markdown

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)


def test_the_catalogue_table_is_the_one_that_the_classes_give():
    found = re.search(r"<!-- catalogue.*?-->\n(.*?)\n<!-- end of catalogue -->", README, re.S)
    assert found, "the README has no catalogue"
    assert found[1] == markdown(), "run `python -m gbobjectives --markdown` and paste its table"


@pytest.mark.parametrize(
    "code",
    BLOCKS,
    ids=[
        "xgboost",
        "lightgbm",
        "estimators",
        "own_class",
        "own_formula",
        "diagnosis",
        "composition",
    ],
)
def test_examples_run(code, capsys, monkeypatch):
    # A module of that name, since a loss is pickled by the module that it stands in.
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    exec(compile(code, "README.md", "exec"), module.__dict__)
    if "print(" in code:
        assert len(re.findall(r"\w+", capsys.readouterr().out)) >= 3


def test_files_that_it_names_exist():
    for path in re.findall(r"\((examples/[^)]+)\)", README):
        assert (ROOT / path).is_file(), path
    for name in re.findall(r"`(\w+\.py)` \(", README):
        assert (ROOT / "benchmarks" / name).is_file(), name
