"""Whether a bundle is, byte for byte, what it says, and whether its model speaks; it repairs nothing."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from edgepack.domain.bundle import EVIDENCE, SIGNATURE, SUMS, TOKENIZER, Format, Manifest
from edgepack.domain.errors import BadInputError, VerificationError
from edgepack.domain.golden import GOLDEN_OUTPUTS, GOLDEN_TEXTS, Nearness, nearness, parse_outputs, parse_texts
from edgepack.domain.progress import Progress
from edgepack.formats.checking import check_bundle
from edgepack.formats.extraction import extract_file
from edgepack.formats.opening import file_in, open_bundle, read_small
from edgepack.formats.partial import partial_directory
from edgepack.formats.reader import BundleReader
from edgepack.infra.machine import big_cpus
from edgepack.infra.signatures import is_signed_by
from edgepack.infra.store import require_space


class SignatureState(StrEnum):
    """What is known of a bundle's signature."""

    ABSENT = "absent"
    UNCHECKED = "unchecked"
    """There is one, and no key to hold it against."""
    GOOD = "good"


_AGAIN = "make the bundle again from its checkpoint"
_MOST_TOKENS = 48
"""Enough for a sentence; a model that speaks at all speaks within it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the bundle's model said, greedily, to the manifest's sample prompt."""

    prompt: str
    text: str
    tokens: int
    chat: bool
    """Whether the prompt went through the model's chat template; a model without one goes on with the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A bundle that is what it says: files and bytes checked, and the answer if the model was asked."""

    path: Path
    manifest: Manifest
    format: Format
    payload_digest: str
    files: int
    size: int
    answer: Answer | None
    signature: SignatureState = SignatureState.ABSENT
    near: Nearness | None = None
    """How near an encoder comes to what it gave where the bundle was built, if it was asked."""


def verify(bundle: Path, *, run_model: bool, progress: Progress, key: Path | None = None) -> Verdict:
    """Check every byte of a bundle, that `key` signed it where one is given, and let its model answer.

    `key` is a public Ed25519 key in a PEM file. Raises VerificationError where anything is not as it says, the
    signature is missing or another key's, or the model says nothing; BadInputError where it is no bundle, or no
    key; NoSpaceError where disk (for a tar's weights) or memory do not suffice.
    """
    with closing(open_bundle(bundle)) as reader:
        # Before anything else of it is believed.
        signature = _signature(reader, key)
        checked = check_bundle(reader, bundle, progress)
        answer = near = None
        if run_model and checked.manifest.facts.encoder:
            near = _nearness(reader, bundle, checked.manifest, progress)
        elif run_model:
            with _loadable(reader, bundle, checked.manifest, progress) as (weights, adapter):
                progress.step("asking the model")
                answer = _answer(weights, adapter, checked.manifest)
            _ask_large(reader, bundle, checked.manifest, progress)
    return Verdict(
        path=bundle, manifest=checked.manifest, format=reader.format, payload_digest=checked.payload_digest,
        files=checked.files, size=checked.size, answer=answer, near=near,
        signature=signature,
    )  # fmt: skip


def _signature(reader: BundleReader, key: Path | None) -> SignatureState:
    there = file_in(reader, SIGNATURE)
    if key is None:
        return SignatureState.UNCHECKED if there else SignatureState.ABSENT
    if there is None:
        hint = "sign it (edgepack sign), or take it from somebody who has"
        raise VerificationError("the bundle is not signed", hint=hint)
    if not is_signed_by(key, data=read_small(reader, SUMS), signature=read_small(reader, SIGNATURE)):
        raise VerificationError(
            f"{SIGNATURE}: not made by {key}, or not of this {SUMS}",
            hint="do not use the bundle, unless that is the wrong key",
        )
    return SignatureState.GOOD


def _nearness(reader: BundleReader, bundle: Path, manifest: Manifest, progress: Progress) -> Nearness:
    """Raises VerificationError for an encoder that does not run here, or gives something else than it did."""
    from edgepack.engines.onnxruntime_golden import given_for, tokenizer_of

    encoder = manifest.facts.encoder
    assert encoder is not None, "asked of encoders alone"
    golden = parse_texts(_read(reader, GOLDEN_TEXTS), subject=GOLDEN_TEXTS)
    with _loadable(reader, bundle, manifest, progress) as (weights, _):
        progress.step("asking the encoder")
        try:
            given, tokenizer = given_for(weights, golden.texts, threads=_threads(manifest)), tokenizer_of(weights)
        except BadInputError as error:
            what = f"{manifest.weights.path}: the model does not run: {error.what}"
            raise VerificationError(what, hint=_AGAIN) from error
    member = file_in(reader, TOKENIZER)  # of many languages it is larger than what is read as small
    if member is None or b"".join(reader.chunks(member)) != tokenizer.encode():
        raise VerificationError(f"{TOKENIZER}: not the tokenizer of {manifest.weights.path}", hint=_AGAIN)
    path = f"{EVIDENCE}/{GOLDEN_OUTPUTS}"
    if file_in(reader, path) is None:
        progress.warn(f"no {path}: what the model gives is not compared")
        return Nearness(cosine=1.0, texts=0, milliseconds=given.milliseconds)
    near = nearness(encoder.gives, parse_outputs(_read(reader, path), subject=path).outputs, given.outputs)
    if near.cosine < golden.least_cosine or near.other_labels:
        what = (
            f"cosine {near.cosine:.5f} of {golden.least_cosine:g}, {len(near.other_labels)} texts with other labels"
        )
        raise VerificationError(
            f"{manifest.weights.path}: gives something else here than where it was built ({what})",
            hint="onnxruntime is not right for this CPU, or broken: install another version",
        )
    return replace(near, milliseconds=given.milliseconds)


def _read(reader: BundleReader, path: str) -> str:
    return read_small(reader, path).decode("utf-8", errors="replace")


def _ask_large(reader: BundleReader, bundle: Path, manifest: Manifest, progress: Progress) -> None:
    """The route's larger model must say something too."""
    if manifest.large is None:
        return
    alone = replace(manifest, weights=manifest.large, adapter=None)
    with _loadable(reader, bundle, alone, progress) as (path, _):
        progress.step("asking the larger model")
        _answer(path, None, alone)


@contextmanager
def _loadable(
    reader: BundleReader, bundle: Path, manifest: Manifest, progress: Progress
) -> Iterator[tuple[Path, Path | None]]:
    """Weights and adapter as files: those in the directory, or copies of the tar's, removed afterwards."""
    weights, adapter = manifest.weights.path, manifest.adapter.path if manifest.adapter else None
    if reader.format is Format.DIR:
        yield bundle / weights, bundle / adapter if adapter else None
        return
    with _scratch(bundle) as scratch:
        for path in (weights, *([adapter] if adapter else [])):
            _unpack(reader, path, scratch, progress)
        yield scratch / weights, scratch / adapter if adapter else None


def _unpack(reader: BundleReader, path: str, scratch: Path, progress: Progress) -> None:
    member = file_in(reader, path)
    assert member is not None, "check() has seen it"
    require_space(scratch, member.size, f"unpacking {path}")
    with progress.bar(f"unpack {path}", member.size, "B") as bar:
        extract_file(reader, member, scratch / path, bar=bar)


@contextmanager
def _scratch(bundle: Path) -> Iterator[Path]:
    """A directory beside the bundle, or the system's where that is not ours to write."""
    bundle = bundle.resolve()
    if os.access(bundle.parent, os.W_OK):
        with partial_directory(bundle) as scratch:
            yield scratch
    else:
        with tempfile.TemporaryDirectory(prefix="edgepack-") as scratch_name:
            yield Path(scratch_name)


def _threads(manifest: Manifest) -> int:
    return max(1, min(manifest.facts.flags.threads, len(big_cpus())))


def _answer(weights: Path, adapter: Path | None, manifest: Manifest) -> Answer:
    from edgepack.engines.llamacpp import ChatMessage, chat_prompt, generate

    prompt = manifest.facts.sample_prompt
    try:
        ready, chat = chat_prompt(weights, [ChatMessage(role="user", content=prompt)]), True
    except BadInputError:  # no chat template; a file that cannot be loaded at all fails again below
        ready, chat = prompt, False
    try:
        said = generate(weights, ready, adapter=adapter, max_tokens=_MOST_TOKENS, threads=_threads(manifest))
    except BadInputError as error:
        what = f"{manifest.weights.path}: the model does not run: {error.what}"
        raise VerificationError(what, hint=_AGAIN) from error
    if not said.tokens:
        what = f"{manifest.weights.path}: the model says nothing to {prompt!r}"
        raise VerificationError(what, hint="ask it something it knows: give the bundle another sample prompt")
    return Answer(prompt=prompt, text=said.text, tokens=said.tokens, chat=chat)
