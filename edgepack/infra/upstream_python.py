"""Where upstream's converter can run: an interpreter with torch and transformers, edgepack's own or another."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.errors import UsageError
from edgepack.infra.process import ProgramMissing, run

SETTING = "EDGEPACK_UPSTREAM_PYTHON"
_HINT = f"pip install 'edgepack[upstream]', or set {SETTING} to the Python of an environment that has them"
# What the script imports and what its output depends on; looked up, not imported: torch takes seconds.
_NEEDED = ("torch", "transformers", "sentencepiece")
_PROBE = """
import json
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in ("torch", "transformers", "sentencepiece", "tokenizers", "numpy"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamPython:
    """An interpreter, and the versions of what upstream's converter uses of it."""

    path: Path
    versions: Mapping[str, str]


def find_upstream_python() -> UpstreamPython:
    """The interpreter that EDGEPACK_UPSTREAM_PYTHON names, or this one; UsageError where it lacks something."""
    said = os.environ.get(SETTING)
    path = Path(said or sys.executable)
    versions = _versions(path)
    missing = [name for name in _NEEDED if name not in versions]
    if missing:
        where = f"{SETTING}={said}" if said else "this environment"
        raise UsageError(f"--converter upstream: {where} has no {' and no '.join(missing)}", hint=_HINT)
    return UpstreamPython(path=path, versions=versions)


def _versions(path: Path) -> dict[str, str]:
    try:
        done = run([path, "-E", "-s", "-c", _PROBE])
        found = json.loads(done.stdout)
    except (ProgramMissing, PermissionError, ValueError) as error:
        raise UsageError(f"{path}: no Python that runs", hint=_HINT) from error
    return {str(name): str(version) for name, version in found.items()}
