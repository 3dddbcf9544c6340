"""The commands of `gbobjectives`: what they print, write and return."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import gbobjectives as gbo
from gbobjectives import _command_line, _terminal_plot
from gbobjectives.__main__ import main, markdown
from gbobjectives._parameter_options import value_of
from gbobjectives.losses import LOSSES, METRICS_ONLY
from tests.test_catalogue import REQUIRED

ROOT = Path(gbo.__file__).resolve().parent.parent
CATALOGUE = LOSSES | METRICS_ONLY


@pytest.fixture
def run(capsys):
    """A command line: its exit status, what it printed, and the lines of its errors."""

    def run(line, *more):
        capsys.readouterr()
        try:
            status = main([*shlex.split(line), *map(str, more)])
        except SystemExit as stop:
            status = stop.code
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()

    return run


@pytest.fixture
def on_terminal(monkeypatch):
    """A terminal of so many columns."""

    def on_terminal(columns=80, **environment):
        for name in ("NO_COLOR", "TERM"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    return on_terminal


# ---- list ----------------------------------------------------------------------------------


def test_list_of_one_task(run):
    status, out, _ = run("list --task count")
    assert status == 0
    assert [row.split()[0] for row in out.splitlines()[2:]] == ["poisson", "negative_binomial"]
    status, _, (line,) = run("list --task cuont")
    assert status == 2
    assert line.startswith("gbobjectives: list: unknown task 'cuont' (did you mean 'count'?)")


def test_list_as_json(run):
    status, out, _ = run("list --json")
    assert status == 0
    listed = {x["name"]: x for x in json.loads(out)}
    assert list(listed) == list(CATALOGUE)
    for name, cls in CATALOGUE.items():
        for key, fact in (("class", cls.__name__), ("task", cls.task), ("formula", cls.formula),
                          ("link", cls.link.name), ("source", cls.source)):  # fmt: skip
            assert listed[name][key] == fact
    huber = listed["huber"]
    assert huber["curvatures"]["safe"] == {"guarantee": "majorizer", "formula": "psi(u) / u"}
    assert huber["parameters"]["delta"] == {"default": "auto"}
    assert listed["cross_entropy"]["parameters"]["n_classes"] == {}
    assert [x["name"] for x in json.loads(run("list --json --task ordinal")[1])] == [
        "ordinal_logit"
    ]


def test_list_as_markdown_is_the_table_of_the_readme(run):
    assert run("list --markdown")[1].rstrip("\n") == markdown()
    assert run("--markdown")[1].rstrip("\n") == markdown()


@pytest.mark.parametrize("columns", [40, 80, 120, 160])
def test_list_fits_the_terminal(run, on_terminal, columns):
    on_terminal(columns)
    lines = run("list")[1].splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].startswith("name")
    assert len(lines) == len(CATALOGUE) + 2
    assert ("task" in lines[0]) == (columns >= 80)


# ---- show ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CATALOGUE)
def test_show_says_all_of_every_loss(run, name):
    cls = CATALOGUE[name]
    needed = REQUIRED.get(cls.__name__, {})
    options = [x for key, value in needed.items() for x in (f"--{key.replace('_', '-')}", value)]
    for more in ([], options) if options else ([],):
        status, out, errors = run(f"show {name}", *more)
        assert (status, errors) == (0, [])
        words = " ".join(out.split())
        facts = (cls.task, cls.estimates, cls.formula, cls.source, *cls.aliases)
        for fact in facts:
            assert " ".join(fact.split()) in words
        assert "derivatives" in words
        assert "``" not in out
        assert ":math:" not in out
        if name in LOSSES:
            loss = gbo.get_loss(name, **needed)
            about = loss if more or not needed else cls
            assert f"domain y in {about.y_domain} link {about.link.name} " in words
            for rule, how in about.rules.items():
                assert f"{rule} {how.guarantee} {how.formula}" in words
    drawn = name in LOSSES and isinstance(gbo.get_loss(name, **needed), gbo.RowLoss)
    assert ("curvature auto, " in out) == drawn


def test_show_gives_the_numbers_of_the_loss(run):
    out = run("show focal --gamma 3.0 --alpha 0.25")[1]
    assert out.startswith("FocalLoss(gamma=3.0, alpha=0.25)\n")
    loss = gbo.FocalLoss(gamma=3.0, alpha=0.25)
    lines = out.splitlines()
    at = lines.index("FocalLoss(gamma=3.0, alpha=0.25) at y = 1.")
    head, *rows = (line.split() for line in lines[at + 1 : at + 11])
    assert " ".join(head) == "raw value gradient exact Hessian curvature auto curvature safe"
    table = np.array(rows, dtype=float)
    f, y = table[:, 0], np.ones(len(table))
    truth = [loss.value(y, f), loss.gradient(y, f), loss.hessian(y, f)]
    truth += [loss.curvature(y, f, rule) for rule in ("auto", "safe")]
    np.testing.assert_allclose(table[:, 1:], np.transpose(truth), rtol=1e-3)


def test_show_of_aliases_wrappers_and_parameters_that_are_wanting(run):
    assert run("show mae")[1].startswith("AbsoluteErrorLoss()")
    assert run("show HuberLoss --delta 2")[1].startswith("HuberLoss(delta=2.0)")
    out = run("show class_weighted")[1]
    assert out.startswith("ClassWeighted(loss, class_weight)\n")
    assert "loss (required)" in out
    out = run("show cross_entropy")[1]
    assert "CrossEntropyLoss: the parameter n_classes is required" in " ".join(out.split())
    assert "along the first output" in run("show cross_entropy --n-classes 3")[1]
    assert "see each other" in run("show dice")[1]


def test_show_code(run):
    out = run("show huber --code")[1]
    assert "  # HuberLoss\n  def _psi(self, u: Array) -> Array:\n" in out
    assert "def _psi" not in run("show huber")[1]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("show hubr", "gbobjectives: get_loss: unknown loss 'hubr' (did you mean 'huber'?)"),
        ("show huber --delta -1", "gbobjectives: HuberLoss: delta must be a number in [1e-30, "),
        ("show huber --delta x", 'gbobjectives: HuberLoss: delta must be "auto" or a positive'),
        ("show huber --dellta 1", "gbobjectives show: unrecognized arguments: --dellta 1"),
        ("show huber --delta 1 2", "gbobjectives show: unrecognized arguments: 2"),
        ("show", "gbobjectives show: the following arguments are required: NAME"),
        ("shwo", "gbobjectives: argument command: invalid choice: 'shwo'"),
        ("list --jsn", "gbobjectives list: unrecognized arguments: --jsn"),
    ],
)
def test_misuse_is_one_line(run, line, error):
    status, out, (said,) = run(line)
    assert (status, out) == (2, "")
    assert said.startswith(error)
    assert len(said) < 300


def test_debug_shows_where(run):
    for line in ("--debug show hubr", "show hubr --debug"):
        with pytest.raises(ValueError, match="unknown loss"):
            run(line)


def test_help_names_the_commands_and_parameters(run):
    status, out, _ = run("--help")
    assert status == 0
    for command in (*_command_line.COMMANDS, "demo"):
        assert f"\n  {command} " in out
    status, out, _ = run("plot tweedie --help")
    assert status == 0
    assert "--power" in out


def test_picture_of_characters():
    x = np.linspace(0.0, 1.0, 50)
    curves = {"value": x, "gradient": 1 - x, "exact Hessian": 0 * x, "curvature auto": x}
    lines = _terminal_plot.plot(x, curves).splitlines()
    blank = "\u2800"
    width, height, gap = _terminal_plot.WIDTH, _terminal_plot.HEIGHT, _terminal_plot.GAP

    def panel(top, left):
        rows = [line.ljust(2 * width + gap) for line in lines[top + 1 : top + 1 + height]]
        return [row[left : left + width] for row in rows]

    # From the lower left to the upper right, and the reverse.
    rising, falling = panel(0, 0), panel(0, width + gap)
    for up, down in ((rising[-1], falling[0]), (rising[0][::-1], falling[-1][::-1])):
        assert up[0] != blank
        assert down[0] != blank
    assert rising[0][0] == blank
    # The Hessian and the curvature are on one scale: 0 lies at the bottom of both.
    flat = panel(height + 3, 0)
    assert all(x != blank for x in flat[-1])
    assert set("".join(flat[:-1])) == {blank}
    assert " ".join(lines[height + 3].split()) == "exact Hessian, 0 curvature auto, 0 to 1"


def test_no_picture_without_the_library(run, monkeypatch):
    monkeypatch.setattr(_terminal_plot, "find_spec", lambda name: None)
    assert 'A picture of it: pip install "gbobjectives[plot]"' in run("show huber")[1]


# ---- plot ----------------------------------------------------------------------------------


def test_plot_of_one_loss(run, tmp_path, monkeypatch):
    status, out, _ = run(
        "plot focal --gamma 2 --y-true 1 --curvature exact safe -o", tmp_path / "a.png"
    )
    assert (status, out) == (0, f"{tmp_path / 'a.png'}\n")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.chdir(tmp_path)
    assert run("plot huber")[:2] == (0, "huber.png\n")
    assert (tmp_path / "huber.png").is_file()
    # Of a loss whose labels cannot be 0 that of 1 is drawn.
    assert run("plot gamma")[0] == 0


def test_plot_of_several_values(run, tmp_path):
    status, _, errors = run("plot huber --delta 1 2 5 -o", tmp_path / "b.svg")
    assert (status, errors) == (0, [])
    picture = (tmp_path / "b.svg").read_text(encoding="utf-8")
    for delta in (1.0, 2.0, 5.0):
        assert f"delta={delta}" in picture


def test_several_values_of_several_parameters_are_all_drawn(run, monkeypatch, tmp_path):
    drawn = []

    def plot_loss(losses, **options):
        drawn.append((losses, options))
        return [matplotlib.figure.Figure().add_subplot()]

    monkeypatch.setattr("gbobjectives.plotting.plot_loss", plot_loss)
    run("plot focal --gamma 1 2 --alpha 0.25 None --y-true 0 -o", tmp_path / "c.png")
    ((losses, options),) = drawn
    assert losses == [gbo.FocalLoss(g, a) for g in (1.0, 2.0) for a in (0.25, None)]
    assert options == {"y_true": 0.0}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("plot huber -o picture.xyz", "gbobjectives: Format 'xyz' is not supported"),
        ("plot huber -o no/such/folder/a.png", "gbobjectives: [Errno 2] No such file"),
        ("plot dice", "gbobjectives: plot_loss: a loss of single rows (RowLoss) is wanted"),
        ("plot cross_entropy", "gbobjectives: CrossEntropyLoss: the parameter n_classes is requ"),
        ("plot huber --curvature fast", "gbobjectives: HuberLoss: no curvature 'fast'"),
    ],
)
def test_pictures_that_cannot_be_drawn(run, line, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, (said,) = run(line)
    assert status == 2
    assert said.startswith(error)


def test_values_are_read_as_in_python():
    read = {"2": 2, "1e-3": 1e-3, "auto": "auto", "None": None, "[1, 2]": [1, 2], "inf": np.inf}
    assert {text: value_of(text) for text in read} == read


# ---- a process of its own ------------------------------------------------------------------


def python(command, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "PYTHONIOENCODING")}
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shlex.quote(sys.executable)} -W error {command}"],
        capture_output=True,
        env=kept | {"PYTHONPATH": str(ROOT)} | environment,
        timeout=120,
        check=False,
    )


def test_a_reader_that_has_seen_enough():
    done = python("-m gbobjectives list --json | head -c 1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[", b"")


def test_a_terminal_that_lacks_the_characters():
    done = python("-m gbobjectives show huber", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"majorizer" in done.stdout
