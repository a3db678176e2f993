"""Harnesses: read with their defaults, mistakes named."""

from typing import Any

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.harness import Harness, parse_harnesses


def test_a_harness_measures_the_models_themselves_without_thinking_unless_it_says_otherwise() -> None:
    found = parse_harnesses({"schema": 1, "board": {"setting": "normalised", "source": "a page"}})
    assert found == {
        "board": Harness(
            id="board", setting="normalised", source="a page", maker=None, thinking=False, ranks=True
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"schema": 2}, "schema: expected 1, got 2"),
        ({"schema": 1, "board": {"setting": "plain"}}, "board.source: expected string, got nothing"),
        ({"schema": 1, "board": {"setting": "plain", "source": "x", "ranked": True}}, "board.ranked: unknown key"),
        ({"schema": 1, "board": "x"}, "board: expected table, got string"),
    ],
)
def test_a_mistake_is_named_with_its_place(table: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInputError, match=f"^harnesses: {complaint}"):
        parse_harnesses(table)
