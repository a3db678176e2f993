"""Weights that are ready: a GGUF is taken as it is, known by what it says of itself and by its digest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgepack.convert.gguf_head import read_head
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.memory import Need, memory_plan
from edgepack.domain.plan import Candidate, refuse_over_3b
from edgepack.domain.progress import Progress
from edgepack.domain.quant import Quant
from edgepack.domain.repacking import Loading, loaded
from edgepack.domain.weights import Weights
from edgepack.domain.work import NamedTensor
from edgepack.engines.llamacpp import Description, describe
from edgepack.engines.llamacpp_buffers import reserved
from edgepack.infra.digests import sha256_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Adopted:
    """A GGUF that somebody made, and what its metadata says."""

    weights: Weights
    tensors: tuple[NamedTensor, ...]
    vocabulary: int
    """Bytes of its tables in memory."""
    tensor_bytes: int
    embeds: bool
    """Whether it gives vectors of texts rather than text."""
    licence: str | None
    """What its maker calls its licence."""

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
    def origin(self) -> str:
        """The file's name; where it lay on the machine that built is nobody's business."""
        return f"file:{self.weights.path.name}"

    @property
    def revision(self) -> str | None:
        """A file has none."""
        return None

    @property
    def digest(self) -> str | None:
        """The checkpoint's; nobody knows from which the file was made."""
        return None

    @property
    def terms(self) -> tuple[Path, ...]:
        """No licence texts come with a GGUF."""
        return ()

    def candidates(self, quant: Quant | None, need: Need, loading: Loading) -> Iterator[Candidate]:
        """The one that it is; UsageError where another is asked for."""
        if quant is not None:
            raise UsageError(
                f"--quant {quant}: {self.weights.path.name} is {self.weights.quant or 'quantized'} already",
                hint="leave --quant away, or build from the checkpoint that the file was made from",
            )
        (buffers,) = reserved(self.weights.path, need)
        memory = memory_plan(loaded(self.tensors, loading), buffers, need, vocabulary=self.vocabulary)
        return iter((Candidate(quant=self.weights.gguf_quant, memory=memory, size=self.tensor_bytes),))


def adopt(path: Path, *, memo: Path, allow_over_3b: bool, progress: Progress) -> Adopted:
    """Read a GGUF's metadata and hash its bytes; `memo` keeps digests, as in `sha256_of`.

    Raises BadInputError for what is no whole GGUF with a model's weights in one file, and for one over 3 B.
    """
    found = describe(path)
    name = found.name if found.name.isprintable() else path.stem
    _refuse_unfit(path, found)
    refuse_over_3b(name, found.parameters, allowed=allow_over_3b)
    try:
        size = path.stat().st_size
        with progress.bar("digest of the weights", size, "B") as bar:
            digest = sha256_of(path, memo=memo, advance=bar.advance)
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error
    weights = Weights(
        path=path.absolute(), sha256=digest, size=size, name=name, architecture=found.architecture,
        quant=found.quant, parameters=found.parameters, context_length=found.context_length,
    )  # fmt: skip
    return Adopted(
        weights=weights, tensors=read_head(path).tensors, vocabulary=found.vocabulary,
        tensor_bytes=found.tensor_bytes, embeds=found.embeds,
        licence=found.licence,
    )  # fmt: skip


def _refuse_unfit(path: Path, found: Description) -> None:
    if found.files > 1:
        raise BadInputError(
            f"{path}: one of {found.files} files that a model is split into",
            hint="merge them first: llama-gguf-split --merge FIRST.gguf WHOLE.gguf",
        )
    if found.synthetic:
        raise BadInputError(
            f"{path}: synthetic weights, which know nothing",
            hint="measure them with edgepack bench; build a model",
        )
    if not found.parameters:
        raise BadInputError(f"{path}: a vocabulary without weights", hint="give a GGUF that holds a whole model")
