"""Licences: what a model's terms say, and which of them a team accepts; it knows no model."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.domain.reading import Table, named_source


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Terms of use: `spdx` is None where SPDX has no identifier for them."""

    name: str
    spdx: str | None
    url: str | None
    commercial: bool | None
    """Whether a product may use the model; None where that depends on who asks, or nobody found out."""
    excluded_regions: tuple[str, ...]
    """Where it may not be used: ISO 3166 codes of two letters, and EU."""
    restrictions: str | None
    source: str
    gated: bool
    """Whether the hub hands the files only to people who accepted the terms."""
    gated_source: str


def parse_licence(table: Table, sources: Mapping[str, str]) -> Licence:
    """The licence in a catalogue's table."""
    licence = Licence(
        name=table.text("name"),
        spdx=table.text_or_none("spdx"),
        url=table.text_or_none("url"),
        commercial=table.flag_or_none("commercial"),
        excluded_regions=table.texts("excluded_regions") if table.has("excluded_regions") else (),
        restrictions=table.text_or_none("restrictions"),
        source=named_source(table, sources),
        gated=table.flag("gated"),
        gated_source=named_source(table, sources, "gated_source"),
    )
    table.finish()
    return licence
