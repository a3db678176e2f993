"""A bundle as a directory: written with fixed times and modes, read without following links."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgepack.domain.bundle import Format
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar
from edgepack.formats.copying import copy_file
from edgepack.formats.payload import DIRECTORY_MODE, WRITTEN_AT, Source
from edgepack.formats.reader import Kind, Member
from edgepack.formats.sums import CHUNK


def write_directory(sources: tuple[Source, ...], root: Path, bar: Bar) -> None:
    """Write the files under the new directory `root`; what stays after an error is the caller's to remove.

    The bar hears every byte. Raises OSError as the disk does, BadInputError where a file has changed.
    """
    root.mkdir()
    directories = {root}
    for source in sources:
        path = root / source.file.path
        directories |= {root / parent for parent in Path(source.file.path).parents}
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(source, path, bar)
    for directory in sorted(directories, reverse=True):  # the deepest first: writing inside changes the time
        directory.chmod(DIRECTORY_MODE)
        os.utime(directory, (WRITTEN_AT, WRITTEN_AT))


def _write(source: Source, path: Path, bar: Bar) -> None:
    if isinstance(source.content, bytes):
        path.write_bytes(source.content)
        bar.advance(len(source.content))
    else:
        copy_file(source.content, path, size=source.file.size, bar=bar)
    path.chmod(source.mode)
    os.utime(path, (WRITTEN_AT, WRITTEN_AT))


class DirectoryReader:
    """A bundle's directory as members; links and devices are reported, never opened."""

    format = Format.DIR

    def __init__(self, root: Path) -> None:
        self._root = root
        self.members = tuple(_members(root, ""))

    def chunks(self, member: Member) -> Iterator[bytes]:
        """A file's bytes. Raises BadInputError where it cannot be read."""
        path = self._root / member.path
        try:
            # A file that turned into a link since the directory was listed is not followed.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except OSError as error:
            what = f"{path}: cannot be read: {error.strerror}"
            raise BadInputError(what, hint="check the disk and who may read the bundle") from error

    def close(self) -> None:
        """Nothing is held open."""


def _members(directory: Path, prefix: str) -> Iterator[Member]:
    with os.scandir(directory) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            status = entry.stat(follow_symlinks=False)
            kind = _kind(status.st_mode)
            path = prefix + entry.name
            yield Member(
                path=path, kind=kind, size=status.st_size if kind is Kind.FILE else 0,
                mode=stat.S_IMODE(status.st_mode),
            )  # fmt: skip
            if kind is Kind.DIRECTORY:
                yield from _members(directory / entry.name, path + "/")


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.DIRECTORY
    return Kind.LINK if stat.S_ISLNK(mode) else Kind.SPECIAL
