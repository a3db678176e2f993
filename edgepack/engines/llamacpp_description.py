"""What a GGUF's metadata says of it, read through llama.cpp; its weights are not touched."""

from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.errors import BadInputError
from edgepack.domain.memory import MERGED_BYTES, PIECE_BYTES
from edgepack.domain.quant import Quant
from edgepack.domain.weights import SYNTHETIC_KEY
from edgepack.engines.llamacpp_library import OpenModel, attends_both_ways, metadata, opened

_MERGED = "gpt2"  # tokenizer.ggml.model


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a GGUF's metadata says of it."""

    name: str
    """general.name, or the file's name without one."""
    architecture: str
    context_length: int
    """Tokens it was trained for."""
    parameters: int
    """Counted from the tensors."""
    tensor_bytes: int
    quant: Quant | None
    """None where general.file_type names no quantization that edgepack knows."""
    licence: str | None
    """general.license, as its maker wrote it."""
    vocabulary: int
    """Bytes of its tables in memory."""
    embeds: bool
    """Whether it was trained to give vectors of texts rather than to write."""
    synthetic: bool
    """Whether its values were made up, not trained."""
    files: int
    """Files that the model is split into; more than one where this is the first of a split."""


def describe(weights: Path) -> Description:
    """Read a GGUF's metadata, not its weights; BadInputError where it is no GGUF of a known architecture."""
    with opened(weights, vocabulary_only=True) as model:
        architecture = metadata(model, "general.architecture") or "unknown"
        file_type = metadata(model, "general.file_type")
        return Description(
            name=metadata(model, "general.name") or weights.stem,
            architecture=architecture,
            context_length=_required(model, f"{architecture}.context_length"),
            parameters=int(model.native.llama_model_n_params(model.handle)),
            tensor_bytes=int(model.native.llama_model_size(model.handle)),
            quant=next((quant for quant in Quant if str(quant.file_type) == file_type), None),
            licence=metadata(model, "general.license"),
            vocabulary=_vocabulary(model),
            embeds=attends_both_ways(model) or bool(_whole(model, f"{architecture}.pooling_type")),
            synthetic=metadata(model, SYNTHETIC_KEY) == "true",
            files=_whole(model, "split.count") or 1,
        )


def _vocabulary(model: OpenModel) -> int:
    merged = metadata(model, "tokenizer.ggml.model") == _MERGED
    return int(model.native.llama_vocab_n_tokens(model.vocabulary)) * (MERGED_BYTES if merged else PIECE_BYTES)


def _required(model: OpenModel, key: str) -> int:
    number = _whole(model, key)
    if number is None:
        raise BadInputError(
            f"{model.path}: {key}: expected int, got {metadata(model, key) or 'nothing'}",
            hint="make the file again from its checkpoint",
        )
    return number


def _whole(model: OpenModel, key: str) -> int | None:
    text = metadata(model, key) or ""
    return int(text) if text.isdecimal() else None
