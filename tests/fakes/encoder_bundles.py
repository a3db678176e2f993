"""Bundles of encoders to try: an order for one, its scripts started as on a device, copies to break."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from edgepack.domain.bundle import TOKENIZER, Format, WheelPlatform
from edgepack.domain.golden import GOLDEN_TEXTS, parse_texts
from edgepack.domain.progress import Silent
from edgepack.infra.digests import sha256_of
from edgepack.infra.wheels import Wheel, package_versions
from edgepack.pipeline import Built, Order
from edgepack.stages.bundle import BundleContents, EncoderContents, write_bundle
from edgepack.stages.fetch import find_source
from tests.fakes.resummed import resum

TEXTS = ["dim the kitchen lamp", "déjà vu"]


def order(model: Path, out: Path, **changes: object) -> Order:
    source = find_source(str(model))
    return replace(Order(profile="rpi5", source=source, out=out, measure=False), **changes)


def started(
    bundle: Path, script: str, *words: str, text_in: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A script of the bundle, as a device starts it."""
    surroundings = {
        "PATH": os.environ["PATH"], "EDGEPACK_PYTHON": sys.executable, "EDGEPACK_CACHE": str(bundle.parent / "cache"),
        **environment,
    }  # fmt: skip
    return subprocess.run(
        [bundle / script, *words], input=text_in, capture_output=True, text=True, env=surroundings, timeout=120
    )


def copied(built: Built, to: Path) -> Path:
    subprocess.run(["cp", "-a", built.bundle.path, to], check=True)
    return to


def turn_first(bundle: Path) -> None:
    """What was seen of the first text becomes its opposite."""
    seen = json.loads((bundle / "evidence" / "golden.json").read_text())
    seen["outputs"][0] = [[-10 * value for value in row] for row in seen["outputs"][0]]
    resum(bundle, {"evidence/golden.json": f"{json.dumps(seen, sort_keys=True)}\n".encode()})


def fake_wheel(directory: Path, name: str, files: dict[str, str]) -> Wheel:
    """A zip of that name; the Python that runs the tests has the package itself."""
    path = directory / f"{name}-{dict(package_versions())[name]}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for file, text in files.items():
            made.writestr(file, text)
    return Wheel(path=path, sha256=sha256_of(path), licences={f"wheel-{name}-LICENSE": b"Do as you like.\n"})


def with_wheels(built: Built, directory: Path, files: dict[str, str], python: str = "") -> Path:
    """The same bundle with wheels for this Python, or for another."""
    facts = built.verdict.manifest.facts
    assert facts.encoder
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    platform = WheelPlatform(python=python or here, architecture=os.uname().machine)
    bundle = built.bundle.path
    contents = BundleContents(
        facts=replace(facts, encoder=replace(facts.encoder, wheels=platform)), weights=built.weights.path,
        encoder=EncoderContents(
            tokenizer=(bundle / TOKENIZER).read_text(),
            golden=parse_texts((bundle / GOLDEN_TEXTS).read_text(), subject=GOLDEN_TEXTS),
            wheels=tuple(
                fake_wheel(directory, name, files if name == "numpy" else {}) for name, _ in package_versions()
            ),
        ),
        evidence={"golden.json": (bundle / "evidence" / "golden.json").read_bytes()},
    )  # fmt: skip
    return write_bundle(contents, destination=directory / "out", format=Format.DIR, progress=Silent()).path
