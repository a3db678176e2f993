"""What a family of encoders declares for ONNX: its tensors, its graph, and where its heads read; knows no family."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from edgepack.convert.config import Config
from edgepack.convert.family import Family
from edgepack.convert.onnx.parts import Parts
from edgepack.domain.encoder import Gives


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The graph's inputs by their names; each is (texts, tokens)."""

    ids: str
    mask: str
    """1 for a token of the text, 0 for padding."""
    types: str | None
    """Which of two texts a token is of, where the family tells them apart."""


Body: TypeAlias = Callable[[Parts, Config, Inputs], str]
"""From a text's tokens to their last states (texts, tokens, hidden)."""
Head: TypeAlias = Callable[[Parts, Config, Inputs, str], str]
"""From the last states to what the encoder gives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderFamily:
    """Checkpoint classes of one architecture with one kind of head."""

    family: Family
    """Its classes and tensors; its keys say `context_length`."""
    body: Body
    head: Head
    gives: Gives
    typed: bool = False
    """Whether it has embeddings that tell the two texts of a pair apart."""
