"""llama.cpp's library: models and contexts opened and freed, failures translated; not what is run on them."""

import ctypes
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgepack.domain.bundle import CacheType, FlashAttention, RuntimeFlags
from edgepack.domain.errors import BadInputError, EdgepackError, NoSpaceError
from edgepack.domain.memory import Need
from edgepack.infra.load import keep_affinity

_DEBUG_LEVEL, _ERROR_LEVEL = 1, 4  # ggml.h: enum ggml_log_level
_CPU_DEVICE = 0  # GGML_BACKEND_DEVICE_TYPE_CPU
_AUTO = -1  # LLAMA_FLASH_ATTN_TYPE_AUTO, llama-bench's default
# ggml.h: enum ggml_type.
_CACHE_TYPES = {CacheType.F32: 0, CacheType.F16: 1, CacheType.Q4_0: 2, CacheType.Q8_0: 8, CacheType.BF16: 30}
# llama.h: enum llama_flash_attn_type.
_FLASH_ATTENTION = {FlashAttention.AUTO: _AUTO, FlashAttention.OFF: 0, FlashAttention.ON: 1}
_NO_MEMORY = re.compile(r"insufficient memory|out of memory|(failed to|unable to|cannot) allocate", re.IGNORECASE)

_complaints: deque[str] = deque(maxlen=4)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenModel:
    """A model in memory; `handle` and `vocabulary` are llama.cpp's pointers, valid while it is open."""

    native: ModuleType
    path: Path
    handle: int
    vocabulary: int
    adapter: object | None = None
    """llama.cpp's pointer to an adapter that every context of the model applies, if there is one."""


class _ThreadpoolParams(ctypes.Structure):
    """ggml.h: struct ggml_threadpool_params; 512 is GGML_MAX_N_THREADS."""

    _fields_ = (
        ("cpumask", ctypes.c_bool * 512),
        ("n_threads", ctypes.c_int),
        ("prio", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("strict_cpu", ctypes.c_bool),
        ("paused", ctypes.c_bool),
    )


def library() -> ModuleType:
    """The bindings, initialised, and silent but for the last errors, which `complaint` returns."""
    from llama_cpp import llama_cpp

    global _listener
    if _listener is None:
        llama_cpp.llama_backend_init()
        _listener = llama_cpp.llama_log_callback(_listen)
    # Set each time: whoever else uses the library in this process may have set its own.
    llama_cpp.llama_log_set(_listener, ctypes.c_void_p(0))
    module: ModuleType = llama_cpp
    return module


@contextmanager
def hearing() -> Iterator[list[str]]:
    """What the library says meanwhile, errors included, without what is for its developers."""
    global _heard
    library()
    said: list[str] = []
    _heard = said
    try:
        yield said
    finally:
        _heard = None


# The C side keeps no reference to the callback object: it lives here as long as the process.
_listener: object | None = None
_heard: list[str] | None = None


def _listen(level: int, text: bytes, _data: object) -> None:
    if _heard is not None and level != _DEBUG_LEVEL:
        _heard.append(text.decode(errors="replace"))
    if level == _ERROR_LEVEL:
        _complaints.append(text.decode(errors="replace").strip())


def _refuse_onnx(weights: Path) -> None:
    """Say it in words that lead on, where llama.cpp would speak of magic."""
    if weights.suffix == ".onnx":
        raise BadInputError(
            f"{weights}: an ONNX file, which llama.cpp does not load",
            hint="build it: the bundle of an encoder tells milliseconds a text (./bench, docs/onnx.md)",
        )


@contextmanager
def opened(weights: Path, *, adapter: Path | None = None, vocabulary_only: bool = False) -> Iterator[OpenModel]:
    """The model of a GGUF, loaded as llama-bench loads it, or its metadata and vocabulary only.

    `adapter` is the GGUF of a LoRA adapter. Raises BadInputError for a file that llama.cpp cannot load, NoSpaceError
    when memory does not hold it.
    """
    if not weights.is_file():
        raise BadInputError(f"{weights}: no such file", hint="give the path of a GGUF file")
    _refuse_onnx(weights)
    native = library()
    parameters = native.llama_model_default_params()
    parameters.vocab_only = vocabulary_only
    _complaints.clear()
    handle = native.llama_model_load_from_file(str(weights).encode(), parameters)
    if not handle:
        raise failure(f"{weights}: llama.cpp cannot load it", hint="check that the file is a whole GGUF")
    try:
        yield OpenModel(
            native=native, path=weights, handle=handle, vocabulary=native.llama_model_get_vocab(handle),
            adapter=_adapter(native, handle, adapter) if adapter else None,
        )  # fmt: skip
    finally:
        native.llama_model_free(handle)


def _adapter(native: ModuleType, model: int, path: Path) -> object:
    """Loaded for the model, which owns it from then on."""
    if not path.is_file():
        raise BadInputError(f"{path}: no such file", hint="give the path of an adapter's GGUF")
    handle: object | None = native.llama_adapter_lora_init(model, str(path).encode())
    if not handle:
        raise failure(f"{path}: llama.cpp cannot load this adapter", hint="make it for this very model")
    return handle


@contextmanager
def context(
    model: OpenModel,
    *,
    tokens: int,
    threads: int,
    cpus: tuple[int, ...] | None,
    batch: int = 2048,
    micro_batch: int = 512,
    sequences: int = 1,
    one_cache: bool = False,
    embeddings: bool = False,
    flags: RuntimeFlags | None = None,
    need: Need | None = None,
    on_node: object | None = None,
) -> Iterator[int]:
    """A context of `tokens` tokens as llama-bench makes it, with a pool of threads, maybe pinned.

    Without a pool of its own, a build without OpenMP starts and joins threads for every single token. As many
    texts as `sequences` share the tokens, each its part of them or, in `one_cache`, as it comes; with `embeddings`
    it gives vectors, not logits; `on_node` (ggml_backend_sched_eval_callback) hears of the graph's nodes; `flags`
    are a runtime's whose memory it shall have; `need` says all of it in their place.
    """
    native = model.native
    parameters = native.llama_context_default_params()
    if on_node is not None:
        parameters.cb_eval = on_node
    parameters.n_ctx = tokens
    parameters.n_seq_max = sequences
    parameters.kv_unified = one_cache
    parameters.embeddings = embeddings
    parameters.n_batch = batch
    parameters.n_ubatch = micro_batch
    parameters.n_threads = parameters.n_threads_batch = threads
    parameters.flash_attn_type = _AUTO
    if flags is not None:
        _shape_memory(parameters, flags)
    if need is not None:
        reserve(parameters, need)
    _complaints.clear()
    with _threadpool(native, threads, cpus) as pool:
        handle = native.llama_init_from_model(model.handle, parameters)
        if not handle:
            raise failure(
                f"{model.path}: no context of {tokens} tokens",
                hint="free some memory, or take a smaller context",
            )
        try:
            if model.adapter:
                _apply(native, handle, model.adapter)
            native._lib.llama_attach_threadpool(ctypes.c_void_p(handle), ctypes.c_void_p(pool), ctypes.c_void_p(None))
            yield handle
        finally:
            native.llama_free(handle)


def _shape_memory(parameters: Any, flags: RuntimeFlags) -> None:
    """What the form of the memory depends on, as llama-server has it with these flags."""
    parameters.type_k, parameters.type_v = (_CACHE_TYPES[type] for type in flags.cache_types)
    parameters.flash_attn_type = _FLASH_ATTENTION[flags.flash_attention]
    parameters.swa_full = False


def reserve(parameters: Any, need: Need) -> None:
    """All that decides how much memory a context takes."""
    parameters.n_ctx, parameters.n_batch, parameters.n_ubatch = need.context, need.batch, need.micro_batch
    parameters.n_outputs_max, parameters.n_seq_max = need.outputs, need.sequences
    parameters.type_k, parameters.type_v = _CACHE_TYPES[need.keys], _CACHE_TYPES[need.values]
    parameters.flash_attn_type = _FLASH_ATTENTION[FlashAttention.ON if need.flash_attention else FlashAttention.OFF]
    parameters.swa_full = need.whole_windows


def metadata(model: OpenModel, key: str) -> str | None:
    """One scalar or string of the GGUF's metadata as text."""
    native, name = model.native, key.encode()
    size = native.llama_model_meta_val_str(model.handle, name, None, 0)
    if size < 0:
        return None
    buffer = ctypes.create_string_buffer(size + 1)
    native.llama_model_meta_val_str(model.handle, name, buffer, size + 1)
    return buffer.value.decode(errors="replace")


def attends_both_ways(model: OpenModel) -> bool:
    """Whether each token sees those behind it too: an encoder, which has no next token to give."""
    return metadata(model, f"{metadata(model, 'general.architecture')}.attention.causal") == "false"


def refuse_encoder(model: OpenModel) -> None:
    """Raise BadInputError for an encoder: llama.cpp ends the process where one is run as if it wrote."""
    if attends_both_ways(model):
        raise BadInputError(
            f"{model.path}: an encoder, which gives vectors of whole texts and writes none",
            hint="give a model that writes; this one serves llama.cpp's embedding API",
        )


def _apply(native: ModuleType, handle: int, adapter: object) -> None:
    """Let a context add the whole of the adapter's update."""
    adapters, scales = (native.llama_adapter_lora_p_ctypes * 1)(adapter), (ctypes.c_float * 1)(1.0)
    status = native.llama_set_adapters_lora(handle, adapters, 1, scales)
    assert status == 0, "llama.cpp loaded the adapter for this model"


def decode(native: ModuleType, handle: int, tokens: "ctypes.Array[ctypes.c_int32]", count: int) -> None:
    """Run `count` tokens, the last one's logits kept; raises what `refused` makes of a refusal."""
    status = native.llama_decode(handle, native.llama_batch_get_one(tokens, count))
    if status != 0:
        raise refused(status, count)


def refused(status: int, count: int) -> EdgepackError:
    """The error for a decode of `count` tokens that did not end with 0."""
    return failure(
        f"llama.cpp's decode of {count} tokens ended with {status}", hint="take a smaller context or prompt"
    )


def failure(what: str, *, hint: str) -> EdgepackError:
    """The error for something that llama.cpp refused, with its own last words."""
    said = "; ".join(dict.fromkeys(_complaints))
    text = f"{what}: {said}" if said else what
    if _NO_MEMORY.search(said):
        return NoSpaceError(text, hint="close other programs, or take a smaller quantization or context")
    return BadInputError(text, hint=hint)


@contextmanager
def _threadpool(native: ModuleType, threads: int, cpus: tuple[int, ...] | None) -> Iterator[int]:
    """ggml's pool with its defaults (poll 50), kept on `cpus`; the caller's affinity is put back."""
    lib = native._lib
    lib.ggml_threadpool_params_default.restype = _ThreadpoolParams
    parameters = lib.ggml_threadpool_params_default(ctypes.c_int(threads))
    for cpu in cpus or ():
        parameters.cpumask[cpu] = True
    create = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_ThreadpoolParams))(
        _cpu_function(lib, b"ggml_threadpool_new")
    )
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_cpu_function(lib, b"ggml_threadpool_free"))
    with keep_affinity():
        pool = create(ctypes.byref(parameters))
        try:
            yield pool
        finally:
            free(pool)


def _cpu_function(lib: ctypes.CDLL, name: bytes) -> int:
    """The address of one of the CPU backend's functions, wherever the build put that backend."""
    for function in (lib.ggml_backend_dev_by_type, lib.ggml_backend_dev_backend_reg):
        function.restype = ctypes.c_void_p
    lib.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    device = ctypes.c_void_p(lib.ggml_backend_dev_by_type(ctypes.c_int(_CPU_DEVICE)))
    registered = ctypes.c_void_p(lib.ggml_backend_dev_backend_reg(device))
    address = lib.ggml_backend_reg_get_proc_address(registered, ctypes.c_char_p(name))
    assert isinstance(address, int), f"llama.cpp's CPU backend has no {name.decode()}"
    return address
