"""Models known by name: shape, licence, published scores; it knows nothing of files or quantizations."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from edgepack.domain.errors import BadInputError
from edgepack.domain.reading import Table

SCHEMA = 1


class Architecture(StrEnum):
    """Model classes as a checkpoint's config.json names them."""

    LLAMA = "LlamaForCausalLM"
    MISTRAL = "MistralForCausalLM"
    QWEN2 = "Qwen2ForCausalLM"
    QWEN3 = "Qwen3ForCausalLM"
    PHI3 = "Phi3ForCausalLM"


class ModelKind(StrEnum):
    """What a model gives back."""

    INSTRUCT = "instruct"
    EMBEDDING = "embedding"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    """The sizes that decide a decoder's parameters, its KV cache and its speed."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    """Whether the output matrix is the token embedding."""
    qkv_bias: bool
    qk_norm: bool

    def parameters(self) -> int:
        """Weights in all tensors of a checkpoint of this shape."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + self.layers * self._layer() + self.hidden

    def _layer(self) -> int:
        query, key_value = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = 2 * self.hidden * query + 2 * self.hidden * key_value
        biases = query + 2 * key_value if self.qkv_bias else 0
        head_norms = 2 * self.head_dim if self.qk_norm else 0
        gate_up_down = 3 * self.hidden * self.ffn
        norms = 2 * self.hidden
        return attention + biases + head_norms + gate_up_down + norms


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Terms of use: `spdx` is None where SPDX has no identifier for them."""

    name: str
    spdx: str | None
    url: str | None
    gated: bool
    """Whether the hub hands the files only to people who accepted the terms."""
    gated_source: str
    restrictions: str | None
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Languages:
    """Languages by ISO 639-1 code as far as a source lists them, and in the publisher's words."""

    codes: tuple[str, ...]
    text: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """One published result, in the benchmark's own unit: percent nearly always, points of 10 for MT-Bench.

    Results of different settings or sources are not compared.
    """

    benchmark: str
    score: float
    setting: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueModel:
    """One checkpoint on the hub, as published."""

    id: str
    hub_id: str
    kind: ModelKind
    architecture: Architecture
    shape: ModelShape
    shape_source: str
    parameters: int
    parameters_source: str
    context: int
    """Tokens it was made for."""
    context_source: str
    licence: Licence
    languages: Languages
    released: str
    """ISO 8601: a day, or a month where the day is not known."""
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


def make_catalogue(families: Mapping[str, Mapping[str, object]]) -> Catalogue:
    """The catalogue out of its files' tables by file name; BadInputError names the place of a mistake."""
    models = [model for name, table in families.items() for model in parse_models(table, name=name)]
    by_id: dict[str, CatalogueModel] = {}
    for model in models:
        for key in (model.id.casefold(), model.hub_id.casefold()):
            if by_id.setdefault(key, model) is not model:
                raise BadInputError(f"catalogue: {key} is listed twice", hint="remove one of the entries")
    return Catalogue(models=tuple(sorted(models, key=lambda model: (model.parameters, model.id))))


def parse_models(table: Mapping[str, object], *, name: str) -> tuple[CatalogueModel, ...]:
    """The models of one family's file."""
    reader = Table(table, subject=f"catalogue {name}", hint="correct the entry in edgepack/data/catalogue")
    if (schema := reader.whole("schema")) != SCHEMA:
        reader.fail("schema", f"expected {SCHEMA}, got {schema}")
    sources = reader.table("sources").strings()
    models = tuple(_model(entry, sources) for entry in reader.tables("model", least=1))
    reader.finish()
    return models


def _model(table: Table, sources: Mapping[str, str]) -> CatalogueModel:
    architecture = table.choice("architecture", Architecture)
    shape = table.table("shape")
    model = CatalogueModel(
        id=table.text("id"),
        hub_id=table.text("hub_id"),
        kind=table.choice("kind", ModelKind),
        architecture=architecture,
        shape=_shape(shape, architecture),
        shape_source=_source(shape, sources),
        parameters=table.whole("parameters", least=1),
        parameters_source=_source(table, sources, "parameters_source"),
        context=table.whole("context", least=1),
        context_source=_source(table, sources, "context_source"),
        licence=_licence(table.table("licence"), sources),
        languages=_languages(table.table("languages"), sources),
        released=table.text("released"),
        released_source=_source(table, sources, "released_source"),
        scores=tuple(score for inner in table.tables("scores") for score in _scores(inner, sources)),
        note=table.text_or_none("note"),
    )
    shape.finish()
    table.finish()
    return model


def _source(table: Table, sources: Mapping[str, str], key: str = "source") -> str:
    """The text behind a key of the file's [sources]."""
    name = table.text(key)
    if name not in sources:
        table.fail(key, f"{name!r} is not in the file's [sources]")
    return sources[name]


def _shape(table: Table, architecture: Architecture) -> ModelShape:
    return ModelShape(
        layers=table.whole("layers", least=1),
        hidden=table.whole("hidden", least=1),
        ffn=table.whole("ffn", least=1),
        heads=table.whole("heads", least=1),
        kv_heads=table.whole("kv_heads", least=1),
        head_dim=table.whole("head_dim", least=1),
        vocabulary=table.whole("vocabulary", least=1),
        tied=table.flag("tied"),
        qkv_bias=architecture is Architecture.QWEN2,
        qk_norm=architecture is Architecture.QWEN3,
    )


def _licence(table: Table, sources: Mapping[str, str]) -> Licence:
    licence = Licence(
        name=table.text("name"),
        spdx=table.text_or_none("spdx"),
        url=table.text_or_none("url"),
        gated=table.flag("gated"),
        gated_source=_source(table, sources, "gated_source"),
        restrictions=table.text_or_none("restrictions"),
        source=_source(table, sources),
    )
    table.finish()
    return licence


def _languages(table: Table, sources: Mapping[str, str]) -> Languages:
    languages = Languages(codes=table.texts("codes"), text=table.text("text"), source=_source(table, sources))
    table.finish()
    return languages


def _scores(table: Table, sources: Mapping[str, str]) -> tuple[Score, ...]:
    setting, source = table.text("setting"), _source(table, sources)
    results = table.table("results").numbers()
    table.finish()
    return tuple(
        Score(benchmark=benchmark, score=score, setting=setting, source=source)
        for benchmark, score in results.items()
    )
