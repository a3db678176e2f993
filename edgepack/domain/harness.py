"""Who measured scores, and how: results are compared within one harness only; it knows no model and no score."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.domain.reading import Table

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Harness:
    """One table of results: the same people, prompts and settings for every model in it."""

    id: str
    setting: str
    source: str
    maker: str | None
    """The hub's name of the makers who ran it, None for people who published none of the models."""
    thinking: bool
    """Whether the models thought before they answered, which costs a device hundreds of tokens a question."""
    ranks: bool
    """Whether it measured the models themselves, and not what they were made from or what became of them."""


def parse_harnesses(table: Mapping[str, object]) -> dict[str, Harness]:
    """Every harness by its id; BadInputError names the place of a mistake."""
    reader = Table(table, subject="harnesses", hint="correct the entry in edgepack/data/harnesses.toml")
    if (schema := reader.whole("schema")) != SCHEMA:
        reader.fail("schema", f"expected {SCHEMA}, got {schema}")
    return {id: _harness(id, reader.table(id)) for id in reader.rest()}


def _harness(id: str, table: Table) -> Harness:
    harness = Harness(
        id=id,
        setting=table.text("setting"),
        source=table.text("source"),
        maker=table.text_or_none("maker"),
        thinking=table.flag("thinking", default=False),
        ranks=table.flag("ranks", default=True),
    )
    table.finish()
    return harness
