"""The files of a bundle, whole and in order, before any of them is written; it writes nothing."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgepack.domain.bundle import (
    ADAPTER,
    ENCODER,
    EVIDENCE,
    LARGE,
    LICENCES,
    MANIFEST,
    ROUTE,
    RUNTIME,
    SBOM,
    SCRIPTS,
    STATE,
    SUMS,
    SYSTEM_PROMPT,
    TOKENIZER,
    WHEELS,
    BundleFacts,
    Manifest,
    PayloadFile,
    is_safe_path,
)  # fmt: skip
from edgepack.domain.golden import GOLDEN_TEXTS, GoldenTexts, texts_json
from edgepack.domain.manifest import manifest_json
from edgepack.domain.route_json import route_json
from edgepack.formats.golden import GOLDEN_TEXT, golden_text
from edgepack.formats.provenance import PROVENANCE, provenance_json
from edgepack.formats.sbom import sbom_json
from edgepack.formats.scripts import encoder_program, scripts
from edgepack.formats.sums import sums_text

WRITTEN_AT = 946684800
"""Seconds since 1970: 2000-01-01 UTC, the time on every file and directory of every bundle."""
DIRECTORY_MODE = 0o755


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One file to write: what it shall be, and its bytes or the file that has them."""

    file: PayloadFile
    content: bytes | Path

    @property
    def mode(self) -> int:
        """Permission bits."""
        return 0o755 if self.file.executable else 0o644


@dataclass(frozen=True, kw_only=True, slots=True)
class Large:
    """A file too large to be held, by its bytes and their sha256."""

    path: Path
    size: int
    sha256: str

    def source(self, path: str, *, executable: bool = False) -> Source:
        """The same file, for `path` in the bundle."""
        file = PayloadFile(path=path, size=self.size, sha256=self.sha256, executable=executable)
        return Source(file=file, content=self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """A bundle's files: manifest.json and SHA256SUMS first, so that a reader of a stream meets them first.

    `evidence` is the files beside the payload, its own SHA256SUMS included; empty where there is none.
    `digest` is the payload digest: the sha256 of SHA256SUMS.
    """

    manifest: Manifest
    sources: tuple[Source, ...]
    evidence: tuple[Source, ...]
    digest: str

    @property
    def size(self) -> int:
        """Bytes of all files, evidence included."""
        return sum(source.file.size for source in self.all)

    @property
    def all(self) -> tuple[Source, ...]:
        """Payload, then evidence."""
        return self.sources + self.evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderParts:
    """What an encoder's bundle holds beside its weights; the wheels by file name."""

    tokenizer: str
    golden: GoldenTexts
    wheels: Mapping[str, Large] = field(default_factory=dict)


def assemble(
    facts: BundleFacts,
    *,
    weights: Large,
    adapter: Large | None = None,
    second: Large | None = None,
    state: Large | None = None,
    system_prompt: str = "",
    programs: Mapping[str, Large] | None = None,
    encoder: EncoderParts | None = None,
    licences: Mapping[str, bytes],
    evidence: Mapping[str, bytes],
    quantizer: Mapping[str, str] | None = None,
) -> Payload:
    """Every file of the bundle with its digest.

    `adapter` is the one that `facts` name, unless it is merged; `second` the larger model of a route; `state` and
    `system_prompt` belong together; `programs` go into runtime/; `encoder` is there where `facts` name one.
    `licences` and `evidence` are bytes by file name; with `quantizer`, what quantized by name and sha256, the
    evidence says where the bundle comes from.
    Raises ValueError for names that no bundle can hold.
    """
    assert (encoder is None) == (facts.encoder is None), "an encoder's facts and its files belong together"
    model = weights.source(f"model/{facts.name}.{'onnx' if encoder else 'gguf'}")
    added = adapter.source(ADAPTER) if adapter else None
    larger = second.source(LARGE) if second else None
    wheels = [file.source(f"{WHEELS}/{name}") for name, file in (encoder.wheels if encoder else {}).items()]
    draft = Manifest(
        facts=facts, weights=model.file, adapter=added.file if added else None, large=larger.file if larger else None,
        files=(model.file, *(wheel.file for wheel in wheels)),
    )  # fmt: skip
    small = scripts(draft)
    if facts.state:
        small[SYSTEM_PROMPT] = system_prompt.encode()
    if facts.route:
        small[ROUTE] = route_json(facts.route).encode()
    small |= _encoder_texts(encoder) if encoder else {GOLDEN_TEXT: golden_text(facts.sample_prompt).encode()}
    small |= {f"{LICENCES}/{name}": content for name, content in licences.items()}
    small[SBOM] = sbom_json(draft).encode()
    native = [file.source(f"{RUNTIME}/{name}", executable=True) for name, file in (programs or {}).items()]
    kept = state.source(STATE) if state else None
    large = [model, *(source for source in (added, larger, kept) if source), *native, *wheels]
    listed = sorted([*large, *_sources(small)], key=lambda source: source.file.path)
    manifest = replace(draft, files=tuple(source.file for source in listed))
    first = _source(MANIFEST, manifest_json(manifest).encode())
    sums = _sums(SUMS, [first, *listed])
    if quantizer is not None:
        evidence = {**evidence, PROVENANCE: provenance_json(manifest, sums.file.sha256, quantizer).encode()}
    return Payload(
        manifest=manifest,
        sources=(first, sums, *listed),
        evidence=_evidence(evidence),
        digest=sums.file.sha256,
    )


def _encoder_texts(encoder: EncoderParts) -> dict[str, bytes]:
    return {
        TOKENIZER: encoder.tokenizer.encode(),
        GOLDEN_TEXTS: texts_json(encoder.golden).encode(),
        ENCODER: encoder_program(),
    }


def _evidence(evidence: Mapping[str, bytes]) -> tuple[Source, ...]:
    if not evidence:
        return ()
    inner = _sums(SUMS, sorted(_sources(evidence), key=lambda source: source.file.path))
    assert isinstance(inner.content, bytes)
    return tuple(_sources({f"{EVIDENCE}/{SUMS}": inner.content})) + tuple(
        _source(f"{EVIDENCE}/{name}", evidence[name]) for name in sorted(evidence)
    )


def _sources(contents: Mapping[str, bytes]) -> Iterator[Source]:
    for path, content in contents.items():
        yield _source(path, content)


def _source(path: str, content: bytes) -> Source:
    if not is_safe_path(path):
        raise ValueError(f"{path!r} cannot be a file of a bundle")
    digest = hashlib.sha256(content).hexdigest()
    file = PayloadFile(path=path, size=len(content), sha256=digest, executable=path in SCRIPTS)
    return Source(file=file, content=content)


def _sums(path: str, sources: list[Source]) -> Source:
    return _source(path, sums_text({source.file.path: source.file.sha256 for source in sources}).encode())
