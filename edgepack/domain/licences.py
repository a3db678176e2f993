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

    @property
    def cautions(self) -> tuple[str, ...]:
        """What whoever makes a product of the model should know, a line each."""
        title = self.spdx or self.name
        found = [f"{title} forbids commercial use"] if self.commercial is False else []
        if self.excluded_regions:
            found.append(f"{title} excludes {', '.join(self.excluded_regions)}")
        return tuple(found)


def parse_licence(table: Table, sources: Mapping[str, str]) -> Licence:
    """The licence in a catalogue's table."""
    licence = Licence(
        name=table.text("name"),
        spdx=table.text_or_none("spdx"),
        url=table.text_or_none("url"),
        commercial=table.flag_or_none("commercial"),
        excluded_regions=table.texts_or_none("excluded_regions") or (),
        restrictions=table.text_or_none("restrictions"),
        source=named_source(table, sources),
        gated=table.flag("gated"),
        gated_source=named_source(table, sources, "gated_source"),
    )
    table.finish()
    return licence


PERMISSIVE = frozenset({
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC-BY-4.0", "CC0-1.0", "CDLA-Permissive-2.0", "ISC",
    "MIT", "Unlicense", "Zlib",
})  # fmt: skip
"""SPDX identifiers of terms that ask for little more than a notice."""


_CARD = "the model's card"


def named_licence(name: str | None) -> Licence:
    """What is known of terms by the name that a model's own card gives them: little, unless SPDX knows it.

    The hub writes SPDX's identifiers in lower case. Of anything else nobody found out what it allows.
    """
    known = {identifier.lower(): identifier for identifier in PERMISSIVE}
    spdx = known.get((name or "").lower())
    return Licence(
        name=name or "a licence that nobody states", spdx=spdx, url=None, commercial=True if spdx else None,
        excluded_regions=(), restrictions=None, source=_CARD, gated=False, gated_source=_CARD,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class LicencePolicy:
    """Which terms a team accepts. Names are SPDX identifiers, or a licence's own name where it has none."""

    name: str
    """What --licence-policy was given: it stands in reasons."""
    allowed: frozenset[str] | None = None
    """None: all that nothing below refuses."""
    refused: frozenset[str] = frozenset()
    commercial: bool = False
    """Whether the model goes into a product: terms that forbid it, or leave it open, are refused."""
    gated: bool = True
    """Whether models are accepted whose terms one must sign on the hub."""
    regions: frozenset[str] = frozenset()
    """Where the product goes: ISO 3166 codes, and EU."""

    def objection(self, licence: Licence) -> str | None:
        """Why a licence is refused; None where it is accepted."""
        title = licence.spdx or licence.name
        if title in self.refused:
            return f"{title} is refused by the licence policy {self.name}"
        if self.allowed is not None and title not in self.allowed:
            return f"{title} is not among the licences that the policy {self.name} allows"
        if self.commercial and licence.commercial is not True:
            open_ = "forbids" if licence.commercial is False else "does not plainly allow"
            return f"{title} {open_} commercial use, which the policy {self.name} asks for"
        if licence.gated and not self.gated:
            return f"{title} must be accepted on the hub, which the policy {self.name} does not allow"
        if places := sorted(self.regions & frozenset(licence.excluded_regions)):
            return f"{title} excludes {', '.join(places)}, where the policy {self.name} says that the model is used"
        return None


ANY = LicencePolicy(name="any")
PERMISSIVE_POLICY = LicencePolicy(name="permissive", allowed=PERMISSIVE)
POLICIES = {policy.name: policy for policy in (ANY, PERMISSIVE_POLICY)}
"""Those that have a name; others are files."""
_SCHEMA = 1


def parse_policy(table: Mapping[str, object], *, name: str) -> LicencePolicy:
    """A policy from its file's table; BadInputError names the place of a mistake."""
    reader = Table(table, subject=f"licence policy {name}", hint="docs/licences.md shows every key of a policy")
    if (schema := reader.whole("schema")) != _SCHEMA:
        reader.fail("schema", f"expected {_SCHEMA}, got {schema}")
    allowed = reader.texts_or_none("allow")
    policy = LicencePolicy(
        name=name,
        allowed=None if allowed is None else frozenset(allowed),
        refused=frozenset(reader.texts_or_none("refuse") or ()),
        commercial=reader.flag("commercial", default=False),
        gated=reader.flag("gated", default=True),
        regions=frozenset(reader.texts_or_none("regions") or ()),
    )
    reader.finish()
    return policy
