"""What the tests of bundles share: facts, contents, and a file that begins like a GGUF and is not one."""

import random
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from edgepack.domain.bundle import (
    BundledAdapter,
    BundledModel,
    BundleFacts,
    Format,
    LicenceName,
    PinnedSource,
    PredictedMemory,
    ProfileRef,
    PromptState,
    Provenance,
    RuntimeFlags,
)
from edgepack.domain.profile import profile_toml
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.infra.library import load_profile
from edgepack.stages.bundle import Bundle, BundleContents, write_bundle

PLAIN_FORMATS = (Format.DIR, Format.TAR)
"""Those that need nothing but the bundle; an APK has its own tests."""
FACTS = BundleFacts(
    name="tiny-q4_0-rpi5-8gb",
    model=BundledModel(
        name="tiny",
        origin="Example/Tiny-Instruct",
        revision="0123456789abcdef0123456789abcdef01234567",
        architecture="llama",
        parameters=120_000,
        licence=LicenceName(name="Apache License 2.0", spdx="Apache-2.0"),
    ),
    checkpoint="c" * 64,
    quantization=Quant.Q4_0,
    profile=ProfileRef(name="rpi5-8gb", digest="d" * 64),
    flags=RuntimeFlags(context=256, threads=4),
    provenance=Provenance(
        edgepack="0.1.0", llama_cpp=PinnedSource(name="llama-cpp-python", version="0.3.36", sha256="e" * 64)
    ),
    plan=PredictedMemory(parts=(("compute", 1024), ("kv_cache", 2048), ("weights", 4096))),
    sample_prompt='What\'s "it" & $HOME?',
)
ADAPTER = BundledAdapter(
    name="tiny-lora", origin="directory:tiny-lora", checkpoint="f" * 64, merged=False,
    licence=LicenceName(name="mit", spdx=None),
)  # fmt: skip
SYSTEM_PROMPT = 'You are "tiny".\nBe brief.'
EVIDENCE = {"measurement.json": b'{"tokens": 1}\n'}


def fake_gguf(path: Path, *, size: int = 70_000, seed: int = 1) -> Path:
    """Bytes that are the same for the same seed and begin as every GGUF does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF\x03\0\0\0" + random.Random(seed).randbytes(size - 8))
    return path


def contents(
    directory: Path,
    *,
    weights: Path | None = None,
    adapter: Path | None = None,
    facts: BundleFacts = FACTS,
    state: Path | None = None,
    evidence: Mapping[str, bytes] = EVIDENCE,
) -> BundleContents:
    """Contents whose files lie in `directory`; an adapter's facts are ADAPTER's."""
    weights = weights or fake_gguf(directory / "blob")
    licence = directory / "LICENSE"
    licence.write_text("Do as you like.\n")
    if adapter:
        facts = replace(facts, adapter=ADAPTER)
    if state:
        facts = replace(facts, state=PromptState(tokens=100, commit="0c1e570"))
    return BundleContents(
        state=state, system_prompt=SYSTEM_PROMPT if state else "", facts=facts,
        weights=weights, adapter=adapter, licence_files=(licence,), evidence=evidence,
        adapter_licence_files=(licence,) if adapter else (),
    )  # fmt: skip


def make_bundle(
    directory: Path,
    format: Format = Format.DIR,
    *,
    weights: Path | None = None,
    adapter: Path | None = None,
    state: Path | None = None,
    facts: BundleFacts = FACTS,
) -> Bundle:
    """A good bundle in `directory`/out, made from files beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    name = facts.name + (".tar" if format is Format.TAR else "")
    made = contents(directory, weights=weights, adapter=adapter, state=state, facts=facts)
    return write_bundle(made, destination=directory / "out" / name, format=format, progress=Silent())


def with_prompt(prompt: str) -> BundleFacts:
    """The facts, with another sample prompt."""
    return replace(FACTS, sample_prompt=prompt)


def report_bundle(
    directory: Path, evidence: Mapping[str, bytes], format: Format = Format.DIR, *, words: str | None = None
) -> Path:
    """A bundle of a profile that edgepack knows, with this evidence; `words` for whatever else its model may say."""
    profile = load_profile("rpi5-8gb")
    digest = sha256(profile_toml(profile).encode()).hexdigest()
    sizes = (("compute", 71), ("kv_cache", 24), ("runtime", 44), ("weights", 336))
    facts = replace(
        FACTS,
        model=_model(words),
        profile=ProfileRef(name=profile.name, digest=digest),
        plan=PredictedMemory(parts=tuple((name, mib << 20) for name, mib in sizes)),
    )
    name = facts.name + (".tar" if format is Format.TAR else "")
    made = contents(directory, facts=facts, evidence=evidence)
    return write_bundle(made, destination=directory / "out" / name, format=format, progress=Silent()).path


def _model(words: str | None) -> BundledModel:
    if words is None:
        return replace(FACTS.model, name="Qwen2.5-0.5B-Instruct", origin="Qwen/Qwen2.5-0.5B-Instruct")
    return replace(
        FACTS.model, name=words, origin=words, revision=words, architecture=words,
        licence=LicenceName(name=words, spdx=None),
    )  # fmt: skip
