"""A delta between two bundles as a tar: a recipe, the bytes that are new, a script that applies it on a device."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from edgepack.domain.bundle import PayloadFile
from edgepack.domain.delta import Copy, Data, Made, Piece, Recipe, Same, parse_recipe, recipe_text
from edgepack.domain.errors import BadInputError, VerificationError
from edgepack.domain.progress import Bar
from edgepack.formats.archive import TarReader
from edgepack.formats.chunking import Alike
from edgepack.formats.reader import Member
from edgepack.formats.sums import CHUNK
from edgepack.formats.tar import write_members

_RECIPE, _BYTES, _APPLY = "recipe", "data", "apply"
_LARGEST_RECIPE = 16 << 20
"""Bytes; a device that reads line by line would take hours for more."""
_NO_DELTA = "give the file that `edgepack delta` wrote"


def plan_delta(
    old: Path,
    new: Path,
    wanted: Mapping[str, PayloadFile],
    there: Mapping[str, PayloadFile],
    digests: tuple[str, str],
) -> Recipe:
    """How the files `wanted` of the directory `new` come out of those that are `there` in `old`.

    Both by path; `digests` are the payload digests. A `Data` piece's offset is that in the file of brought bytes,
    which hold the pieces one after the other. Raises OSError.
    """
    known = {file.sha256: file.path for file in reversed(tuple(there.values()))}
    kept = {file.sha256 for file in wanted.values()}
    alike = Alike([(path, old / path) for path, file in there.items() if file.sha256 not in kept])
    brought = 0
    made = []
    for file in wanted.values():
        pieces: tuple[Piece, ...]
        if file.sha256 in known:
            pieces = (Same(path=known[file.sha256]),)
        else:
            pieces, brought = _renumbered(alike.pieces(new / file.path), brought)
        made.append(Made(file=file, pieces=pieces))
    return Recipe(old=digests[0], new=digests[1], made=tuple(made))


def _renumbered(pieces: tuple[Piece, ...], start: int) -> tuple[tuple[Piece, ...], int]:
    """The same with offsets in the brought bytes, and where these end."""
    found: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Data):
            found.append(replace(piece, offset=start))
            start += piece.size
        else:
            found.append(piece)
    return tuple(found), start


def write_delta(recipe: Recipe, new: Path, destination: Path, scratch: Path, bar: Bar) -> None:
    """Write the new file `destination`; `scratch` is an empty directory on the same disk."""
    with (scratch / _BYTES).open("xb") as out:
        for made in recipe.made:
            at = 0
            for piece in made.pieces:
                if isinstance(piece, Data):
                    for chunk in _range(new / made.file.path, at, piece.size):
                        out.write(chunk)
                at += 0 if isinstance(piece, Same) else piece.size
    (scratch / _RECIPE).write_text(recipe_text(recipe), encoding="ascii")
    (scratch / _APPLY).write_text(apply_script(), encoding="utf-8")
    (scratch / _APPLY).chmod(0o755)
    top = f"delta-{recipe.new[:16]}"
    write_members({f"{top}/{name}": scratch / name for name in (_APPLY, _RECIPE, _BYTES)}, destination, bar)


def apply_script() -> str:
    """The script: edgepack/data/delta/apply, with the releases of `deploy` in it."""
    releases = files("edgepack.transports").joinpath("releases.sh").read_text(encoding="utf-8")
    kept, _, _ = releases.partition("\nwhat=$1 dir=$2")
    text = files("edgepack").joinpath("data", "delta", "apply").read_text(encoding="utf-8")
    return text.replace("@RELEASES@\n", kept.partition("\n\n")[2] + "\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenDelta:
    """A delta that is read, and believed as far as its recipe; the caller closes the reader."""

    recipe: Recipe
    reader: TarReader

    def data(self, piece: Data) -> Iterator[bytes]:
        """The bytes of a piece. Raises VerificationError where the delta does not have them."""
        member = _member(self.reader, _BYTES)
        if piece.offset + piece.size > member.size:
            raise VerificationError("the delta is cut short", hint="copy it again")
        yield from self.reader.chunks(replace(member, offset=member.offset + piece.offset, size=piece.size))


def open_delta(path: Path) -> OpenDelta:
    """Open a delta. Raises BadInputError where it is none, VerificationError where it is damaged."""
    try:
        reader = TarReader(path)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be opened: {error.strerror}", hint=_NO_DELTA) from error
    try:
        member = _member(reader, _RECIPE)
        text = b"".join(reader.chunks(member)) if member.size <= _LARGEST_RECIPE else b""
        return OpenDelta(
            recipe=parse_recipe(text.decode("ascii", errors="replace"), subject=str(path)), reader=reader
        )
    except (BadInputError, VerificationError):
        reader.close()
        raise


def _member(reader: TarReader, name: str) -> Member:
    for member in reader.members:
        if member.path == name:
            return member
    raise BadInputError(f"no edgepack delta: {name} is not in it", hint=_NO_DELTA)


def make_file(delta: OpenDelta, made: Made, old: Path, to: Path, bar: Bar) -> None:
    """Write one file of the new bundle. Raises VerificationError where the old bundle has too few bytes."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("xb") as out:
        for piece in made.pieces:
            for chunk in _bytes(delta, piece, made, old):
                out.write(chunk)
                bar.advance(len(chunk))
    to.chmod(0o755 if made.file.executable else 0o644)


def _bytes(delta: OpenDelta, piece: Piece, made: Made, old: Path) -> Iterator[bytes]:
    match piece:
        case Same(path=path):
            return _range(old / path, 0, made.file.size)
        case Copy(path=path, offset=offset, size=size):
            return _range(old / path, offset, size)
        case Data():
            return delta.data(piece)


def _range(path: Path, offset: int, size: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while size:
                chunk = file.read(min(size, CHUNK))
                if not chunk:
                    break
                size -= len(chunk)
                yield chunk
    except FileNotFoundError:
        pass
    if size:
        raise VerificationError(
            f"{path.name}: not the file that the delta is of", hint="apply it to its own old bundle"
        )
