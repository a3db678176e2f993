"""What a model argument means: the package's demo, a hub repository, a directory, or ready weights. Opens nothing."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.quant import OnnxQuant, Quant


class Demo(StrEnum):
    """The models that the package carries, by their rounded parameters."""

    SMALL = "demo-1m"
    LARGE = "demo-5m"


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoSource:
    """A checkpoint that came with edgepack."""

    name: Demo


@dataclass(frozen=True, kw_only=True, slots=True)
class HubSource:
    """A repository on the hub; `revision` is a branch, a tag or a commit, None for the default branch."""

    repository: str
    revision: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectorySource:
    """A checkpoint that lies on this machine."""

    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufSource:
    """Weights that are converted already."""

    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class OnnxSource:
    """An encoder that is converted already."""

    path: Path


Source: TypeAlias = DemoSource | HubSource | DirectorySource | GgufSource | OnnxSource

Wanted: TypeAlias = tuple[str, Source, Quant | OnnxQuant | None]
"""A model as somebody called it, what that means, and a quantization; None: those usual for it."""

_DEMOS = {"demo": Demo.LARGE, **{demo.value: demo for demo in Demo}}

# The hub's own rule for repository names: 96 characters, no leading or trailing - or ., no -- and no .. inside.
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_]|[-.](?![-.]))*(?<![-.])"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_LONGEST_REPOSITORY = 96
# What git allows in names of branches and tags, and is not mistaken for an option, a path upwards or a query.
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./+-]*(?<![./])")
_PATH_STARTS = ("/", "./", "../", "~")
_READY = (".gguf", ".onnx")
_WAYS = "give a catalogue id, ORGANIZATION/NAME[@REVISION] on the hub, a directory, a .gguf or .onnx file, or demo"


def is_demo(text: str) -> bool:
    """Whether a model argument means a model of the package, whatever lies on disk under its name."""
    return text in _DEMOS


def parse_source(
    text: str,
    *,
    catalogue_hub_id: Callable[[str], str | None],
    is_directory: Callable[[Path], bool],
    is_file: Callable[[Path], bool],
    nearest: Callable[[str], tuple[str, ...]] = lambda _: (),
) -> Source:
    """What `text` means: names that edgepack knows come first, then what lies on disk, then the hub.

    `catalogue_hub_id` gives the repository of a catalogue id, `nearest` the ids that a mistyped one may mean.
    Raises UsageError for a text that means nothing, BadInputError for a path where nothing fitting lies.
    """
    if text in _DEMOS:
        return DemoSource(name=_DEMOS[text])
    name, revision = _split_revision(text)
    if "/" not in name and (repository := catalogue_hub_id(name)):
        return HubSource(repository=repository, revision=_checked_revision(revision))
    path = Path(text)
    if is_directory(path):
        return DirectorySource(path=path)
    if is_file(path) or text.endswith(_READY) or text.startswith(_PATH_STARTS):
        return _ready(path, exists=is_file(path))
    if len(name) <= _LONGEST_REPOSITORY and _REPOSITORY.fullmatch(name):
        # A repository of the catalogue is spelt as the hub spells it, so that one model is one key.
        repository = catalogue_hub_id(name) or name
        return HubSource(repository=repository, revision=_checked_revision(revision))
    raise _unknown(text, nearest(name))


def with_revision(source: Source, revision: str | None) -> Source:
    """`source` at the revision that an option names; UsageError where that makes no sense."""
    if revision is None:
        return source
    if not isinstance(source, HubSource):
        raise UsageError(
            "--revision: only a hub repository has revisions", hint="leave --revision away for a local model"
        )
    if source.revision not in (None, revision):
        raise UsageError(
            f"--revision {revision}: the model says @{source.revision}", hint="name one revision, not two"
        )
    return replace(source, revision=_checked_revision(revision))


def _split_revision(text: str) -> tuple[str, str | None]:
    name, at, revision = text.partition("@")
    return name, revision if at else None


def _checked_revision(revision: str | None) -> str | None:
    if revision is not None and not _REVISION.fullmatch(revision):
        raise UsageError(
            f"revision {revision!r}: not a branch, tag or commit", hint="write M@main, or M@ and a commit"
        )
    return revision


def _ready(path: Path, *, exists: bool) -> GgufSource | OnnxSource:
    """Weights, by what their name ends in."""
    if not exists:
        raise BadInputError(f"{path}: no such file or directory", hint=f"check the path, or {_WAYS}")
    if path.suffix not in _READY:
        raise BadInputError(
            f"{path}: a file that is no .gguf and no .onnx",
            hint="give the directory that holds config.json, the tokenizer and the .safetensors files",
        )
    return OnnxSource(path=path) if path.suffix == ".onnx" else GgufSource(path=path)


def _unknown(text: str, near: tuple[str, ...]) -> UsageError:
    hint = f"did you mean {' or '.join(near)}? `edgepack model list` shows all" if near else _WAYS
    return UsageError(f"model {text!r}: no id of the catalogue, no repository, no path", hint=hint)
