"""The calibration text that the package carries: made by its script, varied, and long enough for any vocabulary."""

from pathlib import Path

import edgepack
from demo import calibration

TEXT = Path(edgepack.__file__).parent / "data" / "calibration.txt"


def test_the_script_makes_the_text_that_the_package_carries() -> None:
    assert calibration.text() == TEXT.read_text(encoding="utf-8")


def test_it_is_long_enough_and_no_longer_than_a_coffee() -> None:
    """At four bytes a token some thirty chunks of 512."""
    assert 40_000 < TEXT.stat().st_size < 60_000


def test_it_has_many_writings() -> None:
    text = TEXT.read_text(encoding="utf-8")
    for letter in "aéßяλ的のشא회हไư{}<>#∎🔥":
        assert letter in text
