"""Brings a checkpoint to this machine, whole and verified; it does not know what the weights mean."""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

import edgepack
from edgepack.domain.checkpoint import INDEX, LOCAL, POOLING_FOLDER, Checkpoint, CheckpointFile, needed_files
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.progress import Progress
from edgepack.domain.source import (
    DemoSource,
    DirectorySource,
    GgufSource,
    HubSource,
    OnnxSource,
    Source,
    parse_source,
    with_revision,
)
from edgepack.infra.digests import sha256_of
from edgepack.infra.hub import fetch_repository
from edgepack.infra.library import load_catalogue

_LFS_POINTER = b"version https://git-lfs"


def find_source(text: str, *, revision: str | None = None) -> Source:
    """What a model argument means, by the catalogue and by what lies on disk.

    Raises UsageError for a text that means nothing, BadInputError for a path where nothing fitting lies.
    """
    catalogue = load_catalogue()

    def hub_id(name: str) -> str | None:
        model = catalogue.find(name)
        return model.hub_id if model else None

    source = parse_source(
        text, catalogue_hub_id=hub_id, is_directory=Path.is_dir, is_file=Path.is_file, nearest=catalogue.nearest
    )
    return with_revision(source, revision)


def fetch(source: Source, *, cache: Path, progress: Progress, offline: bool) -> Checkpoint:
    """The checkpoint of `source`, on this machine, every file verified or hashed.

    `cache` keeps what the hub delivered, and remembered digests. Raises BadInputError for a checkpoint that
    is not whole, NetworkError for whatever goes wrong with the hub, NoSpaceError before the disk is full.
    """
    match source:
        case HubSource(repository=repository, revision=revision):
            return fetch_repository(repository, revision, cache=cache, progress=progress, offline=offline)
        case DemoSource(name=demo):
            directory = Path(edgepack.__file__).parent / "data" / demo
            return _on_disk(directory, origin=f"demo:{demo}", cache=cache, progress=progress)
        case DirectorySource(path=path):
            origin = f"directory:{path.resolve().name}"
            return _on_disk(path, origin=origin, cache=cache, progress=progress)
        case GgufSource(path=path) | OnnxSource(path=path):
            raise UsageError(
                f"{path}: ready weights need no fetching", hint="give it to edgepack build or edgepack bench as it is"
            )
        case _:
            assert_never(source)


def _on_disk(directory: Path, *, origin: str, cache: Path, progress: Progress) -> Checkpoint:
    try:
        sizes = {name: (directory / name).stat().st_size for name in _listed(directory)}
        names = needed_files(
            sizes,
            read_index=lambda: (directory / INDEX).read_text(encoding="utf-8"),
            where=str(directory),
        )
        for name in names:
            _refuse_pointer(directory / name)
        files = _hashed(directory, {name: sizes[name] for name in names}, cache / "digests", progress)
    except UnicodeDecodeError as error:
        raise BadInputError(f"{directory}: the index of shards is not UTF-8", hint="get this file again") from error
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise BadInputError(
            f"{error.filename}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    return Checkpoint(directory=directory.resolve(), origin=origin, revision=LOCAL, files=files)


def _listed(directory: Path) -> Iterator[str]:
    """Its files and those of its pooling folder, by the names that a hub would list."""
    pooling = (path for path in directory.iterdir() if POOLING_FOLDER.fullmatch(path.name) and path.is_dir())
    for place in (directory, *pooling):
        yield from (str(path.relative_to(directory)) for path in place.iterdir() if path.is_file())


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise BadInputError(
                f"{path}: a git-lfs pointer, not the file itself", hint="run: git lfs pull, in that checkout"
            )


def _hashed(directory: Path, sizes: dict[str, int], memo: Path, progress: Progress) -> tuple[CheckpointFile, ...]:
    with progress.bar("digest of the checkpoint", sum(sizes.values()), "B") as bar:
        return tuple(
            CheckpointFile(
                name=name,
                size=size,
                sha256=sha256_of(directory / name, memo=memo, advance=bar.advance),
            )
            for name, size in sizes.items()
        )
