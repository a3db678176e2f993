"""An APK with a bundle in it: plain stored entries in a fixed order, aligned as Android maps them; unsigned.

Nothing is compressed: weights do not shrink, what is downloaded is compressed by whoever serves it, and no version of
zlib changes a byte.
"""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from edgepack.domain.app import LIBRARY, PROGRAM, SETTINGS, App, app_json, place_in_app
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar
from edgepack.formats.payload import Payload, Source
from edgepack.formats.sums import file_chunks

_TIME = (1981, 1, 1, 1, 1, 2)
"""What Android's own tools write where no time counts."""
_HEADER = 30
_UNIX = 3
_ALIGNMENT_RECORD = 0xD935
"""The extra field by which apksigner sees what an entry is aligned to, and keeps it."""
_PAGE = 1 << 14
"""The largest pages of Android's kernels; a program maps at these."""
_WORD = 4


def write_apk(payload: Payload, app: App, path: Path, bar: Bar, *, without: frozenset[str] = frozenset()) -> None:
    """Write the app with the payload, but for the paths `without`, to the new file `path`.

    The bar hears every byte of the payload. Raises OSError as the disk does, BadInputError where a file has changed.
    """
    with path.open("xb") as file, ZipFile(file, "w", ZIP_STORED, allowZip64=False) as archive:
        for name, origin in app.files:
            _add(archive, name, [origin.read_bytes()], size=origin.stat().st_size)
        settings = app_json(payload.manifest).encode()
        _add(archive, SETTINGS, [settings], size=len(settings))
        for source in payload.all:
            if source.file.path not in without:
                _add(
                    archive,
                    place_in_app(source.file.path),
                    _heard(source, bar),
                    size=source.file.size,
                    mode=_mode(source),
                )


def _mode(source: Source) -> int:
    return 0o755 if source.file.path == PROGRAM else source.mode


def _heard(source: Source, bar: Bar) -> Iterator[bytes]:
    """The source's bytes, exactly as many as it says."""
    left = source.file.size
    for chunk in [source.content] if isinstance(source.content, bytes) else file_chunks(source.content):
        left -= len(chunk)
        if left < 0:
            break
        bar.advance(len(chunk))
        yield chunk
    if left:
        what = f"{source.content!s}: no longer the {source.file.size} bytes it was when the bundle was begun"
        raise BadInputError(what, hint="let nothing else write to it, and run it again")


def _add(
    archive: ZipFile, name: str, chunks: "Iterator[bytes] | list[bytes]", *, size: int, mode: int = 0o644
) -> None:
    info = ZipInfo(name, _TIME)
    info.create_system, info.compress_type, info.file_size = _UNIX, ZIP_STORED, size
    info.external_attr = (0o100000 | mode) << 16
    info.extra = _aligned(archive.start_dir + _HEADER + len(name.encode()), _PAGE if name == LIBRARY else _WORD)
    with archive.open(info, "w") as entry:
        for chunk in chunks:
            entry.write(chunk)


def _aligned(begin: int, multiple: int) -> bytes:
    """An extra field after which the content, `begin` bytes and the field into the file, is aligned."""
    padding = -(begin + 6) % multiple
    head = _ALIGNMENT_RECORD.to_bytes(2, "little") + (2 + padding).to_bytes(2, "little")
    return head + multiple.to_bytes(2, "little") + bytes(padding)
