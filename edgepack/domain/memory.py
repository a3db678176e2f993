"""What a model needs in memory, by arithmetic: weights, cache, states, buffers; it opens no file and asks no runtime.

Buffers are those of the pinned llama.cpp on a CPU: llama-kv-cache*.cpp and llama-memory-recurrent.cpp say what is
kept; the largest moment of its graphs was fitted to what `llama_context::sched_reserve` reports (docs/memory.md).
"""

from dataclasses import dataclass
from enum import Enum

from edgepack.domain.bundle import CacheType, FlashAttention, RuntimeFlags
from edgepack.domain.quant import TensorType

_F32, _F16 = 4, 2
_CELLS = 256
"""llama.cpp rounds a cache's cells up to multiples of it."""
_BATCH = 2048
_MICRO_BATCH = 512
PROGRAM = 16 << 20
"""Code, heap and stacks of llama-server before it opens a model, resident."""
_QUANTIZED = 1.125
"""Bytes a number of the activations that a product quantizes for itself (Q8_0 has 34 for 32, Q8_K 292 for 256)."""
_GRAPHS, _NODE = 2, 408
"""Descriptions of graphs that are kept, that of the reserve and the last; bytes of a node (ggml_tensor_overhead, 368,
and its places in the graph's tables)."""
# Resident bytes a token after `llama_model_load`, measured with llama.cpp's own ggml-vocab-*.gguf: 175 to 179 where
# pieces have scores; 323 (Qwen 2) to 430 (Llama 3) where pairs are merged, whose list is in memory as well.
PIECE_BYTES, MERGED_BYTES = 179, 350
_CACHE_BLOCKS = {
    CacheType.F32: TensorType.F32,
    CacheType.F16: TensorType.F16,
    CacheType.BF16: TensorType.BF16,
    CacheType.Q8_0: TensorType.Q8_0,
    CacheType.Q4_0: TensorType.Q4_0,
}


class FeedForward(Enum):
    """How a layer's feed-forward part is made: how many of its own width and of hidden's are alive at its largest."""

    GATED = (3, 4)
    PLAIN = (2, 1)
    ENCODER = (1, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheLayers:
    """Some layers that keep keys and values alike."""

    layers: int
    keys: int
    """Numbers a token, of one layer."""
    values: int
    window: int | None = None
    """Tokens that they look back; None: all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Working:
    """Numbers alive at the largest moment of a recurrent layer: for each token, and besides."""

    per_token: int = 0
    besides: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryShape:
    """What cache and buffers grow with."""

    hidden: int
    feed_forward: int
    """Of the widest layer."""
    kind: FeedForward
    heads: int
    query: int
    """Numbers a token, of all heads."""
    vocabulary: int
    """Tokens."""
    token_bytes: int
    """Of a vocabulary's tables, for each token."""
    caches: tuple[CacheLayers, ...]
    """Empty for an encoder, which keeps nothing."""
    state: int = 0
    """Numbers that all recurrent layers keep of a sequence, however long it is."""
    working: Working = Working()


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """How a context is asked for; the defaults are those of a bundle's server, which serves one text at once."""

    context: int
    keys: CacheType = CacheType.F16
    values: CacheType = CacheType.F16
    batch: int = _BATCH
    micro_batch: int = _MICRO_BATCH
    outputs: int = 1
    """Tokens of a micro-batch whose next token may be asked for; llama-bench reserves for all of them."""
    sequences: int = 1
    flash_attention: bool = True
    whole_windows: bool = False
    """Whether layers with a window keep the whole context all the same, as llama-bench has it."""

    @property
    def cells(self) -> int:
        """Of a cache that keeps all."""
        return _padded(self.context)

    @property
    def tokens(self) -> int:
        """Read together."""
        return min(self.context, self.batch, self.micro_batch)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedWeights:
    """Bytes of a file's tensors when they are loaded: those used where the file is mapped, and those copied."""

    mapped: int
    repacked: int = 0
    """Copies, laid out for the CPU's kernels."""
    evictable: int = 0
    """Mapped pages that nothing reads any more once their copies are made, or reads a row of now and then."""
    widest: int = 0
    """Columns of the widest matrix: a product quantizes as many activations a token for itself."""
    tensors: int = 0
    unrolled: bool = False
    """Whether llama.cpp keeps room for a graph with nodes for each token, as of delta nets."""

    @property
    def file(self) -> int:
        """All that is mapped."""
        return self.mapped + self.evictable


@dataclass(frozen=True, kw_only=True, slots=True)
class Buffers:
    """What a context takes, in bytes, as llama.cpp reports it."""

    kv_cache: int
    state: int
    compute: int
    """Of the graph's scheduler."""
    output: int
    """Logits, as they are handed out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryPlan:
    """Bytes by part.

    What counts against a budget is what the kernel cannot take back without harm: pages of the mapped file that are
    read for each token, copies, caches and buffers. Pages whose copies are in use are clean and stand beside.
    """

    weights: int
    repacked: int = 0
    kv_cache: int = 0
    state: int = 0
    compute: int = 0
    runtime: int = 0
    evictable: int = 0
    """Resident as long as nobody else wants the memory; not part of the total."""

    @property
    def total(self) -> int:
        """What must be there."""
        return sum(size for _, size in self.parts)

    @property
    def resident(self) -> int:
        """What a device with memory to spare will show: the peak of the resident set."""
        return self.total + self.evictable

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """(name, bytes), the same order everywhere; their sum is the total."""
        return (
            ("weights", self.weights),
            ("repacked", self.repacked),
            ("kv_cache", self.kv_cache),
            ("state", self.state),
            ("compute", self.compute),
            ("runtime", self.runtime),
        )


def memory_plan(
    weights: LoadedWeights, buffers: Buffers, need: Need, *, vocabulary: int, beside: int = 0
) -> MemoryPlan:
    """What all of it takes; `vocabulary` are the bytes of its tables, `beside` those of an adapter."""
    work = int(need.tokens * weights.widest * _QUANTIZED)
    runtime = PROGRAM + vocabulary + _GRAPHS * _NODE * _nodes(weights, need)
    return MemoryPlan(
        weights=weights.mapped + beside, repacked=weights.repacked, kv_cache=buffers.kv_cache, state=buffers.state,
        compute=buffers.compute + buffers.output + work, runtime=runtime, evictable=weights.evictable,
    )  # fmt: skip


def _nodes(weights: LoadedWeights, need: Need) -> int:
    """That a graph has room for (`llama_context::graph_max_nodes`)."""
    if weights.unrolled:
        return max(40 * need.tokens, 32 * weights.tensors)
    return max(1024, 8 * weights.tensors)


def predicted(shape: MemoryShape, weights: LoadedWeights, need: Need, *, beside: int = 0) -> MemoryPlan:
    """The same by arithmetic alone, in a fraction of a millisecond."""
    vocabulary = shape.vocabulary * shape.token_bytes
    return memory_plan(weights, buffers(shape, need), need, vocabulary=vocabulary, beside=beside)


def need_of(flags: RuntimeFlags) -> Need:
    """What a bundle's server asks for under these flags; guessing ahead asks for as many tokens as are guessed."""
    keys, values = flags.cache_types
    return Need(
        context=flags.context, keys=keys, values=values, batch=flags.batch, micro_batch=flags.micro_batch,
        outputs=1 + (flags.speculation.draft if flags.speculation else 0),
        flash_attention=flags.flash_attention is not FlashAttention.OFF,
    )  # fmt: skip


def buffers(shape: MemoryShape, need: Need) -> Buffers:
    """What llama.cpp will report; the graph's largest moment is near, the rest exact."""
    return Buffers(
        kv_cache=sum(_cache(layers, need) for layers in shape.caches),
        state=shape.state * need.sequences * _F32,
        compute=_F32 * _most_alive(shape, need),
        output=shape.vocabulary * need.sequences * _F32,
    )


def _cache(layers: CacheLayers, need: Need) -> int:
    a_token = _row(need.keys, layers.keys) + _row(need.values, layers.values)
    return layers.layers * a_token * _cells(layers.window, need)


def _cells(window: int | None, need: Need) -> int:
    if window is None or need.whole_windows:
        return need.cells
    return _padded(min(need.cells, window * need.sequences + need.tokens))


def _row(type: CacheType, numbers: int) -> int:
    weights, size = _CACHE_BLOCKS[type].block
    return -(-numbers // weights) * size


def _most_alive(shape: MemoryShape, need: Need) -> int:
    """Numbers alive at once, at the graph's largest moment."""
    tokens, mask = need.tokens, _mask(shape, need)
    wide, hidden = shape.kind.value
    # Into what a narrow feed-forward part leaves free, one more of hidden's fits.
    hidden -= shape.kind is FeedForward.GATED and shape.feed_forward <= 2 * shape.hidden
    moments = [
        tokens * (wide * shape.feed_forward + hidden * shape.hidden) + mask,
        tokens * shape.working.per_token + shape.working.besides * need.sequences + mask,
        tokens * _attention(shape) + mask,
        min(tokens, need.outputs) * (shape.vocabulary + 2 * shape.hidden) if shape.caches or shape.state else 0,
    ]
    if not need.flash_attention:
        keys_and_values = max((layers.keys + layers.values for layers in shape.caches), default=2 * shape.hidden)
        numbers = 3 * shape.hidden + 2 * shape.query + keys_and_values
        moments.append(tokens * (shape.heads * _seen(need, shape) + numbers) + mask)
    return max(moments)


def _attention(shape: MemoryShape) -> int:
    """Numbers a token, where scores are never whole."""
    keys_and_values = max((layers.keys + layers.values for layers in shape.caches), default=2 * shape.hidden)
    return max(3 * shape.hidden + 2 * shape.query, 2 * shape.hidden + 2 * shape.query + keys_and_values)


def _mask(shape: MemoryShape, need: Need) -> int:
    """In float32's numbers: which token sees which, for each kind of cache."""
    kinds = {_cells(layers.window, need) for layers in shape.caches if layers.window is None}
    kinds_of_windows = {_cells(layers.window, need) for layers in shape.caches if layers.window is not None}
    seen = sum(kinds) + sum(kinds_of_windows) or need.tokens
    return seen * need.tokens * (_F16 if need.flash_attention else _F32) // _F32


def _seen(need: Need, shape: MemoryShape) -> int:
    """The most cells that a layer scores."""
    return max((_cells(layers.window, need) for layers in shape.caches), default=need.tokens)


def _padded(cells: int) -> int:
    return -(-cells // _CELLS) * _CELLS
