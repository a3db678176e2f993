"""Importance matrices: how much each column of a tensor's rows matters, and what llama-quantize makes of that."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

import gguf
import numpy as np

from edgepack.convert.head import pack_head
from edgepack.convert.imatrix_file import Means, parse_gguf, parse_legacy
from edgepack.convert.layout import aligned
from edgepack.convert.tensors import Source
from edgepack.convert.typeplan import stored_type
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.quant import TensorType

_LARGEST = 1 << 30
"""Bytes; the matrix of a dense model of 3 billion parameters has some five million."""
_LARGEST_MEAN = 1e20
"""Activations of ten thousand millions; beyond it ggml's quantizers overflow, and some end the process."""
_LONGEST_TEXT = 127
"""Bytes of a text in llama-quantize's keys (llama_model_kv_override)."""
_HINT = "make it again with llama-imatrix, or let edgepack compute one: --imatrix auto"
# What llama-quantize does without a matrix, or with one of a wrong size (tensor_name_match_token_embd and _output).
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")
_HEAD = "output.weight"
# Too few bits to go without: llama-quantize refuses (tensor_requires_imatrix), and of the latter ggml itself.
_NEEDY = frozenset({
    TensorType.IQ1_S, TensorType.IQ1_M, TensorType.IQ2_XXS, TensorType.IQ2_XS, TensorType.IQ2_S, TensorType.IQ3_XXS,
})  # fmt: skip
_ALWAYS_NEEDY = frozenset({TensorType.IQ1_S, TensorType.IQ2_XXS, TensorType.IQ2_XS})
# Rounded the same with a matrix and without.
_DEAF = frozenset({
    TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.Q8_0, TensorType.TQ1_0, TensorType.TQ2_0,
    TensorType.MXFP4, TensorType.NVFP4, TensorType.Q1_0,
})  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImportanceMatrix:
    """The mean square of what each column is multiplied with, by tensor."""

    file: bytes
    """The file's name, without the folder in which it lay."""
    sha256: str
    means: Mapping[str, Means]
    """Tensor -> a value for each column; of stacked matrices, one after the other."""
    chunks: int
    """Pieces of text that it was computed on; 0 where the file does not say."""
    dataset: bytes | None
    """The text's name, as whoever computed it called it."""

    @property
    def name(self) -> str:
        """`file` for people."""
        return self.file.decode("utf-8", errors="backslashreplace")


def read_matrix(path: Path) -> ImportanceMatrix:
    """Read llama-imatrix's GGUF or the older .dat; raises BadInputError for what is not whole and sound."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read: {error.strerror}", hint="give the path of an importance matrix, or `auto`"
        ) from error
    if not data:
        raise BadInputError(f"{path}: no importance matrix: {size:,} bytes", hint=_HINT)
    try:
        parsed = parse_gguf(data) if data[:4] == b"GGUF" else parse_legacy(data)
        _check_sound(parsed.means)
    except ValueError as error:
        raise BadInputError(f"{path}: no importance matrix: {error}", hint=_HINT) from error
    return ImportanceMatrix(
        file=os.fsencode(path.name), sha256=sha256(data).hexdigest(), means=parsed.means,
        chunks=parsed.chunks, dataset=parsed.dataset,
    )  # fmt: skip


def _check_sound(means: Mapping[str, Means]) -> None:
    for name, values in means.items():
        # Written so that NaN is refused too.
        if not (values.min() >= 0 and values.max() <= _LARGEST_MEAN):
            raise ValueError(f"{name} has a mean of squares that is negative, above {_LARGEST_MEAN:g} or no number")


def matrix_keys(matrix: ImportanceMatrix) -> dict[str, gguf.GGUFValue]:
    """What llama-quantize notes of a matrix, behind all other keys; it is given the bare file's name."""
    string, whole = gguf.GGUFValueType.STRING, gguf.GGUFValueType.UINT32
    keys = {"quantize.imatrix.file": gguf.GGUFValue(matrix.file[:_LONGEST_TEXT], string)}
    if matrix.dataset is not None:
        keys["quantize.imatrix.dataset"] = gguf.GGUFValue(matrix.dataset[:_LONGEST_TEXT], string)
    keys["quantize.imatrix.entries_count"] = gguf.GGUFValue(len(matrix.means), whole)
    if matrix.chunks:
        keys["quantize.imatrix.chunks_count"] = gguf.GGUFValue(matrix.chunks, whole)
    return keys


def applied(matrix: ImportanceMatrix | None, tensors: Iterable[tuple[Source, TensorType]]) -> dict[str, Means]:
    """The importances that quantizing will use, by tensor: (stacked matrices, columns).

    Raises BadInputError for an entry of another size than its tensor, and where a type needs an entry and has
    none; UsageError where it needs a matrix and there is none.
    """
    found: dict[str, Means] = {}
    for source, type in tensors:
        if type is stored_type(source):
            continue  # copied, not quantized
        means = _means_of(matrix, source) if matrix else None
        if means is not None:
            found[source.name] = means
        elif type in (_ALWAYS_NEEDY if source.name in (*_EMBEDDINGS, _HEAD) else _NEEDY):
            raise _missing(matrix, source, type)
    return found


def left_out(importances: Collection[str], tensors: Iterable[tuple[Source, TensorType]]) -> list[str]:
    """The tensors of layers that would be rounded otherwise if only they were among the `importances`."""
    return [
        source.name for source, type in tensors
        if type not in _DEAF and source.name not in importances and source.name not in (*_EMBEDDINGS, _HEAD)
    ]  # fmt: skip


def _means_of(matrix: ImportanceMatrix, source: Source) -> Means | None:
    means = matrix.means.get(source.name)
    columns = source.shape[-1]
    wanted = columns * (source.shape[-3] if len(source.shape) > 2 else 1)
    if means is None or means.size == wanted:
        return None if means is None else means.reshape(-1, columns)
    if source.name in _EMBEDDINGS:
        return None
    raise BadInputError(
        f"{matrix.name}: {source.name} has {means.size} importances, the model's has {wanted} columns",
        hint="use the matrix that was computed with this very model, or --imatrix auto",
    )


def _missing(matrix: ImportanceMatrix | None, source: Source, type: TensorType) -> BadInputError | UsageError:
    if matrix is None:
        return UsageError(
            f"{source.name}: {type.name} has too few bits to be made without an importance matrix",
            hint="add --imatrix FILE or --imatrix auto, or choose another type",
        )
    return BadInputError(
        f"{matrix.name}: no importances of {source.name}, and {type.name} cannot be made without",
        hint="compute the matrix again (for output.weight: llama-imatrix --process-output), or choose another type",
    )


def write_matrix(
    path: Path, sums: Mapping[str, Means], counts: Mapping[str, int], *, chunks: int, chunk_tokens: int, dataset: str
) -> None:
    """Write what was collected as llama-imatrix writes it, byte for byte.

    `sums` of squares are (stacked matrices, columns) and float32; `counts` are the rows that were added up.
    """
    values = {name: array for tensor in sorted(sums) for name, array in _pair(tensor, sums[tensor], counts[tensor])}
    offsets = list(accumulate((aligned(array.nbytes) for array in values.values()), initial=0))
    text, whole = gguf.GGUFValueType.STRING, gguf.GGUFValueType.UINT32
    keys = {
        "general.type": gguf.GGUFValue("imatrix", text),
        "imatrix.datasets": gguf.GGUFValue([dataset], gguf.GGUFValueType.ARRAY, text),
        "imatrix.chunk_count": gguf.GGUFValue(chunks, whole),
        "imatrix.chunk_size": gguf.GGUFValue(chunk_tokens, whole),
    }
    entries = [
        (name, array.shape, TensorType.F32, offset)
        for (name, array), offset in zip(values.items(), offsets, strict=False)
    ]
    with path.open("xb") as file:
        for part in (pack_head(keys, entries), *(array.tobytes() for array in values.values())):
            file.write(part.ljust(aligned(len(part)), b"\0"))


def _pair(tensor: str, sums: Means, count: int) -> Iterator[tuple[str, Means]]:
    # llama-imatrix counts dense tensors once, and so writes one row, however many matrices are stacked.
    yield f"{tensor}.in_sum2", sums.reshape(-1)
    yield f"{tensor}.counts", np.array([count], np.float32)
