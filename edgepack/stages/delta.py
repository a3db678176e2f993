"""What turns one bundle into another, as one small file; and the other bundle made from the one and that file."""

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.bundle import SUMS
from edgepack.domain.delta import Data, Recipe
from edgepack.domain.errors import BadInputError, UsageError, VerificationError
from edgepack.domain.progress import Progress
from edgepack.formats.checking import check, check_bundle
from edgepack.formats.delta import make_file, open_delta, plan_delta, write_delta
from edgepack.formats.extraction import as_tree, settle
from edgepack.formats.heads import device_files
from edgepack.formats.opening import open_bundle
from edgepack.formats.partial import partial_directory
from edgepack.formats.payload import WRITTEN_AT
from edgepack.infra.store import require_space

_HEADROOM = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class DeltaFile:
    """A delta on disk: its bytes, and the paths that bring new ones, each with how many."""

    path: Path
    size: int
    recipe: Recipe
    costs: tuple[tuple[str, int], ...]


def make_delta(old: Path, new: Path, *, destination: Path, progress: Progress) -> DeltaFile:
    """Write what turns the bundle `old` into the bundle `new`; both are checked whole.

    Raises VerificationError for one that is not what it says, UsageError where something else stands at
    `destination`, NoSpaceError.
    """
    destination = destination.resolve()
    if destination.is_dir():
        raise UsageError(f"{destination}: a directory", hint="give --out the name of a file")
    destination.parent.mkdir(parents=True, exist_ok=True)
    with partial_directory(destination) as scratch:
        trees, files, digests = [], [], []
        with closing(open_bundle(old)) as before, closing(open_bundle(new)) as after:
            for which, reader, bundle in (("old", before, old), ("new", after, new)):
                checked = check_bundle(reader, bundle, progress)
                digests.append(checked.payload_digest)
                files.append({file.path: file for file in device_files(reader, checked)})
                trees.append(as_tree(reader, bundle, scratch / which, progress))
        progress.step("looking for what is alike")
        recipe = plan_delta(trees[0], trees[1], files[1], files[0], (digests[0], digests[1]))
        require_space(scratch, 2 * recipe.brought + _HEADROOM, "the delta")
        work = scratch / "work"
        work.mkdir()
        with progress.bar("delta", None, "B") as bar:
            write_delta(recipe, trees[1], scratch / "new-delta", work, bar)
        (scratch / "new-delta").replace(destination)
    return DeltaFile(path=destination, size=destination.stat().st_size, recipe=recipe, costs=tuple(_costs(recipe)))


def _costs(recipe: Recipe) -> list[tuple[str, int]]:
    costs = (
        (made.file.path, sum(piece.size for piece in made.pieces if isinstance(piece, Data))) for made in recipe.made
    )
    return sorted(((path, cost) for path, cost in costs if cost), key=lambda one: -one[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """The new bundle, checked whole."""

    path: Path
    payload_digest: str
    size: int


def apply_delta(delta: Path, old: Path, *, destination: Path, progress: Progress) -> Applied:
    """Make the new bundle at `destination`, a directory that is not there yet, out of the old one and the delta.

    Raises BadInputError where the delta is none or of another bundle, VerificationError where anything is not as it
    should be; nothing is left at `destination` then.
    """
    destination = destination.resolve()
    if destination.exists():
        raise UsageError(f"{destination}: stands already", hint="give --out another place, or remove it")
    opened = open_delta(delta)
    with closing(opened.reader), partial_directory(destination) as scratch:
        with closing(open_bundle(old)) as reader:
            with progress.bar("check", sum(member.size for member in reader.members), "B") as bar:
                checked = check(reader, bar)
            if checked.payload_digest != opened.recipe.old:
                raise BadInputError(
                    f"{old}: not the bundle that the delta is of", hint="apply the deltas in their order"
                )
            require_space(scratch, opened.recipe.size + _HEADROOM, "the new bundle")
            tree = as_tree(reader, old, scratch / "old", progress)
        new = scratch / "new"
        new.mkdir()
        with progress.bar("apply", opened.recipe.size, "B") as bar:
            for made in opened.recipe.made:
                make_file(opened, made, tree, new / made.file.path, bar)
                os.utime(new / made.file.path, (WRITTEN_AT, WRITTEN_AT))
        settle(new)
        size = _checked(new, opened.recipe, progress)
        new.rename(destination)
    return Applied(path=destination, payload_digest=opened.recipe.new, size=size)


def _checked(new: Path, recipe: Recipe, progress: Progress) -> int:
    """Bytes of the new bundle, of which every one is right."""
    with closing(open_bundle(new)) as reader, progress.bar("check", recipe.size, "B") as bar:
        checked = check(reader, bar)
    if checked.payload_digest != recipe.new:
        raise VerificationError(f"{SUMS}: not what the delta promises", hint="make or copy the delta again")
    return checked.size
