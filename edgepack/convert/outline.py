"""What a model's GGUF will hold, known from its config.json alone: planned before any weight is fetched."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import gguf

from edgepack.convert.config import Config
from edgepack.convert.family import Family, Row, Value
from edgepack.convert.metadata import write_hyperparameters
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.table import family_of
from edgepack.convert.tensors import Source, layers_with, match
from edgepack.convert.typeplan import TypePlan
from edgepack.domain.catalogue import CatalogueModel

_ELEMENT_BYTES = {"BF16": 2, "F16": 2, "F32": 4}
_DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
# Whether the layers of attention have biases, by whatever name a class asks for them.
_BIASES = ("attention_bias", "use_qkv_bias")


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """A model as its config describes it: the tensors that its checkpoint must have, and those of its GGUF."""

    family: Family
    config: Config
    plan: TypePlan
    """Its tensors, and their types for every quantization."""

    @property
    def architecture(self) -> str:
        """By llama.cpp's name."""
        return self.family.architecture

    @property
    def parameters(self) -> int:
        """Weights in the checkpoint, counted from its tensors."""
        return sum(source.elements for source in self.plan.sources if isinstance(source.origin, StoredTensor))

    @property
    def context_length(self) -> int:
        """Tokens that a text may have; a class may count positions that none of them takes."""
        said = self.said("context_length")
        return said if isinstance(said, int) else self.config.count("max_position_embeddings")

    @property
    def embeds(self) -> bool:
        """Whether it was trained to give vectors of texts rather than to write."""
        return self.said("attention.causal") is False or self.said("pooling_type") is not None

    def said(self, name: str) -> Value | None:
        """What the GGUF says under the architecture's key of that name."""
        values = [key.value(self.config) for key in self.family.keys if key.name == name]
        return next((value for value in reversed(values) if value is not None), None)


def outline(config: Config) -> Outline:
    """What `config` describes; raises BadInputError for a class that is not converted and for senseless sizes."""
    family = family_of(config)
    config = family.complete(config)
    tensors = {tensor.name: tensor for tensor in _described(family, config)}
    config = family.noticed(config, tensors)
    return Outline(family=family, config=config, plan=plan_of(family, config, match(family, config, tensors)))


def plan_of(family: Family, config: Config, sources: list[Source]) -> TypePlan:
    """The plan of a model's types, which its weights do not change."""

    def write_keys(writer: gguf.GGUFWriter) -> None:
        write_hyperparameters(family, config, writer)

    return TypePlan(architecture=family.architecture, write_keys=write_keys, sources=tuple(sources))


def config_of(model: CatalogueModel) -> Config:
    """The config.json of a listed model, as far as the catalogue has it."""
    usual = {"max_position_embeddings": model.context, "torch_dtype": "bfloat16"}
    told = {"architectures": [model.architecture], **usual, **model.config.values}
    return Config(path=Path(model.id, "config.json"), table=told)


def _described(family: Family, config: Config) -> Iterator[StoredTensor]:
    """The tensors of a checkpoint, none of which is there."""
    dtype = _DTYPES.get(config.text("torch_dtype") or config.text("dtype") or "", "BF16")
    for row in family.rows:
        if not row.optional or _is_said(row, config):
            shape = tuple(size(config) for size in row.shape)
            for layer in layers_with(row, config):
                name = row.stored.format(n=layer)
                size = prod(shape) * _ELEMENT_BYTES[dtype]
                yield StoredTensor(name=name, path=config.path, dtype=dtype, shape=shape, offset=0, size=size)


def _is_said(row: Row, config: Config) -> bool:
    """Whether the config asks for what a checkpoint may leave out: a head of its own, biases."""
    if row.stored == "lm_head.weight":
        return not config.flag("tie_word_embeddings")
    return row.stored.endswith(".bias") and any(config.flag(key) for key in _BIASES)
