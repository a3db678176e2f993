"""Checkpoint to an ONNX encoder: out of the store, or written past it; or one that is ready as it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edgepack.convert.card import card_licence
from edgepack.convert.config import read_config
from edgepack.convert.onnx.encoder import EncoderConversion, open_encoder, write_onnx
from edgepack.convert.onnx.table import is_encoder
from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.encoder import BLOCK, EncoderDescription
from edgepack.domain.errors import UsageError
from edgepack.domain.onnx_memory import EncoderShape, onnx_memory
from edgepack.domain.plan import Candidate, refuse_over_3b
from edgepack.domain.progress import Progress
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.step import Step
from edgepack.domain.weights import Weights, WeightsFormat
from edgepack.formats.partial import partial_directory
from edgepack.infra.kept import keep_file
from edgepack.infra.store import Store, require_space

_FULL_BYTES = 4
_BYTES = {OnnxQuant.F32: _FULL_BYTES, OnnxQuant.Q8: 1 + _FULL_BYTES / BLOCK}
# Raised whenever the bytes that a conversion gives change.
_CONVERTER = "edgepack-onnx/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedEncoder:
    """A checkpoint that becomes ONNX, read as far as its headers."""

    checkpoint: Checkpoint
    conversion: EncoderConversion

    @property
    def name(self) -> str:
        return self.conversion.name

    @property
    def parameters(self) -> int:
        return self.conversion.parameters

    @property
    def context_length(self) -> int:
        return self.described(OnnxQuant.Q8).context_length

    @property
    def embeds(self) -> bool:
        """Whether it gives something else than text."""
        return True

    @property
    def origin(self) -> str:
        return self.checkpoint.origin

    @property
    def revision(self) -> str | None:
        return self.checkpoint.revision

    @property
    def digest(self) -> str | None:
        """The checkpoint's."""
        return self.checkpoint.digest

    @property
    def licence(self) -> str | None:
        """What the model card calls its licence."""
        return card_licence(self.checkpoint.directory)

    @property
    def terms(self) -> tuple[Path, ...]:
        """The checkpoint's licence files."""
        return self.checkpoint.terms

    def described(self, quant: OnnxQuant) -> EncoderDescription:
        """What the file will say of itself."""
        return self.conversion.description(quant)

    def precisions(self, quant: OnnxQuant | None, context: int) -> Iterator[Candidate]:
        """The one asked for, or 8 bits."""
        wanted = quant or OnnxQuant.Q8
        size = encoder_size(self.parameters, wanted)
        memory = onnx_memory(
            size, self.described(wanted).vocabulary, quant=wanted, shape=self.conversion.shape, context=context
        )
        return iter((Candidate(quant=wanted, memory=memory, size=size),))


@dataclass(frozen=True, kw_only=True, slots=True)
class AdoptedEncoder:
    """An ONNX file that is ready, and what it says of itself."""

    weights: Weights
    said: EncoderDescription
    shape: EncoderShape
    checkpoint: Checkpoint | None = None
    """What it was made of, where that is known: name, licence and provenance are its."""

    @property
    def name(self) -> str:
        return self.weights.name

    @property
    def parameters(self) -> int:
        return self.weights.parameters

    @property
    def context_length(self) -> int:
        return self.weights.context_length

    @property
    def embeds(self) -> bool:
        """Whether it gives something else than text."""
        return True

    @property
    def origin(self) -> str:
        """The checkpoint's, or the file's name; where it lay on the machine that built is nobody's business."""
        return self.checkpoint.origin if self.checkpoint else f"file:{self.weights.path.name}"

    @property
    def revision(self) -> str | None:
        return self.checkpoint.revision if self.checkpoint else None

    @property
    def digest(self) -> str | None:
        """The checkpoint's; None where nobody knows from which the file was made."""
        return self.checkpoint.digest if self.checkpoint else None

    @property
    def licence(self) -> str | None:
        return card_licence(self.checkpoint.directory) if self.checkpoint else None

    @property
    def terms(self) -> tuple[Path, ...]:
        return self.checkpoint.terms if self.checkpoint else ()

    def described(self, quant: OnnxQuant) -> EncoderDescription:
        """What the file says of itself."""
        return self.said

    def precisions(self, quant: OnnxQuant | None, context: int) -> Iterator[Candidate]:
        """The one that it is; UsageError where another is asked for."""
        if quant not in (None, self.said.quant):
            raise UsageError(
                f"--quant {quant}: {self.weights.path.name} is {self.said.quant} already",
                hint="leave --quant away, or build from the checkpoint that the file was made from",
            )
        memory = onnx_memory(
            self.weights.size, self.said.vocabulary, quant=self.said.quant, shape=self.shape, context=context
        )
        return iter((Candidate(quant=self.said.quant, memory=memory, size=self.weights.size),))


EncoderMaterial: TypeAlias = OpenedEncoder | AdoptedEncoder


def becomes_onnx(checkpoint: Checkpoint) -> bool:
    """Whether its class is one of the encoders."""
    return is_encoder(read_config(checkpoint.directory).checkpoint_class)


def class_becomes_onnx(checkpoint_class: str) -> bool:
    """The same, of a checkpoint that is not here."""
    return is_encoder(checkpoint_class)


def encoder_size(parameters: int, quant: OnnxQuant) -> int:
    """Bytes of the file, nearly: before it is made."""
    return round(parameters * _BYTES[quant])


def open_encoder_directory(directory: Path, name: str, *, allow_over_3b: bool) -> EncoderConversion:
    """Read config and headers, and count the parameters; raises BadInputError, also for one over 3 B."""
    conversion = open_encoder(directory, name)
    refuse_over_3b(name, conversion.parameters, allowed=allow_over_3b)
    return conversion


def open_encoder_checkpoint(checkpoint: Checkpoint, *, allow_over_3b: bool) -> OpenedEncoder:
    """The same for a checkpoint whose files are known by digest, as the store needs it."""
    conversion = open_encoder_directory(checkpoint.directory, checkpoint.name, allow_over_3b=allow_over_3b)
    return OpenedEncoder(checkpoint=checkpoint, conversion=conversion)


def adopt_encoder(
    path: Path, *, memo: Path, allow_over_3b: bool, progress: Progress, checkpoint: Checkpoint | None = None
) -> AdoptedEncoder:
    """Read what an ONNX file says of itself and hash its bytes; `memo` keeps digests, as in `sha256_of`.

    Raises BadInputError for one that edgepack did not make, and for one over 3 B.
    """
    from edgepack.engines.onnxruntime_checking import shape_of
    from edgepack.engines.onnxruntime_library import describe, identify

    said = describe(path)
    with progress.bar("digest of the weights", path.stat().st_size, "B") as bar:
        weights = identify(path.absolute(), memo=memo, advance=bar.advance)
    refuse_over_3b(weights.name, weights.parameters, allowed=allow_over_3b)
    return AdoptedEncoder(weights=weights, said=said, shape=shape_of(path), checkpoint=checkpoint)


def convert_encoder(opened: OpenedEncoder, quant: OnnxQuant, *, store: Store, progress: Progress) -> Weights:
    """The file at `quant`, out of the store or made now."""
    conversion = opened.conversion

    def make(path: Path) -> str:
        require_space(path.parent, encoder_size(conversion.parameters, quant), f"{conversion.name} {quant}")
        progress.step(f"converting {conversion.name} to ONNX, {quant}")
        return write_onnx(conversion, quant, path)

    step = Step(
        name="convert-onnx", inputs={"checkpoint": opened.checkpoint.digest},
        parameters={"name": conversion.name, "quant": str(quant)}, tool=_CONVERTER,
    )  # fmt: skip
    kept, made = keep_file(store, step, "weights.onnx", make)
    if not made:
        progress.step(f"{conversion.name} {quant} stands in the store")
    return _described(conversion, quant, path=kept.path, digest=kept.sha256, size=kept.size)


def encoder_to(path: Path, conversion: EncoderConversion, quant: OnnxQuant, *, progress: Progress) -> Weights:
    """The file at `quant`, written to `path`; an error leaves what stood there."""
    with partial_directory(path) as partial:
        require_space(partial, encoder_size(conversion.parameters, quant), f"{conversion.name} {quant}")
        progress.step(f"converting {conversion.name} to ONNX, {quant}")
        new = partial / "weights.onnx"
        digest = write_onnx(conversion, quant, new)
        size = new.stat().st_size
        new.replace(path)
    return _described(conversion, quant, path=path, digest=digest, size=size)


def _described(conversion: EncoderConversion, quant: OnnxQuant, *, path: Path, digest: str, size: int) -> Weights:
    said = conversion.description(quant)
    return Weights(
        path=path, sha256=digest, size=size, name=said.name, architecture=said.architecture, quant=quant,
        parameters=said.parameters, context_length=said.context_length, format=WeightsFormat.ONNX,
    )  # fmt: skip
