"""A bundle as one plain tar: one top directory, owner root, fixed times; weights do not compress.

The headers are written here, not by `tarfile`, so that no Python version changes a byte of them.
POSIX.1-2017 `pax`, "ustar Interchange Format"; long names and sizes of 8 GiB and more in pax records.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar
from edgepack.formats.payload import DIRECTORY_MODE, WRITTEN_AT, Payload, Source
from edgepack.formats.reader import BundleReader, Kind
from edgepack.formats.sums import file_chunks

BLOCK = 512
_LARGEST = 0o77777777777
"""Bytes; what the header's eleven octal digits hold."""


def tar_size(payload: Payload) -> int:
    """Bytes the archive needs at most: headers, pax records and padding included."""
    members = 2 * len(payload.all) + 1
    return payload.size + members * 4 * BLOCK + 2 * BLOCK


def write_tar(payload: Payload, path: Path, bar: Bar) -> None:
    """Write the archive to the new file `path`.

    The bar hears every byte of the files. Raises OSError as the disk does, BadInputError where a file has
    changed.
    """
    top = payload.manifest.facts.name
    made: set[str] = set()
    with path.open("xb") as archive:
        for source in payload.all:
            for directory in _parents(f"{top}/{source.file.path}"):
                if directory not in made:
                    made.add(directory)
                    archive.write(_header(directory + "/", mode=DIRECTORY_MODE, size=0, kind=b"5"))
            archive.write(_header(f"{top}/{source.file.path}", mode=source.mode, size=source.file.size, kind=b"0"))
            _write_content(archive, source, bar)
            archive.write(bytes(-source.file.size % BLOCK))
        archive.write(bytes(2 * BLOCK))
    path.chmod(0o644)


def rewrite_tar(reader: BundleReader, path: Path, *, top: str, files: Mapping[str, bytes], bar: Bar) -> None:
    """Write the members of a checked archive to the new file `path`, with these files after them or in their place.

    The bar hears every byte. Raises OSError as the disk does.
    """
    with path.open("xb") as archive:
        archive.write(_header(f"{top}/", mode=DIRECTORY_MODE, size=0, kind=b"5"))
        for member in reader.members:
            if member.kind is Kind.DIRECTORY:
                archive.write(_header(f"{top}/{member.path}/", mode=DIRECTORY_MODE, size=0, kind=b"5"))
            elif member.path not in files:
                archive.write(_header(f"{top}/{member.path}", mode=member.mode, size=member.size, kind=b"0"))
                for chunk in reader.chunks(member):
                    archive.write(chunk)
                    bar.advance(len(chunk))
                archive.write(bytes(-member.size % BLOCK))
        for name, content in files.items():
            archive.write(_header(f"{top}/{name}", mode=0o644, size=len(content), kind=b"0"))
            archive.write(content + bytes(-len(content) % BLOCK))
        archive.write(bytes(2 * BLOCK))
    path.chmod(0o644)


def write_members(files: Mapping[str, Path], path: Path, bar: Bar) -> None:
    """Write files under the names they get, in that order, to the new archive `path`; programs stay programs.

    The bar hears every byte. Raises OSError as the disk does.
    """
    made: set[str] = set()
    with path.open("xb") as archive:
        for name, file in files.items():
            for directory in _parents(name):
                if directory not in made:
                    made.add(directory)
                    archive.write(_header(directory + "/", mode=DIRECTORY_MODE, size=0, kind=b"5"))
            status = file.stat()
            mode = 0o755 if status.st_mode & 0o100 else 0o644
            archive.write(_header(name, mode=mode, size=status.st_size, kind=b"0"))
            for chunk in file_chunks(file):
                archive.write(chunk)
                bar.advance(len(chunk))
            archive.write(bytes(-status.st_size % BLOCK))
        archive.write(bytes(2 * BLOCK))
    path.chmod(0o644)


def _parents(path: str) -> list[str]:
    return [str(parent) for parent in reversed(PurePosixPath(path).parents) if str(parent) != "."]


def _write_content(archive: BinaryIO, source: Source, bar: Bar) -> None:
    left = source.file.size
    for chunk in _chunks(source):
        left -= len(chunk)
        if left < 0:
            break
        archive.write(chunk)
        bar.advance(len(chunk))
    if left:
        what = f"{source.content!s}: no longer the {source.file.size} bytes it was when the bundle was begun"
        raise BadInputError(what, hint="let nothing else write to it, and run it again")


def _chunks(source: Source) -> Iterator[bytes]:
    if isinstance(source.content, bytes):
        yield source.content
    else:
        yield from file_chunks(source.content)


def _header(path: str, *, mode: int, size: int, kind: bytes) -> bytes:
    """The header of one member, preceded by a pax header where ustar's fields are too small."""
    records = b""
    if len(path) > 100:
        records += _record("path", path)
    if size > _LARGEST:
        records += _record("size", str(size))
    main = _ustar(path[:100], mode=mode, size=size if size <= _LARGEST else 0, kind=kind)
    if not records:
        return main
    extended = _ustar("PaxHeaders/edgepack", mode=0o644, size=len(records), kind=b"x")
    return extended + records + bytes(-len(records) % BLOCK) + main


def _record(key: str, value: str) -> bytes:
    """A pax record: its own length in decimal, which counts itself, then key and value."""
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _ustar(path: str, *, mode: int, size: int, kind: bytes) -> bytes:
    fields = (
        path.encode().ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,  # uid and gid: root
        b"%07o\0" % 0,
        b"%011o\0" % size,
        b"%011o\0" % WRITTEN_AT,
        b" " * 8,  # the checksum counts its own field as spaces
        kind,
        bytes(100),
        b"ustar\x0000",
        b"root".ljust(32, b"\0"),
        b"root".ljust(32, b"\0"),
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        bytes(155),
        bytes(12),
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]
