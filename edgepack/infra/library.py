"""The data that edgepack carries, read from disk: profiles, policies, the catalogue, what quantizing costs."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from edgepack.domain.catalogue import Catalogue, make_catalogue
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.harness import parse_harnesses
from edgepack.domain.licences import POLICIES, LicencePolicy, parse_policy
from edgepack.domain.profile import Profile, parse_profile, profile_toml
from edgepack.domain.quant_loss import QuantLoss, parse_losses
from edgepack.domain.reading import Table
from edgepack.domain.sizes import ModelSizes, parse_sizes
from edgepack.domain.type_costs import IsaClass, TypeCosts, parse_type_costs
from edgepack.infra.machine import host_profile

HOST = "host"
"""The name of the machine that edgepack runs on; it has no file, it is probed."""

_PACKAGE = Path(__file__).resolve().parent.parent
_ALIASES = "aliases.toml"
_HINT = "correct the file; docs/profiles.md shows every key of a profile"


def load_profile(name_or_path: str) -> Profile:
    """The profile with this name or alias, the one in this .toml file, or `host`, this machine.

    Raises BadInputError when there is no such profile or its file is malformed.
    """
    if name_or_path == HOST:
        return host_profile()
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return read_profile(Path(name_or_path))
    name = profile_aliases().get(name_or_path, name_or_path)
    if name not in profile_names():
        raise BadInputError(f"no profile is called {name_or_path!r}", hint=_suggestion(name_or_path))
    return read_profile(_profiles_directory() / f"{name}.toml")


def profile_files(name_or_path: str) -> tuple[Path, ...]:
    """The files that `load_profile` reads for this name: the profile's, and its base's; none for `host`."""
    if name_or_path == HOST:
        return ()
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        path = Path(name_or_path)
    else:
        path = _profiles_directory() / f"{profile_aliases().get(name_or_path, name_or_path)}.toml"
    base = read_toml(path).get("base")
    return (path, *(profile_files(base) if isinstance(base, str) else ()))


def read_profile(path: Path) -> Profile:
    """The profile in a file, named after it; BadInputError names the place of whatever is wrong with it."""
    return parse_profile(_with_base(read_toml(path), path), name=path.stem)


def refuse_existing(path: Path) -> None:
    """Raise UsageError where a profile cannot be written: before the work, and not only after it."""
    if path.exists():
        raise UsageError(f"{path} exists", hint="give --out another name, or remove the file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path.parent} is no directory", hint="make it, or give --out another place")


def write_profile(profile: Profile, path: Path, comments: Mapping[str, Sequence[str]] | None = None) -> None:
    """Write a profile's file whole or not at all; a file that is there already stays (UsageError)."""
    refuse_existing(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(profile_toml(profile, comments), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with edgepack, without aliases and `host`."""
    return tuple(sorted(path.stem for path in _profiles_directory().glob("*.toml") if path.name != _ALIASES))


@cache
def profile_aliases() -> dict[str, str]:
    """Short names, and the profiles that they stand for."""
    path = _profiles_directory() / _ALIASES
    return Table(read_toml(path), subject=str(path), hint=_HINT).strings()


@cache
def load_catalogue() -> Catalogue:
    """Every model that edgepack knows by name."""
    data = _PACKAGE / "data"
    files = sorted((data / "catalogue").glob("*.toml"))
    harnesses = parse_harnesses(read_toml(data / "harnesses.toml"))
    return make_catalogue({path.name: read_toml(path) for path in files}, harnesses)


@cache
def load_type_costs() -> dict[IsaClass, TypeCosts]:
    """What each tensor type costs, by class of instruction sets."""
    return parse_type_costs(read_toml(_PACKAGE / "data" / "type_costs.toml"))


@cache
def load_sizes() -> dict[str, ModelSizes]:
    """The catalogue's models at every quantization, by id; `make sizes` computes them."""
    stored = json.loads((_PACKAGE / "data" / "sizes.json").read_text(encoding="utf-8"))
    return {name: parse_sizes(table) for name, table in stored["models"].items()}


@cache
def load_losses() -> tuple[QuantLoss, ...]:
    """What others measured that quantizing costs."""
    return parse_losses(read_toml(_PACKAGE / "data" / "quant_loss.toml"))


def load_policy(name_or_path: str) -> LicencePolicy:
    """The licence policy with this name, or the one in this file; BadInputError where the file is no policy."""
    if policy := POLICIES.get(name_or_path):
        return policy
    path = Path(name_or_path)
    if not path.is_file():
        raise BadInputError(
            f"no licence policy is called {name_or_path!r}, and no file",
            hint=f"known are {', '.join(POLICIES)}; a path to a TOML file works too (docs/licences.md)",
        )
    return parse_policy(read_toml(path), name=path.stem)


def read_toml(path: Path) -> dict[str, object]:
    """The table in a TOML file; BadInputError says which file cannot be read, and where it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}", hint="check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8 at byte {error.start}", hint="save it as UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInputError(f"{path}: not TOML: {error}", hint="correct the line; see https://toml.io") from error


def _with_base(table: Mapping[str, object], path: Path) -> Mapping[str, object]:
    """A profile that says `base = "NAME"` is NAME with the tables that it writes anew in place of NAME's.

    Tables are replaced whole, so that no figure keeps the source of another; a base has no base itself.
    """
    if "base" not in table:
        return table
    base = Table(table, subject=f"profile {path.stem}", hint=_HINT).text("base")
    base = profile_aliases().get(base, base)
    if base not in profile_names():
        raise BadInputError(f"profile {path.stem}: base: no profile is called {base!r}", hint=_suggestion(base))
    own = {key: value for key, value in table.items() if key != "base"}
    return {**read_toml(_profiles_directory() / f"{base}.toml"), **own}


def _suggestion(name: str) -> str:
    names = (*profile_names(), *profile_aliases(), HOST)
    near = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    ask = "`edgepack profile list` shows all names; a path to a .toml file works too"
    return f"did you mean {' or '.join(near)}? {ask}" if near else ask


def _profiles_directory() -> Path:
    """profiles/ lies in the package when installed from a wheel, and beside it in a checkout."""
    inside = _PACKAGE / "profiles"
    return inside if inside.is_dir() else _PACKAGE.parent / "profiles"
