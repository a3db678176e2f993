"""What turns one bundle into another: a recipe, line by line, that a shell can follow. It opens nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgepack.domain.bundle import PayloadFile, is_safe_path, is_sha256
from edgepack.domain.errors import VerificationError

SCHEMA = "edgepack.delta 1"
"""The recipe's first line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Same:
    """The whole of a file of the old bundle."""

    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """Some bytes of a file of the old bundle."""

    path: str
    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Some bytes that the delta brings."""

    offset: int
    size: int


Piece: TypeAlias = Same | Copy | Data


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A file of the new bundle, and the pieces that it is, in order."""

    file: PayloadFile
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """All files of the new bundle that a device needs; `old` and `new` are payload digests."""

    old: str
    new: str
    made: tuple[Made, ...]

    @property
    def brought(self) -> int:
        """Bytes that the delta brings."""
        return sum(piece.size for made in self.made for piece in made.pieces if isinstance(piece, Data))

    @property
    def size(self) -> int:
        """Bytes of the new bundle."""
        return sum(made.file.size for made in self.made)


def recipe_text(recipe: Recipe) -> str:
    """The lines: `file MODE SHA256 SIZE PATH`, each before its pieces."""
    lines = [SCHEMA, f"old {recipe.old}", f"new {recipe.new}"]
    for made in recipe.made:
        mode = "755" if made.file.executable else "644"
        lines.append(f"file {mode} {made.file.sha256} {made.file.size} {made.file.path}")
        lines += map(_line, made.pieces)
    return "\n".join(lines) + "\n"


def parse_recipe(text: str, *, subject: str) -> Recipe:
    """The recipe; raises VerificationError where the text is not exactly what `recipe_text` writes."""
    try:
        recipe = _read(text.splitlines())
    except (ValueError, StopIteration) as error:
        raise _damaged(subject) from error
    if recipe_text(recipe) != text or not _is_sound(recipe):
        raise _damaged(subject)
    return recipe


def _line(piece: Piece) -> str:
    match piece:
        case Same(path=path):
            return f"same {path}"
        case Copy(path=path, offset=offset, size=size):
            return f"copy {offset} {size} {path}"
        case Data(offset=offset, size=size):
            return f"data {offset} {size}"


def _read(lines: Sequence[str]) -> Recipe:
    """Raises ValueError for a line that is none."""
    schema, old, new, *rest = lines
    if schema != SCHEMA:
        raise ValueError(schema)
    return Recipe(old=old.removeprefix("old "), new=new.removeprefix("new "), made=tuple(_made(rest)))


def _made(lines: Sequence[str]) -> Iterator[Made]:
    file: PayloadFile | None = None
    pieces: list[Piece] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "file":
            if file:
                yield Made(file=file, pieces=tuple(pieces))
            file, pieces = _file(rest), []
        elif file is None:
            raise ValueError(line)
        else:
            pieces.append(_piece(word, rest))
    if file:
        yield Made(file=file, pieces=tuple(pieces))


def _file(rest: str) -> PayloadFile:
    mode, sha256, size, path = rest.split(" ")
    return PayloadFile(path=path, size=int(size), sha256=sha256, executable=mode == "755")


def _piece(word: str, rest: str) -> Piece:
    match word:
        case "same":
            return Same(path=rest)
        case "copy":
            offset, size, path = rest.split(" ")
            return Copy(path=path, offset=int(offset), size=int(size))
        case "data":
            offset, size = rest.split(" ")
            return Data(offset=int(offset), size=int(size))
    raise ValueError(word)


def _is_sound(recipe: Recipe) -> bool:
    """Whether every path stays in its bundle, no file is there twice, and pieces are as long as their files say."""
    paths = [made.file.path for made in recipe.made]
    digests = (recipe.old, recipe.new, *(made.file.sha256 for made in recipe.made))
    return len(set(paths)) == len(paths) and all(map(is_sha256, digests)) and all(map(_fits, recipe.made))


def _fits(made: Made) -> bool:
    if not is_safe_path(made.file.path):
        return False
    if any(isinstance(piece, Same) for piece in made.pieces):
        (*more, piece) = made.pieces
        return not more and isinstance(piece, Same) and is_safe_path(piece.path)
    sizes = [piece.size for piece in made.pieces if not isinstance(piece, Same)]
    safe = all(is_safe_path(piece.path) for piece in made.pieces if isinstance(piece, Copy))
    return safe and all(size > 0 for size in sizes) and sum(sizes) == made.file.size


def _damaged(subject: str) -> VerificationError:
    return VerificationError(f"{subject}: its recipe is damaged", hint="make or copy the delta again")
