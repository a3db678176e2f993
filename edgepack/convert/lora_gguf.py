"""An adapter becomes a GGUF that llama.cpp loads beside the base model's: its pairs by the base's names and rows."""

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

from edgepack.convert.adapter import Adapter, LowRank, read_values
from edgepack.convert.family import GeneratedTensor
from edgepack.convert.filling import fill_file
from edgepack.convert.fitting import EMBEDDING, fit
from edgepack.convert.layout import add_tensors, write_head
from edgepack.convert.metadata import write_general
from edgepack.convert.onepass import Conversion
from edgepack.convert.tensors import Source
from edgepack.domain.adapter import AdapterType
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Progress
from edgepack.domain.quant import TensorType

_ALPHA = "adapter.lora.alpha"
_MERGE = "merge it into the weights: --merge"


def adapter_tensors(adapter: Adapter, base: Conversion, type: AdapterType) -> list[tuple[Source, TensorType]]:
    """The GGUF's tensors with their types, in its order: vectors, then pairs as the adapter has them.

    Raises BadInputError for an adapter of another model, and for what a GGUF adapter cannot say.
    """
    if not adapter.plain_scale:
        raise BadInputError(
            f"{adapter.config}: use_rslora or alpha_pattern: a GGUF adapter holds one lora_alpha for all ranks",
            hint=_MERGE,
        )
    fitted = fit(adapter, base.family, base.sources)
    vectors = [
        (
            Source(name=source.name, shape=source.shape, origin=tensor, order=source.order, change=source.change),
            TensorType.F32,
        )
        for tensor, targets in fitted.vectors
        for source in targets
    ]
    pairs = [
        (half, type.tensor)
        for update, targets in fitted.updates
        for source in targets
        for half in _halves(update, source)
    ]
    return vectors + pairs


def write_adapter(
    path: Path, adapter: Adapter, name: str, base: Conversion, type: AdapterType, *, threads: int, progress: Progress
) -> str:
    """Write the adapter's GGUF to `path`, which must not exist; returns its sha256. Raises as `adapter_tensors`.

    `name` takes the place of the directory's, as for a model. After an error the file is incomplete.
    """
    tensors = adapter_tensors(adapter, base, type)
    writer = gguf.GGUFWriter(None, base.architecture)
    add_tensors(writer, tensors)
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    write_general(adapter.directory, name, writer)
    writer.add_float32(_ALPHA, adapter.alpha)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    placed, size = write_head(writer, path, tensors)
    return fill_file(placed, size, path, threads=threads, progress=progress, label=f"{name} {type}")


def _halves(update: LowRank, source: Source) -> Iterator[Source]:
    """lora_a, then lora_b, whose rows are the base tensor's and take its order."""
    if source.change:
        raise BadInputError(
            f"{update.a.path}: tensor {update.a.name!r}: {source.name} is not written as it is stored", hint=_MERGE
        )
    a, b = f"{source.name}.lora_a", f"{source.name}.lora_b"
    if source.name != EMBEDDING:
        yield Source(name=a, shape=update.a.shape, origin=update.a)
        yield Source(name=b, shape=(source.shape[0], update.rank), origin=update.b, order=source.order)
        return
    if source.order:
        raise BadInputError(
            f"{update.a.path}: tensor {update.a.name!r}: not all of the embedding's rows are written", hint=_MERGE
        )
    yield Source(name=a, shape=update.a.shape[::-1], origin=_transposed(update, a))
    yield Source(name=b, shape=update.b.shape, origin=update.b)


def _transposed(update: LowRank, name: str) -> GeneratedTensor:
    """A row for each token, as llama.cpp looks them up."""
    with update.a.path.open("rb") as file:
        values = read_values(update.a, file.fileno(), slice(0, update.rank), slice(0, update.a.shape[1]))
    return GeneratedTensor(name=name, values=np.ascontiguousarray(values.T))
