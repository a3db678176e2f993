"""The app's core passes its JUnit tests, which take most of its branches."""

from pathlib import Path

import pytest

from tests.android.junit import LEAST, missing, outcome_of

pytestmark = pytest.mark.android


def test_the_core_passes_and_is_covered(tmp_path: Path) -> None:
    if lacking := missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    found = outcome_of(tmp_path)
    assert found.passed, found.said
    assert found.share >= LEAST, found.classes
