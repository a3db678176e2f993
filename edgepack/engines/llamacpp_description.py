"""What a GGUF's metadata says of it, read through llama.cpp; its weights are not touched."""

from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.errors import BadInputError
from edgepack.domain.plan import AttentionShape
from edgepack.domain.quant import Quant
from edgepack.domain.weights import SYNTHETIC_KEY
from edgepack.engines.llamacpp_library import OpenModel, attends_both_ways, metadata, opened

# The widest feed-forward layers in use (Gemma 2B's), for metadata that give none that can be read.
_WIDEST_FEED_FORWARD = 8


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
    shape: AttentionShape
    """An upper bound where layers differ: llama.cpp shows no metadata that holds a value for each layer."""
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
            shape=_shape(model, architecture),
            embeds=attends_both_ways(model) or bool(_whole(model, f"{architecture}.pooling_type")),
            synthetic=metadata(model, SYNTHETIC_KEY) == "true",
            files=_whole(model, "split.count") or 1,
        )


def _shape(model: OpenModel, architecture: str) -> AttentionShape:
    hidden = _required(model, f"{architecture}.embedding_length")
    heads = _whole(model, f"{architecture}.attention.head_count") or 1
    kv_heads = _whole(model, f"{architecture}.attention.head_count_kv")
    head_dim = _whole(model, f"{architecture}.attention.key_length")
    feed_forward = _whole(model, f"{architecture}.feed_forward_length")
    return AttentionShape(
        layers=_required(model, f"{architecture}.block_count"),
        kv_heads=heads if kv_heads is None else kv_heads,
        head_dim=hidden // heads if head_dim is None else head_dim,
        hidden=hidden,
        feed_forward=_WIDEST_FEED_FORWARD * hidden if feed_forward is None else feed_forward,
        vocabulary=int(model.native.llama_vocab_n_tokens(model.vocabulary)),
    )


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
