"""An Android app that carries a bundle: where its parts lie, and what its settings say; it writes nothing."""

import json
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.bundle import RUNTIME, BundleFacts, Manifest
from edgepack.domain.errors import UsageError
from edgepack.domain.flags import bench_fixed_arguments, server_arguments
from edgepack.domain.native import UNIFIED

SCHEMA = "edgepack.app/1"
PACKAGE = "dev.edgepack.demo"
ACTIVITY = f"{PACKAGE}/.MainActivity"
ASSETS = "assets/bundle/"
"""Before every path of the bundle but the program's."""
SETTINGS = "assets/app.json"
LIBRARY = "lib/arm64-v8a/libedgepack_server.so"
"""Where Android unpacks programs from and lets them run: a library by its name, llama.cpp's one program in truth."""
PROGRAM = f"{RUNTIME}/{UNIFIED}"
"""The same in the bundle."""
BESIDE = ".beside"
"""Ends the name of the directory that holds what is too large for the app."""
LARGEST_ASSET = 1_500_000_000
"""Bytes; an APK ends at 2 GiB, and whether every installer takes one near that nobody here has seen."""
TARGET = "aarch64-linux-musl"
RELEASE_PASSWORD = "EDGEPACK_KEY_PASSWORD"  # noqa: S105 - a variable's name


@dataclass(frozen=True, kw_only=True, slots=True)
class SigningKey:
    """A PKCS #12 store and, where it holds several, the key's name; an environment variable has the password."""

    store: Path
    alias: str | None
    password_variable: str


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """The compiled app without a bundle: paths in the APK with their files, sorted; the oldest Android it runs on."""

    files: tuple[tuple[str, Path], ...]
    least_sdk: int


def place_in_app(path: str) -> str:
    """Where a file of the bundle lies in the APK."""
    return LIBRARY if path == PROGRAM else ASSETS + path


def place_in_bundle(name: str) -> str | None:
    """The inverse; None for what belongs to the app alone."""
    if name == LIBRARY:
        return PROGRAM
    return name.removeprefix(ASSETS) if name.startswith(ASSETS) else None


def refuse_for_app(facts: BundleFacts) -> None:
    """Raise UsageError for a bundle that the demo app cannot run."""
    if facts.native is None or not facts.native.target.startswith(TARGET):
        target = facts.native.target if facts.native else "none"
        raise UsageError(
            f"--format apk: needs the runtime for {TARGET}, this bundle's is {target}",
            hint="take a telephone's profile, as galaxy-s23, and leave --runtime away",
        )
    several = {
        "an adapter beside the weights": facts.adapter is not None and not facts.adapter.merged,
        "a route": facts.route is not None,
        "a prompt state": facts.state is not None,
    }
    if found := [what for what, there in several.items() if there]:
        raise UsageError(
            f"--format apk: the app runs one model alone, not {' and '.join(found)}",
            hint="merge the adapter (--merge); leave --route and --system-prompt away",
        )


def app_json(manifest: Manifest) -> str:
    """app.json: the bundle's flags as arguments, so that no app has to know llama.cpp's options."""
    flags = manifest.facts.flags
    values = {
        "schema": SCHEMA,
        "server": [*server_arguments(flags), "-np", "1"],
        "bench": ["-t", str(flags.threads), *bench_fixed_arguments(flags)],
        "threads": flags.threads,
        "batch": flags.batch,
        "micro_batch": flags.micro_batch,
    }
    return json.dumps(values, indent=2, sort_keys=True) + "\n"
