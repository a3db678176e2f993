"""Bundles to deploy, with a runtime of the test's choice: manifest and SHA256SUMS name it as any other file."""

import hashlib
from dataclasses import replace
from pathlib import Path

from edgepack.domain.bundle import MANIFEST, SUMS, PayloadFile
from edgepack.domain.manifest import manifest_json, parse_manifest
from tests.formats.bundles import fake_gguf, make_bundle

ANSWERS = b"#!/bin/sh\necho an answer\n"
"""A runtime that says something to every question."""
SILENT = b"#!/bin/sh\nexit 1\n"
"""One that fails every self-test."""


def make_deployable(
    directory: Path, *, runtime: bytes = ANSWERS, weights: Path | None = None, seed: int = 1, size: int = 70_000
) -> Path:
    """A bundle's directory whose `runtime/llama` is those bytes."""
    weights = weights or fake_gguf(directory / "blob", size=size, seed=seed)
    root = make_bundle(directory, weights=weights).path
    (root / "runtime").mkdir()
    program = root / "runtime" / "llama"
    program.write_bytes(runtime)
    program.chmod(0o755)
    manifest = parse_manifest((root / MANIFEST).read_text())
    entry = PayloadFile(
        path="runtime/llama", size=len(runtime), sha256=hashlib.sha256(runtime).hexdigest(), executable=True
    )
    files = tuple(sorted([*manifest.files, entry], key=lambda file: file.path))
    (root / MANIFEST).write_text(manifest_json(replace(manifest, files=files)))
    lines = {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name != SUMS and "evidence" not in path.parts
    }
    (root / SUMS).write_text("".join(f"{lines[path]}  {path}\n" for path in sorted(lines)))
    return root
