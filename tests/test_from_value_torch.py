"""Losses by value with PyTorch: the same tests as with JAX (`make torch`)."""

import sys

import pytest

import gbobjectives as gbo
from tests.value_tests import ValueTests


@pytest.mark.torch
class TestTorch(ValueTests):
    backend = "torch"


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'needs PyTorch: pip install "gbobjectives\[torch\]'):
        gbo.from_value(lambda y, f: 7 * f, backend="torch")
