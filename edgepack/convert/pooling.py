"""How an embedding model makes one vector of a text's many: what sentence-transformers' files say of it."""

import json
from pathlib import Path

from edgepack.convert.config import Config, read_json
from edgepack.convert.family import Key, KeyType
from edgepack.domain.checkpoint import POOLING_FOLDER
from edgepack.domain.errors import BadInputError

MEAN, CLS, LAST = 1, 2, 3  # enum llama_pooling_type in llama.h
_FLAGS = {"pooling_mode_mean_tokens": MEAN, "pooling_mode_cls_token": CLS, "pooling_mode_lasttoken": LAST}
_MODES = {"mean": MEAN, "cls": CLS, "lasttoken": LAST}
# Normalizing is left to whoever runs the model, as llama.cpp leaves it.
_KNOWN = ("Transformer", "Pooling", "Normalize")
_HINT = "choose another model: llama.cpp would give other vectors than this one's"


def _pooling(config: Config) -> int | None:
    """llama.cpp's number for it; None where no modules.json makes the checkpoint one that embeds."""
    path = config.path.with_name("modules.json")
    if not path.is_file():
        return None
    folder = next((place for kind, place in _modules(path) if kind == "Pooling"), None)
    return _mode(path.parent / folder / "config.json") if folder is not None else None


def _modules(path: Path) -> list[tuple[str, str]]:
    """(kind, folder) of each module that a text goes through."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: not JSON ({error})", hint="fetch the checkpoint again") from error
    return [_module(path, entry) for entry in (listed if isinstance(listed, list) else [listed])]


def _module(path: Path, entry: object) -> tuple[str, str]:
    match entry:
        case {"type": str(name), "path": str(folder)}:
            kind = next((known for known in _KNOWN if name.endswith(known)), None)
            if kind is None:
                raise BadInputError(f"{path}: llama.cpp does not compute {name[-60:]!r}", hint=_HINT)
            # No other folder is fetched, and none outside of the checkpoint is read.
            if kind == "Pooling" and not POOLING_FOLDER.fullmatch(folder):
                raise BadInputError(
                    f"{path}: path: expected a folder such as 1_Pooling, got {folder[:60]!r}",
                    hint="lay the pooling's config.json into 1_Pooling, and correct modules.json",
                )
            return kind, folder
        case _:
            raise BadInputError(f"{path}: a module without type or path", hint="fetch the checkpoint again")


def _mode(path: Path) -> int:
    if not path.is_file():
        raise BadInputError(f"{path}: not here, and modules.json names it", hint="fetch the checkpoint again")
    table = read_json(path)
    said = next((number for flag, number in _FLAGS.items() if table.get(flag)), None)
    mode = table.get("pooling_mode")
    found = said or (_MODES.get(mode) if isinstance(mode, str) else None)
    if found is None:
        raise BadInputError(f"{path}: llama.cpp pools by mean, first or last token only", hint=_HINT)
    return found


POOLING = Key("pooling_type", KeyType.UINT32, _pooling)
"""Behind a family's other hyperparameters."""
