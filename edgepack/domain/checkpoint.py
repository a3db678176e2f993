"""A Hugging Face checkpoint at one commit: its files by digest, and which files of a listing it needs."""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from edgepack.domain.errors import BadInputError

LOCAL = "local"
"""The revision of files that no hub gave a commit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointFile:
    """A file in the checkpoint's directory, or in its pooling folder: bytes, and 64 hexadecimal digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """A directory whose files were present and verified when this was made."""

    directory: Path
    origin: str
    """Where it is from: `hub:ORGANIZATION/NAME`, `demo:NAME` or `directory:NAME`; never a path."""
    revision: str
    """A commit of 40 hexadecimal digits, or `local`."""
    files: tuple[CheckpointFile, ...]
    """Only those that edgepack reads, by name."""

    @property
    def name(self) -> str:
        """The last part of its origin, of which a GGUF makes the model's name."""
        return self.origin.rpartition(":")[2].rpartition("/")[2]

    @property
    def digest(self) -> str:
        """64 hexadecimal digits over names and contents: equal wherever the same files lie."""
        lines = sorted(f"{file.sha256}  {file.name}\n" for file in self.files)
        return sha256("".join(lines).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def terms(self) -> tuple[Path, ...]:
        """Its licence files."""
        return tuple(self.path(file.name) for file in self.files if is_terms(file.name))

    def path(self, name: str) -> Path:
        """Where the file of that name lies."""
        return self.directory / name


INDEX = "model.safetensors.index.json"
_CONFIG = "config.json"
_TOKENIZERS = ("tokenizer.json", "tokenizer.model")
_COMPANIONS = frozenset({
    _CONFIG, *_TOKENIZERS, "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "README.md",
    "modules.json", "sentencepiece.bpe.model",
})  # fmt: skip
POOLING_FOLDER = re.compile(r"[0-9]{1,2}_Pooling")
"""Where sentence-transformers keeps how vectors are pooled: the only folder out of which anything is read."""
_POOLING = re.compile(rf"{POOLING_FOLDER.pattern}/config\.json")
# Terms travel with the weights under any of these names, whatever their case and ending.
_TERMS = re.compile(r"(licen[sc]e|notice|use_policy|copying)", re.IGNORECASE)
# Names that a repository may hold and that mean nothing to a file system but themselves.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+ -]*")
_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_PICKLES = re.compile(r".*\.(bin|pt|pth|ckpt|pkl)")
_LISTED = 3


def needed_files(names: Collection[str], *, read_index: Callable[[], str], where: str) -> tuple[str, ...]:
    """The files that edgepack reads, out of all the names in a checkpoint, in order.

    `read_index` gives the text of the index of shards, and is called only where one is listed; the shards
    are those that it names. `where` names the checkpoint in errors. Raises BadInputError where files are
    missing, and where the only weights are pickles: those are never loaded.
    """
    weights = weight_files(names, read_index=read_index, where=where)
    _require(names, where)
    companions = [name for name in names if _is_companion(name)]
    index = [INDEX] if INDEX in names else []
    return tuple(_plain(name, where) for name in sorted({*companions, *index, *weights}))


def weight_files(names: Collection[str], *, read_index: Callable[[], str], where: str) -> list[str]:
    """Those of the names that hold weights: what the index names, else one file, else what looks like shards.

    Only these does a checkpoint's digest cover. Raises what `needed_files` raises of them.
    """
    if INDEX in names:
        shards = [_plain(name, where) for name in _shards(read_index(), where)]
        if missing := [name for name in shards if name not in names]:
            raise _half_delivered(missing, len(shards), where)
        return shards
    if "model.safetensors" in names:
        return ["model.safetensors"]
    if weights := sorted(name for name in names if _WEIGHTS.fullmatch(name)):
        return weights
    raise _no_weights(names, where)


def _is_companion(name: str) -> bool:
    if "/" in name:
        return _POOLING.fullmatch(name) is not None
    return name in _COMPANIONS or is_terms(name)


def is_terms(name: str) -> bool:
    """Whether a file of that name says under which terms the weights are given."""
    return _TERMS.match(name) is not None


def _plain(name: str, where: str) -> str:
    if not _PLAIN.fullmatch(name) and not _POOLING.fullmatch(name):
        raise BadInputError(f"{where}: {name!r}: no plain file name", hint="do not trust this checkpoint")
    return name


def _require(names: Collection[str], where: str) -> None:
    if _CONFIG not in names:
        raise BadInputError(
            f"{where}: no {_CONFIG}", hint="give a checkpoint in Hugging Face layout, with its weights' config"
        )
    if not any(name in names for name in _TOKENIZERS):
        raise BadInputError(
            f"{where}: no tokenizer ({' or '.join(_TOKENIZERS)})",
            hint="give the checkpoint that has its tokenizer beside the weights",
        )


def _shards(index: str, where: str) -> list[str]:
    try:
        table = json.loads(index)
    except ValueError as error:
        raise BadInputError(f"{where}: {INDEX}: not JSON: {error}", hint="get this file again") from error
    weights = table.get("weight_map") if isinstance(table, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise BadInputError(f"{where}: {INDEX}: weight_map: expected a table of tensors", hint="get this file again")
    for tensor, name in weights.items():
        if not isinstance(name, str):
            raise BadInputError(
                f"{where}: {INDEX}: weight_map.{tensor}: expected a file name", hint="get this file again"
            )
    return sorted(set(weights.values()))


def _half_delivered(missing: list[str], shards: int, where: str) -> BadInputError:
    more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
    return BadInputError(
        f"{where}: {INDEX} names {shards} shards, {len(missing)} are missing: {', '.join(missing[:_LISTED])}{more}",
        hint="the checkpoint is half-delivered: get the missing files, or name another revision",
    )


def _no_weights(names: Collection[str], where: str) -> BadInputError:
    if any(_PICKLES.fullmatch(name) for name in names):
        return BadInputError(
            f"{where}: only pickled weights (.bin, .pt, .pth), which are never loaded: they can run code",
            hint="find a revision or a copy of the model with .safetensors files",
        )
    if gguf := sorted(name for name in names if name.endswith(".gguf")):
        return BadInputError(
            f"{where}: no .safetensors, but GGUF files ({gguf[0]})",
            hint="download the GGUF and give its path, or name the repository that it was made from",
        )
    return BadInputError(
        f"{where}: no {INDEX} and no model.safetensors", hint="name a checkpoint with .safetensors weights"
    )
