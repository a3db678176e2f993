"""What a family of architectures declares: its classes, its keys, its tensors. Knows no family."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgepack.convert.config import Config

Array: TypeAlias = npt.NDArray[np.generic]
Size: TypeAlias = Callable[[Config], int]


Default: TypeAlias = int | float | Callable[[Config], int]


class VocabularyKind(Enum):
    """The ways a checkpoint keeps its vocabulary."""

    SENTENCEPIECE = "tokenizer.model"
    LLAMA_JSON = "tokenizer.json with SentencePiece's pieces and bytes"
    BYTE_LEVEL = "tokenizer.json with byte-level merges"


class KeyType(Enum):
    """The GGUF value types that hyperparameters use."""

    UINT32 = 4
    FLOAT32 = 6
    BOOL = 7
    STRING = 8


@dataclass(frozen=True, slots=True)
class Key:
    """One hyperparameter: `<architecture>.<name>`; written only where `value` gives something."""

    name: str
    type: KeyType
    value: Callable[[Config], int | float | bool | str | None]


@dataclass(frozen=True, slots=True)
class RowChange:
    """A change of a tensor's rows on their way: `apply` takes (rows, columns), rows a multiple of `unit`."""

    unit: int
    apply: Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a family's table: a tensor's name in the checkpoint, in the GGUF, and its shape.

    `{n}` in a name stands for the layer. An optional tensor may be absent (a bias, a tied head).
    """

    stored: str
    written: str
    shape: tuple[Size, ...]
    optional: bool = False
    change: Callable[[Config], RowChange] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedTensor:
    """A tensor that the checkpoint does not hold: float32 values computed from the config."""

    name: str
    values: npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One GGUF architecture and the checkpoint classes that become it."""

    architecture: str
    """llama.cpp's name for it (`general.architecture`)."""
    classes: Mapping[str, Mapping[str, Default]]
    """Checkpoint class -> what its config class assumes where config.json is silent."""
    vocabularies: tuple[VocabularyKind, ...]
    """Where the vocabulary is looked for, in the oracle's order."""
    rows: tuple[Row, ...]
    keys: tuple[Key, ...] = ()
    """Beyond those that all decoders write (hyperparameters.py), in the oracle's order."""
    generated: tuple[Callable[[Config], GeneratedTensor | None], ...] = ()
    dropped: tuple[str, ...] = (".rotary_emb.inv_freq",)
    """Endings of tensor names that nothing needs."""

    def complete(self, config: Config) -> Config:
        """`config` with its class's defaults, first the plain ones, then those computed from them."""
        defaults = self.classes[config.checkpoint_class]
        plain = config.with_defaults({key: value for key, value in defaults.items() if not callable(value)})
        computed = {key: value(plain) for key, value in defaults.items() if callable(value)}
        return plain.with_defaults(computed)
