"""Checkpoint to weights: planned by the profile's memory, made once in the store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgepack.convert.adapter import Adapter
from edgepack.convert.card import card_licence
from edgepack.convert.full_gguf import FullGguf
from edgepack.convert.ggml import ggml_path
from edgepack.convert.imatrix import ImportanceMatrix, applied
from edgepack.convert.memory import loaded_weights, memory_shape, write_skeleton
from edgepack.convert.onepass import Conversion, Convertible, open_conversion, write_gguf
from edgepack.convert.quantizer import kernels_library
from edgepack.convert.typeplan import Mixture
from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.fallback import Fallback, explain
from edgepack.domain.memory import Buffers, Need, memory_plan
from edgepack.domain.plan import Candidate, preferred, refuse_over_3b
from edgepack.domain.progress import Progress, Silent
from edgepack.domain.quant import Quant
from edgepack.domain.repacking import Loading
from edgepack.domain.step import Step
from edgepack.domain.tuning import UNTUNED, Tuning, TypeOverride
from edgepack.domain.weights import Weights
from edgepack.engines.llamacpp import describe
from edgepack.engines.llamacpp_buffers import reserved
from edgepack.formats.partial import partial_directory
from edgepack.infra.digests import sha256_of
from edgepack.infra.kept import keep_file
from edgepack.infra.store import Store, require_space

_LONGEST_NAME = 96
# Raised whenever the bytes that a conversion gives change: it is part of every key.
_CONVERTER = "edgepack-convert/1"


def quantizer_build() -> dict[str, str]:
    """What quantizes on this machine, by name and sha256."""
    kernels = kernels_library(Silent())
    used = [ggml_path(), *([kernels[1]] if kernels else [])]
    return {path.name: sha256_of(path) for path in used}


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A checkpoint whose headers were read and believed."""

    checkpoint: Checkpoint
    conversion: Conversion | FullGguf
    inputs: Mapping[str, str]
    """What the weights depend on: digests by name."""
    tuning: Tuning = UNTUNED
    beside: int = 0
    """Bytes of an adapter that is loaded beside the weights."""

    @property
    def name(self) -> str:
        return self.conversion.name

    @property
    def parameters(self) -> int:
        return self.conversion.parameters

    @property
    def context_length(self) -> int:
        return self.conversion.context_length

    @property
    def embeds(self) -> bool:
        """Whether it gives vectors of texts rather than text."""
        return self.conversion.embeds

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

    def candidates(self, quant: Quant | None, need: Need, loading: Loading) -> Iterator[Candidate]:
        """The quantization asked for, or the usual ones from the best; each is planned only when it is its turn."""
        wanted: Iterable[Quant] = (quant,) if quant else preferred(self.parameters)
        buffers = _buffers(self.conversion, need)
        mixtures = (mixture_of(candidate, self.tuning) for candidate in wanted)
        return (_candidate(self, mixture, need, loading, buffers) for mixture in mixtures)


def open_directory(directory: Path, name: str, *, allow_over_3b: bool, merge: Adapter | None = None) -> Conversion:
    """Read config and headers, and count the parameters; raises BadInputError, also for one over 3 B.

    `merge` is an adapter that the weights shall have.
    """
    conversion = open_conversion(directory, name, merge=merge)
    refuse_over_3b(name, conversion.parameters, allowed=allow_over_3b)
    return conversion


def open_checkpoint(
    checkpoint: Checkpoint,
    *,
    allow_over_3b: bool,
    tuning: Tuning = UNTUNED,
    merge: Adapter | None = None,
    merge_digest: str | None = None,
) -> Opened:
    """The same for a checkpoint whose files are known by digest, as the store needs it."""
    conversion = open_directory(checkpoint.directory, checkpoint.name, allow_over_3b=allow_over_3b, merge=merge)
    inputs = {"checkpoint": checkpoint.digest, **({"adapter": merge_digest} if merge_digest else {})}
    return Opened(checkpoint=checkpoint, conversion=conversion, inputs=inputs, tuning=tuning)


def open_full_precision(checkpoint: Checkpoint, full: FullGguf, *, tuning: Tuning = UNTUNED) -> Opened:
    """The same for a checkpoint that upstream's converter has gone over."""
    inputs = {"checkpoint": checkpoint.digest, "upstream": full.sha256}
    return Opened(checkpoint=checkpoint, conversion=full, inputs=inputs, tuning=tuning)


def mixture_of(quant: Quant, tuning: Tuning) -> Mixture:
    """What decides the tensors' types; known before a matrix is computed."""
    return Mixture(quant=quant, overrides=tuning.overrides, weighed=tuning.matrix is not None)


def convert(
    opened: Opened,
    quant: Quant,
    *,
    matrix: ImportanceMatrix | None = None,
    llama_cpp: str,
    store: Store,
    threads: int,
    progress: Progress,
) -> Weights:
    """The weights at `quant`, out of the store or made now. `llama_cpp` names the pinned version.

    `matrix` is the one that `opened.tuning` asks for.
    """
    conversion, overrides = opened.conversion, opened.tuning.overrides
    step = _step(opened, quant, matrix, llama_cpp)

    def make(path: Path) -> str:
        size = conversion.plan.size(mixture_of(quant, opened.tuning))
        require_space(path.parent, size, f"{conversion.name} {quant}")
        progress.step(f"converting {conversion.name} to {quant}")
        return write_gguf(
            conversion, quant, path, threads=threads, progress=progress, overrides=overrides, matrix=matrix
        )

    kept, made = keep_file(store, step, f"{file_stem(conversion.name, quant)}.gguf", make)
    if not made:
        progress.step(f"{conversion.name} {quant} stands in the store")
    return _described(conversion, quant, path=kept.path, digest=kept.sha256, size=kept.size)


def warn_of_types(
    fallen: Sequence[Fallback], weights: int, tuning: Tuning, quant: Quant | None, progress: Progress
) -> None:
    """Say which tensors' shapes cost bytes of `weights`, and which wish about types comes to nothing."""
    if fallen:
        progress.warn(f"{quant}: {explain(fallen, total=weights)}")
    if tuning.overrides and quant in (Quant.F16, Quant.BF16):
        progress.warn(f"--tensor-type changes nothing in {quant}: only quantized files mix types")


def _step(opened: Opened, quant: Quant, matrix: ImportanceMatrix | None, llama_cpp: str) -> Step:
    inputs = dict(opened.inputs)
    parameters = {"name": opened.conversion.name, "quant": str(quant)}
    if opened.tuning.overrides:
        parameters["tensor_types"] = " ".join(map(str, opened.tuning.overrides))
    if matrix:
        # Its name stands in the GGUF.
        inputs["imatrix"], parameters["imatrix"] = matrix.sha256, matrix.name
    return Step(name="convert", inputs=inputs, parameters=parameters, tool=f"{_CONVERTER} {llama_cpp}")


def convert_to(
    path: Path,
    conversion: Convertible,
    quant: Quant,
    *,
    overrides: tuple[TypeOverride, ...] = (),
    matrix: ImportanceMatrix | None = None,
    threads: int,
    progress: Progress,
) -> Weights:
    """The weights at `quant`, written to `path` past the store; an error leaves what stood there."""
    with partial_directory(path) as partial:
        progress.step(f"converting {conversion.name} to {quant}")
        new = partial / "weights.gguf"
        digest = write_gguf(
            conversion, quant, new, threads=threads, progress=progress, overrides=overrides, matrix=matrix
        )
        size = new.stat().st_size
        new.replace(path)
    return _described(conversion, quant, path=path, digest=digest, size=size)


def _described(conversion: Convertible, quant: Quant, *, path: Path, digest: str, size: int) -> Weights:
    return Weights(
        path=path, sha256=digest, size=size, name=conversion.name, architecture=conversion.architecture,
        quant=quant, parameters=conversion.parameters, context_length=conversion.context_length,
    )  # fmt: skip


def file_stem(*words: str) -> str:
    """The words as one file name, in letters that any system takes."""
    kept = (
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "-" for letter in "-".join(words)
    )
    return "".join(kept).lstrip("._-")[:_LONGEST_NAME] or "model"


def _candidate(opened: Opened, mixture: Mixture, need: Need, loading: Loading, buffers: Buffers) -> Candidate:
    conversion = opened.conversion
    if not mixture.weighed:
        applied(None, conversion.plan.types(mixture))  # types that need a matrix are refused before it is their turn
    weights = loaded_weights(conversion.plan, mixture, loading)
    vocabulary = _vocabulary(conversion)
    memory = memory_plan(weights, buffers, need, vocabulary=vocabulary, beside=opened.beside)
    size, fallen = conversion.plan.size(mixture), conversion.plan.fallbacks(mixture)
    return Candidate(quant=mixture.quant, memory=memory, size=size, fallen=fallen)


def _buffers(conversion: Conversion | FullGguf, need: Need) -> Buffers:
    """As llama.cpp would reserve them, whatever the types of the weights."""
    if isinstance(conversion, FullGguf):
        return reserved(conversion.path, need)[0]
    with TemporaryDirectory(prefix="edgepack-") as scratch:
        write_skeleton(conversion, Path(scratch) / "skeleton.gguf")
        return reserved(Path(scratch) / "skeleton.gguf", need)[0]


def _vocabulary(conversion: Conversion | FullGguf) -> int:
    if isinstance(conversion, FullGguf):
        return describe(conversion.path).vocabulary
    shape = memory_shape(conversion)
    return shape.vocabulary * shape.token_bytes
