"""What a model needs memory for, taken from its outline and the types of its tensors."""

from collections import Counter
from pathlib import Path

import gguf

from edgepack.convert import blocks
from edgepack.convert.family import Family
from edgepack.convert.outline import Outline
from edgepack.convert.typeplan import Mixture, TypePlan, skeleton, stored_type
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.phi3 import phi3
from edgepack.convert.vocabularies.sentencepiece import sentencepiece
from edgepack.domain.memory import (
    MERGED_BYTES,
    PIECE_BYTES,
    CacheLayers,
    FeedForward,
    LoadedWeights,
    MemoryShape,
)
from edgepack.domain.repacking import Loading, loaded

# Tokens above which no vocabulary of pieces goes, where a family has both kinds.
_LARGE = 1 << 16


def memory_shape(outline: Outline) -> MemoryShape:
    """What its cache, its states and its buffers grow with."""
    family, config = outline.family, outline.config
    vocabulary, hidden = _shapes(outline.plan, "token_embd.weight")[0]
    kind, feed_forward = _feed_forward(outline)
    writes = outline.said("attention.causal") is not False
    return MemoryShape(
        hidden=hidden, feed_forward=feed_forward, kind=kind, heads=blocks.heads(config), query=blocks.query(config),
        vocabulary=vocabulary, token_bytes=_token_bytes(family, vocabulary),
        caches=_caches(outline) if writes else (), state=family.state(config), working=family.working(config),
    )  # fmt: skip


def loaded_weights(plan: TypePlan, mixture: Mixture, loading: Loading, *, writes: bool = True) -> LoadedWeights:
    """What becomes of the tensors when they are loaded at these types."""
    tensors = ((source.name, source.shape, type) for source, type in plan.types(mixture))
    return loaded(tensors, loading, writes=writes)


def _token_bytes(family: Family, vocabulary: int) -> int:
    """By the kind of vocabulary: whether there is one of pieces is not said in config.json, but its length tells."""
    may_merge = byte_level in family.vocabularies or phi3 in family.vocabularies
    must_merge = may_merge and not {sentencepiece, phi3} & set(family.vocabularies)
    return MERGED_BYTES if must_merge or (may_merge and vocabulary > _LARGE) else PIECE_BYTES


def write_skeleton(outline: Outline, path: Path) -> None:
    """A GGUF with all but weights and words, from which llama.cpp knows what it would reserve."""

    def write_keys(writer: gguf.GGUFWriter) -> None:
        outline.plan.write_keys(writer)
        writer.add_tokenizer_model("none")
        writer.kv_data[0][f"{outline.architecture}.vocab_size"] = gguf.GGUFValue(
            _shapes(outline.plan, "token_embd.weight")[0][0], gguf.GGUFValueType.UINT32
        )
        if kinds := _shapes(outline.plan, "token_types.weight"):
            writer.add_token_type_count(kinds[0][0])

    skeleton(path, outline.architecture, write_keys, [(each, stored_type(each)) for each in outline.plan.sources])


def _caches(outline: Outline) -> tuple[CacheLayers, ...]:
    family, config = outline.family, outline.config
    numbers = [number for number in range(blocks.layers(config)) if family.caching(config, number)]
    windows = Counter(family.window(config, number) for number in numbers)
    width = blocks.key_value(config)
    return tuple(
        CacheLayers(layers=count, keys=width, values=width, window=window) for window, count in windows.items()
    )


def _feed_forward(outline: Outline) -> tuple[FeedForward, int]:
    """By its tensors: a gate of its own, or one within a projection that is twice as wide as what comes back."""
    back = max(shape[1] for shape in _shapes(outline.plan, ".ffn_down.weight"))
    there = max(shape[0] for shape in _shapes(outline.plan, ".ffn_up.weight"))
    if _shapes(outline.plan, ".ffn_gate.weight") or there == 2 * back:
        return FeedForward.GATED, back
    return FeedForward.ENCODER if outline.said("attention.causal") is False else FeedForward.PLAIN, back


def _shapes(plan: TypePlan, ending: str) -> list[tuple[int, ...]]:
    return [source.shape for source in plan.sources if source.name.endswith(ending)]
