"""Phi-3's SentencePiece: added tokens as they stand, from tokenizer.json too; and Phi-4-mini's byte-level BPE."""

from collections.abc import Iterable
from pathlib import Path

from edgepack.convert.config import Config
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.sentencepiece import (
    read_sentencepiece,
    tokens_as_they_stand,
    tokens_of_added_json,
)
from edgepack.convert.vocabulary import Token, Vocabulary, tokenizer_config


def phi3(directory: Path, config: Config) -> Vocabulary | None:
    """Phi-4-mini says by its tokenizer's class that it keeps another vocabulary."""
    if tokenizer_config(directory).text("tokenizer_class") == "GPT2Tokenizer":
        return byte_level(directory, config)
    return read_sentencepiece(directory, config, _added_by_files)


def _added_by_files(directory: Path, size: int) -> Iterable[tuple[int, Token]]:
    yield from tokens_of_added_json(directory, size)
    yield from ((token_id, token) for token_id, token in tokens_as_they_stand(directory) if token_id < size)
