"""Memory by arithmetic: what is kept, what is alive at once, what is copied, and what counts."""

from dataclasses import replace

import pytest

from edgepack.domain.bundle import CacheType, FlashAttention, LoadMode, Ngram, RuntimeFlags, Speculation
from edgepack.domain.memory import (
    CacheLayers,
    FeedForward,
    MemoryPlan,
    MemoryShape,
    Need,
    buffers,
    need_of,
    predicted,
)
from edgepack.domain.profile import Isa
from edgepack.domain.quant import TensorType
from edgepack.domain.repacking import NOTHING, Loading, loaded, loading_of, repacks_of
from edgepack.domain.work import NamedTensor

MIB = 1 << 20
# Llama-3.2-1B
SHAPE = MemoryShape(
    hidden=2048, feed_forward=8192, kind=FeedForward.GATED, heads=32, query=2048, vocabulary=128256, token_bytes=350,
    caches=(CacheLayers(layers=16, keys=512, values=512),),
)  # fmt: skip
TYPES = (TensorType.Q4_0, TensorType.Q4_K)


def tensors(type: TensorType, *, head: bool = True) -> list[NamedTensor]:
    return [
        ("token_embd.weight", (1024, 256), TensorType.Q6_K),
        *([("output.weight", (1024, 256), TensorType.Q6_K)] if head else []),
        ("blk.0.ffn_up.weight", (512, 256), type),
        ("blk.0.attn_k.weight", (4, 256), type),
        ("blk.0.ffn_norm.weight", (256,), TensorType.F32),
    ]


def test_the_cache_holds_keys_and_values_of_every_layer() -> None:
    """llama.cpp reports 128 MiB for this model at 4096 tokens in f16, and 68 in q8_0."""
    assert buffers(SHAPE, Need(context=4096)).kv_cache == 128 * MIB
    quantized = Need(context=4096, keys=CacheType.Q8_0, values=CacheType.Q8_0)
    assert buffers(SHAPE, quantized).kv_cache == 68 * MIB


def test_cells_are_rounded_up() -> None:
    assert buffers(SHAPE, Need(context=257)).kv_cache == buffers(SHAPE, Need(context=512)).kv_cache


def test_a_window_bounds_what_is_kept_but_for_llama_bench() -> None:
    """A window of 512 tokens and a micro-batch as long."""
    near = replace(SHAPE, caches=(CacheLayers(layers=16, keys=512, values=512, window=512),))
    assert buffers(near, Need(context=8192)).kv_cache == buffers(SHAPE, Need(context=1024)).kv_cache
    whole = Need(context=8192, whole_windows=True)
    assert buffers(near, whole).kv_cache == buffers(SHAPE, Need(context=8192)).kv_cache


def test_a_state_does_not_grow_with_the_context_but_with_the_texts() -> None:
    shape = replace(SHAPE, state=1000)
    assert {buffers(shape, Need(context=context)).state for context in (512, 8192)} == {4000}
    assert buffers(shape, Need(context=512, sequences=3)).state == 12000


def test_logits_of_every_token_outweigh_the_rest() -> None:
    """llama-bench reserves for them; a server asks for one."""
    one, all_of_them = (buffers(SHAPE, Need(context=512, outputs=outputs)).compute for outputs in (1, 512))
    assert one < 80 * MIB < 250 * MIB < all_of_them


def test_whole_scores_grow_with_heads_and_context() -> None:
    need = Need(context=8192)
    grown = buffers(SHAPE, replace(need, flash_attention=False)).compute
    assert grown > 32 * 512 * 8192 * 4 > buffers(SHAPE, need).compute


def test_a_smaller_micro_batch_needs_smaller_buffers() -> None:
    large, small = (buffers(SHAPE, Need(context=4096, micro_batch=size)).compute for size in (512, 128))
    assert large == pytest.approx(4 * small)


@pytest.mark.parametrize("type", TYPES)
def test_what_is_copied_stands_in_the_file_too(type: TensorType) -> None:
    """Only where the rows come in whole groups; a table's pages and those of what was copied may go."""
    found = loaded(tensors(type), Loading(repacks=repacks_of({Isa.AVX2})))
    matrix, narrow = (type.row_bytes(256) * rows for rows in (512, 4))
    table = TensorType.Q6_K.row_bytes(256) * 1024
    assert found.repacked == matrix
    assert found.mapped == table + narrow + 1024
    assert found.evictable == matrix + table
    assert found.file == sum(TensorType(kind).row_bytes(shape[-1]) * (shape[0] if len(shape) > 1 else 1)
                             for _, shape, kind in tensors(type))  # fmt: skip
    assert found.widest == 256


def test_a_tied_embedding_is_multiplied_with() -> None:
    """Read whole for each token; on ARM copied for it, beside the table."""
    table = TensorType.Q6_K.row_bytes(256) * 1024
    for isa, copied in (({Isa.AVX2}, 0), ({Isa.NEON, Isa.DOTPROD}, table)):
        loading = Loading(repacks=repacks_of(isa))
        tied, apart = (loaded(tensors(TensorType.Q8_0, head=head), loading) for head in (False, True))
        assert tied.repacked == apart.repacked
        assert tied.evictable == apart.evictable - table
        assert tied.repacked >= copied


def test_without_a_map_there_is_nothing_to_evict() -> None:
    flags = RuntimeFlags(context=1, threads=1, load_mode=LoadMode.NONE)
    found = loaded(tensors(TensorType.Q4_0), loading_of(frozenset({Isa.AVX2}), flags))
    mapped = loaded(tensors(TensorType.Q4_0), Loading(repacks=NOTHING))
    assert (found.evictable, found.mapped + found.repacked) == (0, mapped.file)


@pytest.mark.parametrize(
    ("isa", "copied"),
    [
        ({Isa.SSE42}, ""),
        ({Isa.AVX2}, "Q4_0 Q4_K IQ4_NL MXFP4"),
        ({Isa.AVX2, Isa.AVX512F}, "Q4_0 Q4_K IQ4_NL MXFP4 Q2_K"),
        ({Isa.NEON}, ""),
        ({Isa.NEON, Isa.DOTPROD}, "Q4_0 Q4_K Q5_K Q6_K Q8_0 IQ4_NL MXFP4 Q1_0"),
    ],
)
def test_which_types_are_copied_depends_on_the_instructions(isa: set[Isa], copied: str) -> None:
    assert {type.name for type in repacks_of(isa)} == set(copied.split())
    assert not loading_of(frozenset(isa), RuntimeFlags(context=1, threads=1, repack=False)).repacks


def test_the_parts_are_the_total_and_what_may_go_is_none() -> None:
    plan = predicted(
        SHAPE, loaded(tensors(TensorType.Q4_0), Loading(repacks=repacks_of({Isa.AVX2}))), Need(context=64)
    )
    assert sum(size for _, size in plan.parts) == plan.total
    assert plan.resident == plan.total + plan.evictable
    assert MemoryPlan(weights=1, evictable=5).total == 1


def test_flags_say_what_is_needed() -> None:
    flags = RuntimeFlags(
        context=300, threads=2, cache_type=CacheType.Q8_0, cache_type_v=CacheType.F16, batch=256, micro_batch=64,
        flash_attention=FlashAttention.OFF, speculation=Speculation(ngram=Ngram.SIMPLE, match=3, draft=16),
    )  # fmt: skip
    assert need_of(flags) == Need(
        context=300, keys=CacheType.Q8_0, values=CacheType.F16, batch=256, micro_batch=64, outputs=17,
        flash_attention=False,
    )  # fmt: skip
