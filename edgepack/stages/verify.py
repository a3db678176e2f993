"""Whether a bundle is, byte for byte, what it says, and whether its model speaks; it repairs nothing."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from edgepack.domain.bundle import SIGNATURE, SUMS, Format, Manifest
from edgepack.domain.errors import BadInputError, VerificationError
from edgepack.domain.progress import Progress
from edgepack.formats.checking import check
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


def verify(bundle: Path, *, run_model: bool, progress: Progress, key: Path | None = None) -> Verdict:
    """Check every byte of a bundle, that `key` signed it where one is given, and let its model answer.

    `key` is a public Ed25519 key in a PEM file. Raises VerificationError where anything is not as it says, the
    signature is missing or another key's, or the model says nothing; BadInputError where it is no bundle, or no
    key; NoSpaceError where disk (for a tar's weights) or memory do not suffice.
    """
    with closing(open_bundle(bundle)) as reader:
        # Before anything else of it is believed.
        signature = _signature(reader, key)
        progress.step(f"checking every byte of {bundle}")
        with progress.bar("check", sum(member.size for member in reader.members), "B") as bar:
            checked = check(reader, bar)
        answer = None
        if run_model:
            with _loadable(reader, bundle, checked.manifest, progress) as (weights, adapter):
                progress.step("asking the model")
                answer = _answer(weights, adapter, checked.manifest)
            _ask_large(reader, bundle, checked.manifest, progress)
    return Verdict(
        path=bundle, manifest=checked.manifest, format=reader.format, payload_digest=checked.payload_digest,
        files=checked.files, size=checked.size, answer=answer,
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


def _answer(weights: Path, adapter: Path | None, manifest: Manifest) -> Answer:
    from edgepack.engines.llamacpp import ChatMessage, chat_prompt, generate

    prompt = manifest.facts.sample_prompt
    try:
        ready, chat = chat_prompt(weights, [ChatMessage(role="user", content=prompt)]), True
    except BadInputError:  # no chat template; a file that cannot be loaded at all fails again below
        ready, chat = prompt, False
    threads = max(1, min(manifest.facts.flags.threads, len(big_cpus())))
    try:
        said = generate(weights, ready, adapter=adapter, max_tokens=_MOST_TOKENS, threads=threads)
    except BadInputError as error:
        what = f"{manifest.weights.path}: the model does not run: {error.what}"
        raise VerificationError(what, hint="make the bundle again from its checkpoint") from error
    if not said.tokens:
        what = f"{manifest.weights.path}: the model says nothing to {prompt!r}"
        raise VerificationError(what, hint="ask it something it knows: give the bundle another sample prompt")
    return Answer(prompt=prompt, text=said.text, tokens=said.tokens, chat=chat)
