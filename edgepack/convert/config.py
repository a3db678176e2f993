"""A checkpoint's config.json with its class's defaults filled in, read by type; knows no architecture."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edgepack.domain.errors import BadInputError

_WRONG_CONFIG = "check the checkpoint's config.json, or fetch the checkpoint again"
# GGUF keeps sizes as uint32 and other numbers as float32.
_LARGEST_COUNT = (1 << 32) - 1
_LARGEST_REAL = 3.4028234663852886e38


def read_json(path: Path) -> Mapping[str, object]:
    """One JSON object from a checkpoint's file; raises BadInputError for anything else.

    A file that stays as it is is read once, however many ask: a tokenizer's takes a fifth of a second.
    """
    stat = path.stat()
    return _read_json(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read_json(path: Path, *_identity: int) -> Mapping[str, object]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: not JSON ({error})", hint="fetch the checkpoint again") from error
    if not isinstance(table, dict):
        raise BadInputError(f"{path}: expected a JSON object", hint="fetch the checkpoint again")
    return table


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What config.json says, and what its class assumes where it is silent."""

    path: Path
    table: Mapping[str, object]

    @property
    def checkpoint_class(self) -> str:
        """The class that the checkpoint was saved from, as `architectures` names it."""
        names = self.table.get("architectures")
        if not isinstance(names, list) or not names or not isinstance(names[0], str):
            raise BadInputError(f"{self.path}: no architectures", hint=_WRONG_CONFIG)
        return names[0]

    def with_defaults(self, defaults: Mapping[str, object]) -> "Config":
        """The same config over `defaults`, which take the place of nulls too, as in the classes themselves."""
        silent = {key: value for key, value in defaults.items() if not self.has(key)}
        return Config(path=self.path, table={**self.table, **silent})

    def over(self, other: "Config") -> "Config":
        """What `other` says, and below it what this one does."""
        return Config(path=self.path, table={**self.table, **other.table})

    def has(self, key: str) -> bool:
        return self.table.get(key) is not None

    def count(self, key: str) -> int:
        """A size: a whole number above zero, of 32 bits."""
        value = self.table.get(key)
        if type(value) is not int or not 0 < value <= _LARGEST_COUNT:
            raise self.wrong(key, "a whole number above zero, of 32 bits", value)
        return value

    def real(self, key: str) -> float:
        """A number that float32 can hold; not NaN, and no infinity."""
        value = self.table.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST_REAL:
            raise self.wrong(key, "a number", value)
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty where the key is absent or null."""
        value = self.table.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "a list of strings", value)
        return tuple(value)

    def reals(self, key: str) -> tuple[float, ...]:
        """A list of numbers; empty where the key is absent or null."""
        value = self.table.get(key) or []
        if not isinstance(value, list):
            raise self.wrong(key, "a list of numbers", value)
        items = Config(path=self.path, table={f"{key}[{index}]": item for index, item in enumerate(value)})
        return tuple(items.real(name) for name in items.table)

    def positive(self, key: str) -> float:
        """A number above zero."""
        value = self.real(key)
        if value <= 0:
            raise self.wrong(key, "a number above zero", value)
        return value

    def flag(self, key: str) -> bool:
        value = self.table.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false", value)
        return value

    def section(self, key: str) -> "Config":
        """A nested object; empty where the key is absent or null."""
        value = self.table.get(key) or {}
        if not isinstance(value, dict):
            raise self.wrong(key, "an object", value)
        return Config(path=self.path, table=value)

    def text(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is not None and not isinstance(value, str):
            raise self.wrong(key, "a string", value)
        return value

    def wrong(self, key: str, expected: str, value: object) -> BadInputError:
        """The error to raise for a value that is not what its key asks for; long and deep values are cut."""
        return BadInputError(
            f"{self.path}: {key}: expected {expected}, got {reprlib.repr(value)}", hint=_WRONG_CONFIG
        )


def read_config(directory: Path) -> Config:
    """The checkpoint's config.json, as it stands."""
    path = directory / "config.json"
    if not path.is_file():
        raise BadInputError(
            f"{directory}: no config.json", hint="point --model at a directory in Hugging Face layout"
        )
    return Config(path=path, table=read_json(path))
