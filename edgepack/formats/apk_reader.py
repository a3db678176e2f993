"""A bundle in an APK as members by their paths in the bundle; it judges neither the app around it nor signatures."""

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from edgepack.domain.app import BESIDE, place_in_bundle
from edgepack.domain.bundle import Format, is_safe_path
from edgepack.domain.errors import VerificationError
from edgepack.formats.directory import DirectoryReader
from edgepack.formats.reader import Kind, Member
from edgepack.formats.sums import CHUNK

_HINT = "delete it, and make or copy the app again"
SUFFIX = ".apk"


class ApkReader:
    """The bundle of an APK, and of the directory beside it that holds what is too large for one.

    Raises VerificationError where it is damaged, or holds what no APK of edgepack does: files of a bundle that are
    compressed or there twice, unsafe paths.
    """

    format = Format.APK

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._archive = ZipFile(path)
        except BadZipFile as error:
            raise VerificationError(f"{path}: no APK: {error}", hint=_HINT) from error
        self._entries: dict[str, ZipInfo] = {}
        beside = path.with_suffix(BESIDE)
        self._beside = DirectoryReader(beside) if beside.is_dir() else None
        try:
            within = [member for info in self._archive.infolist() for member in self._member(info)]
        except BaseException:
            self._archive.close()
            raise
        outside = self._beside.members if self._beside else ()
        self.members: tuple[Member, ...] = (*within, *outside)

    def chunks(self, member: Member) -> Iterator[bytes]:
        """A file's bytes. Raises VerificationError where the APK is damaged there."""
        info = self._entries.get(member.path)
        if info is None:
            assert self._beside, "it is one of our members"
            yield from self._beside.chunks(member)
            return
        try:
            with self._archive.open(info) as entry:
                while chunk := entry.read(CHUNK):
                    yield chunk
        except (BadZipFile, EOFError) as error:
            self._fail(f"damaged in {member.path}: {error}")

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()

    def _member(self, info: ZipInfo) -> Iterator[Member]:
        path = place_in_bundle(info.filename)
        if path is None:
            return
        if not is_safe_path(path) or path in self._entries:
            self._fail(f"{path!a} is an unsafe path, or is there twice")
        if info.compress_type != ZIP_STORED or info.flag_bits & 1:
            self._fail(f"{path} is compressed or encrypted")
        self._entries[path] = info
        yield Member(path=path, kind=Kind.FILE, size=info.file_size, mode=info.external_attr >> 16 & 0o777)

    def _fail(self, what: str) -> NoReturn:
        raise VerificationError(f"{self._path}: {what}", hint=_HINT)
