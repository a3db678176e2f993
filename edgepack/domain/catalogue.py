"""Models known by name: config, licence, published scores; it knows nothing of files, families or quantizations."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from edgepack.domain.errors import BadInputError
from edgepack.domain.harness import Harness
from edgepack.domain.licences import Licence, parse_licence
from edgepack.domain.reading import Table, named_source

SCHEMA = 1


class ModelKind(StrEnum):
    """What a model gives back."""

    INSTRUCT = "instruct"
    """Answers."""
    BASE = "base"
    """Text that goes on: a model that nobody taught to answer."""
    EMBEDDING = "embedding"
    """Numbers that stand for a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """What config.json says, as far as sizes and types depend on it; only its family knows what the keys mean."""

    values: Mapping[str, object]
    sources: Mapping[str, str]
    """Of every key of `values`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Languages:
    """Languages by ISO 639-1 code as far as a source lists them, and in the publisher's words."""

    codes: tuple[str, ...]
    text: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One published result, in the benchmark's own unit: percent nearly always, points of 10 for MT-Bench.

    Results of different harnesses are never compared.
    """

    benchmark: str
    score: float
    harness: Harness


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueModel:
    """One checkpoint on the hub, as published."""

    id: str
    hub_id: str
    kind: ModelKind
    architecture: str
    """The class of its checkpoint, as config.json names it."""
    config: ModelConfig
    parameters: int
    """Weights of the part that is converted: the text's, of a model that sees as well."""
    parameters_source: str
    context: int
    """Tokens it was made for."""
    context_source: str
    licence: Licence
    languages: Languages
    released: str
    """ISO 8601: a day, or a month or a year where no more is known."""
    released_source: str
    scores: tuple[Score, ...]
    note: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All models, in the order of their parameters."""

    models: tuple[CatalogueModel, ...]

    def find(self, text: str) -> CatalogueModel | None:
        """The model with this id or hub id, in any case."""
        wanted = text.casefold()
        return next(
            (model for model in self.models if wanted in (model.id.casefold(), model.hub_id.casefold())), None
        )

    def nearest(self, text: str) -> tuple[str, ...]:
        """Ids that a mistyped or shortened `text` may mean, the likeliest first."""
        wanted = text.casefold()
        by_name = {name.casefold(): model.id for model in self.models for name in (model.hub_id, model.id)}
        names = [name for name in by_name if wanted in name]
        names += get_close_matches(wanted, by_name, n=3, cutoff=0.5)
        return tuple(dict.fromkeys(by_name[name] for name in names))[:3]


def make_catalogue(families: Mapping[str, Mapping[str, object]], harnesses: Mapping[str, Harness]) -> Catalogue:
    """The catalogue out of its files' tables by file name; BadInputError names the place of a mistake."""
    models = [model for name, table in families.items() for model in parse_models(table, harnesses, name=name)]
    by_id: dict[str, CatalogueModel] = {}
    for model in models:
        for key in (model.id.casefold(), model.hub_id.casefold()):
            if by_id.setdefault(key, model) is not model:
                raise BadInputError(f"catalogue: {key} is listed twice", hint="remove one of the entries")
    return Catalogue(models=tuple(sorted(models, key=lambda model: (model.parameters, model.id))))


def parse_models(
    table: Mapping[str, object], harnesses: Mapping[str, Harness], *, name: str
) -> tuple[CatalogueModel, ...]:
    """The models of one family's file."""
    reader = Table(table, subject=f"catalogue {name}", hint="correct the entry in edgepack/data/catalogue")
    if (schema := reader.whole("schema")) != SCHEMA:
        reader.fail("schema", f"expected {SCHEMA}, got {schema}")
    sources = reader.table("sources").strings()
    models = tuple(_model(entry, sources, harnesses) for entry in reader.tables("model", least=1))
    reader.finish()
    return models


def _model(table: Table, sources: Mapping[str, str], harnesses: Mapping[str, Harness]) -> CatalogueModel:
    model = CatalogueModel(
        id=table.text("id"),
        hub_id=table.text("hub_id"),
        kind=table.choice("kind", ModelKind),
        architecture=table.text("architecture"),
        config=_config(table.table("config"), sources),
        parameters=table.whole("parameters", least=1),
        parameters_source=named_source(table, sources, "parameters_source"),
        context=table.whole("context", least=1),
        context_source=named_source(table, sources, "context_source"),
        licence=parse_licence(table.table("licence"), sources),
        languages=_languages(table.table("languages"), sources),
        released=table.text("released"),
        released_source=named_source(table, sources, "released_source"),
        scores=_scores(table.table_or_none("scores"), harnesses),
        note=table.text_or_none("note"),
    )
    table.finish()
    return model


def _config(table: Table, sources: Mapping[str, str]) -> ModelConfig:
    """One source for all keys, and one of their own for those that [sources] in it names."""
    usual = named_source(table, sources)
    apart = table.table_or_none("sources")
    # TOML has no null, and some classes tell it from silence.
    nulls = table.texts_or_none("nulls") or ()
    values = {**table.rest(), **dict.fromkeys(nulls)}
    named = {key: named_source(apart, sources, key) for key in apart.strings()} if apart else {}
    if unknown := sorted(named.keys() - values.keys()):
        table.fail(f"sources.{unknown[0]}", "the source of a key that is not there")
    return ModelConfig(values=values, sources={key: named.get(key, usual) for key in values})


def _languages(table: Table, sources: Mapping[str, str]) -> Languages:
    languages = Languages(codes=table.texts("codes"), text=table.text("text"), source=named_source(table, sources))
    table.finish()
    return languages


def _scores(table: Table | None, harnesses: Mapping[str, Harness]) -> tuple[Score, ...]:
    """A table for each harness, by its id."""
    if table is None:
        return ()
    found = {id: table.table(id).numbers() for id in harnesses if table.has(id)}
    table.finish()
    return tuple(
        Score(benchmark=benchmark, score=score, harness=harnesses[id])
        for id, results in found.items()
        for benchmark, score in results.items()
    )
