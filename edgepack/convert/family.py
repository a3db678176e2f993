"""What a family of architectures declares: its classes, its keys, its tensors. Knows no family."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgepack.convert.config import Config
from edgepack.convert.vocabulary import Vocabulary
from edgepack.domain.memory import Working

Size: TypeAlias = Callable[[Config], int]
Default: TypeAlias = int | float | str | bool | Callable[[Config], object]
"""What a checkpoint's config class assumes where config.json is silent; a function computes it from the rest."""

Weights: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float16]
Change: TypeAlias = Callable[[Weights, int], Weights]
"""New values for some rows of weights, (rows, columns), and the number of the first of them.

A vector is one column. Rows are float16 where the checkpoint holds that, and so becomes the result; else float32.
"""

VocabularyReader: TypeAlias = Callable[[Path, Config], Vocabulary | None]
"""Reads a checkpoint's vocabulary from its directory; None where it is not kept that way."""

Value: TypeAlias = int | float | bool | str | tuple[int, ...] | tuple[float, ...] | tuple[bool, ...] | tuple[str, ...]


class KeyType(Enum):
    """The GGUF value types that hyperparameters use."""

    UINT32 = 4
    INT32 = 5
    FLOAT32 = 6
    BOOL = 7
    STRING = 8


@dataclass(frozen=True, slots=True)
class Key:
    """One hyperparameter, written only where `value` gives something; a tuple becomes an array of `type`.

    It is written as `<architecture>.<name>`, but a name that begins with `tokenizer.` as it stands. Of two
    keys with the same name the later one gives the value, at the place of the first.
    """

    name: str
    type: KeyType
    value: Callable[[Config], Value | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowOrder:
    """Which stored row (of a vector: which element) each written one is; not all need be taken.

    A slab holds whole `unit`s of written rows: choose it so that a unit's stored rows lie together.
    """

    rows: npt.NDArray[np.int64]
    unit: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a family's table: a tensor's name in the checkpoint, in the GGUF, and its stored shape.

    `{n}` in a name stands for the layer. Several rows may take their parts of the same stored tensor.
    """

    stored: str
    written: str
    shape: tuple[Size, ...]
    optional: bool = False
    """Whether it may be absent (a bias, a tied head)."""
    layers: Callable[[Config, int], bool] | None = None
    """Which layers have it, where not all do."""
    block: Size | None = None
    """The layer that it is written to, where its stored name has no number."""
    order: Callable[[Config], RowOrder | None] | None = None
    change: Callable[[Config], Change | None] | None = None
    """Applied after `order`."""
    becomes: tuple[Size, ...] | None = None
    """The written shape, where it is not that of the rows taken: the same weights, seen otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratedTensor:
    """A tensor that the checkpoint does not hold: float32 values computed from the config."""

    name: str
    values: npt.NDArray[np.float32]


def plain_name(name: str) -> str | None:
    """The name of a stored tensor as it stands; None for the tables that old checkpoints keep and nothing needs."""
    return None if name.endswith((".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias")) else name


def name_without_head(name: str) -> str | None:
    """As `plain_name`, and None for a head: the embedding does its work, whatever the checkpoint repeats."""
    return None if name == "lm_head.weight" else plain_name(name)


def name_with_model(name: str) -> str | None:
    """As `plain_name`, where a checkpoint may have been saved without its head, and `model.` with it."""
    whole = name.startswith(("model.", "lm_head."))
    return plain_name(name if whole else f"model.{name}")


_SIGHT = re.compile(r"(model\.)?(vision_tower|visual|multi_modal_projector)\.")


def text_part_name(name: str) -> str | None:
    """As `plain_name`, in a model that sees as well; None for what it sees with."""
    return None if _SIGHT.match(name) else plain_name(name.replace("language_model.", ""))


def nothing(_config: Config) -> tuple[str, ...]:
    """No stored tensor is superfluous."""
    return ()


def every_layer(_config: Config, _number: int) -> bool:
    return True


def no_state(_config: Config) -> int:
    return 0


def no_window(_config: Config, _number: int) -> int | None:
    return None


def nothing_recurs(_config: Config) -> Working:
    return Working()


def as_it_says(config: Config, _stored: Collection[str]) -> Config:
    """The config itself: the names of the stored tensors tell nothing that it does not."""
    return config


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """One GGUF architecture and the checkpoint classes that become it."""

    architecture: str
    """llama.cpp's name for it (`general.architecture`)."""
    classes: Mapping[str, Mapping[str, Default]]
    """Checkpoint class -> what its config class assumes where config.json is silent."""
    vocabularies: tuple[VocabularyReader, ...]
    """Where the vocabulary is looked for, in the oracle's order."""
    rows: tuple[Row, ...]
    keys: tuple[Key, ...]
    """In the oracle's order; most families begin with `DECODER_KEYS` (hyperparameters.py)."""
    keys_before: tuple[Key, ...] = ()
    """Those that come before all others."""
    keys_after: tuple[Key, ...] = ()
    """Those that come behind the vocabulary."""
    generated: tuple[Callable[[Config], GeneratedTensor | None], ...] = ()
    requires: tuple[Callable[[Config], None], ...] = ()
    """What must hold for llama.cpp to compute what the class does; each raises BadInputError where it does not."""
    known_as: Callable[[str], str | None] = plain_name
    """The name by which `rows` know a stored tensor; None for one that nothing needs."""
    left_out: Callable[[Config], tuple[str, ...]] = nothing
    """Stored tensors, as `rows` know them, that this config makes superfluous."""
    noticed: Callable[[Config, Collection[str]], Config] = as_it_says
    """The completed config, corrected by the names of the stored tensors where the oracle believes these."""
    caching: Callable[[Config, int], bool] = every_layer
    """Which layers keep keys and values of every token."""
    state: Callable[[Config], int] = no_state
    """Numbers that all recurrent layers keep of a sequence, however long it is."""
    window: Callable[[Config, int], int | None] = no_window
    """Tokens that a layer looks back, where llama.cpp keeps no more of them."""
    working: Callable[[Config], Working] = nothing_recurs
    """What a recurrent layer works with."""

    def complete(self, config: Config) -> Config:
        """`config` with its text part on top and its class's defaults below: the plain ones, then the computed.

        Raises BadInputError where llama.cpp would compute something else.
        """
        name = config.checkpoint_class
        if config.has("text_config"):
            config = config.over(config.section("text_config"))
        defaults = self.classes[name]
        plain = config.with_defaults({key: value for key, value in defaults.items() if not callable(value)})
        computed = {key: value(plain) for key, value in defaults.items() if callable(value)}
        whole = plain.with_defaults(computed)
        for check in self.requires:
            check(whole)
        return whole
