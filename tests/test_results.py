"""What the README quotes stands in benchmarks/RESULTS.md, which the benchmarks write."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")


def numbers(text: str) -> set[str]:
    """As they are written: 0.90 is not 0.9, and 12 does not stand in 3.12."""
    return set(re.findall(r"(?<![\w.])\d+(?:[.,/]\d+)*(?!\w)", text))


def test_every_number_that_the_readme_quotes_stands_in_the_results():
    blocks = re.findall(r"<!-- results -->\n(.*?)\n<!-- end of results -->", README, re.S)
    assert README.count("<!-- results -->") == len(blocks) >= 1
    for block in blocks:
        quoted = numbers(block)
        assert quoted, "a block of results without a number"
        assert quoted <= numbers(RESULTS), sorted(quoted - numbers(RESULTS))


def test_numbers_are_read_whole():
    found = numbers("| 0.90 [0.85, 1.2] | 3/4/5 | x 1.5, of 12,000 rows; log2 and v3 count not |")
    assert found == {"0.90", "0.85", "1.2", "3/4/5", "1.5", "12,000"}
