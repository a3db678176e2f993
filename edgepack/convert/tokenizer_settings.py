"""What tokenizer.json says beside its model, read without it: its tokens and merges may take 400 MB as objects."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from edgepack.convert.config import read_json

_MODEL = re.compile(rb'"model"\s*:\s*\{')
# Tokens of these names have numbers, sections have parts.
_SECTION = re.compile(rb'"(added_tokens|normalizer|post_processor)"\s*:\s*[\[{]')


def read_tokenizer_settings(path: Path) -> Mapping[str, object]:
    """As `read_json`, with an empty model where the model comes last, as the tokenizers library writes it."""
    data = path.read_bytes()
    if data[-64:].rstrip().endswith(b"}"):
        for model in _MODEL.finditer(data):
            if not _SECTION.search(data, model.end()) and (settings := _closed(data[: model.start()])):
                return settings
    return read_json(path)


def _closed(before: bytes) -> Mapping[str, object] | None:
    """The object of which `before` is the beginning, up to its model; None where it is not."""
    try:
        settings = json.loads(before + b'"model": {}}')
    except (ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None
