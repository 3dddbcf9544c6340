"""Every built-in of single rows is one of our losses under one of its curvatures, to the bit."""

import pytest

from tests.boosting import WEIGHT, distance
from tests.parity import CASES


@pytest.mark.parametrize("w", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_parity_after_50_rounds(case, w):
    ours, theirs = case.raw_predictions(50, w)
    assert distance(ours, theirs) < 1e-5
    assert theirs.std() > 0.05, "the built-in learns nothing here"
