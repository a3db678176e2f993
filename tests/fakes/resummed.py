"""A bundle whose files somebody changed and whose manifest and sums were made to fit: what digests do not find."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from edgepack.domain.bundle import EVIDENCE, MANIFEST, SUMS


def resum(bundle: Path, changed: Mapping[str, bytes]) -> Path:
    """Write `changed` files, new ones too, and say so in the manifest and in both sums."""
    for path, content in changed.items():
        (bundle / path).write_bytes(content)
    manifest = json.loads((bundle / MANIFEST).read_text())
    files = {file["path"]: file for file in manifest["files"]}
    for path, content in changed.items():
        if path.split("/")[0] == EVIDENCE:
            continue
        said = files.setdefault(path, {"path": path, "executable": False})
        said |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    weights = files[manifest["weights"]["path"]]
    manifest["weights"] = {key: weights[key] for key in ("path", "size", "sha256")}
    manifest["files"] = [files[path] for path in sorted(files)]
    manifest["sizes"] = {"payload": sum(file["size"] for file in files.values()), "weights": weights["size"]}
    (bundle / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    _sum(bundle, [MANIFEST, *files])
    _sum(bundle / EVIDENCE, [path.name for path in (bundle / EVIDENCE).iterdir() if path.name != SUMS])
    return bundle


def _sum(directory: Path, paths: list[str]) -> None:
    lines = (f"{hashlib.sha256((directory / path).read_bytes()).hexdigest()}  {path}\n" for path in sorted(paths))
    (directory / SUMS).write_text("".join(lines))
