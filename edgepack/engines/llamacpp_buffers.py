"""The buffers that llama.cpp would reserve for a context, asked of itself: no weight is read, none allocated."""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepack.domain.memory import Buffers, Need
from edgepack.engines.llamacpp_library import failure, hearing, library, reserve

_MIB = 1 << 20
_UNMAPPED = 0  # llama.h: LLAMA_LOAD_MODE_NONE; what is not allocated cannot be mapped either
_SAID = {
    "kv_cache": re.compile(r"llama_kv_cache: size = +([\d.]+) MiB"),
    "state": re.compile(r"llama_memory_recurrent: size = +([\d.]+) MiB"),
    "compute": re.compile(r"compute buffer size = +([\d.]+) MiB"),
    "output": re.compile(r"output buffer size = +([\d.]+) MiB"),
}


def reserved(weights: Path, *needs: Need) -> tuple[Buffers, ...]:
    """What each need would take with the model of a GGUF, whose tensors need not be there: its head suffices.

    Raises BadInputError for a file that llama.cpp cannot load, and for what the model does not allow.
    """
    with _simulated(weights) as handle:
        return tuple(_reserved(handle, need, weights) for need in needs)


@contextmanager
def _simulated(weights: Path) -> Iterator[int]:
    native = library()
    parameters = native.llama_model_default_params()
    parameters.no_alloc, parameters.load_mode = True, _UNMAPPED
    handle = native.llama_model_load_from_file(str(weights).encode(), parameters)
    if not handle:
        raise failure(f"{weights}: llama.cpp cannot load it", hint="check that the file is a whole GGUF")
    try:
        yield handle
    finally:
        native.llama_model_free(handle)


def _reserved(model: int, need: Need, weights: Path) -> Buffers:
    native = library()
    parameters = native.llama_context_default_params()
    reserve(parameters, need)
    with hearing() as said:
        handle = native.llama_init_from_model(model, parameters)
        if not handle:
            raise failure(
                f"{weights}: no context of {need.context} tokens with a cache of {need.keys} and {need.values}",
                hint="take another type of cache",
            )
        native.llama_free(ctypes.c_void_p(handle))
    return parse_buffers("".join(said))


def parse_buffers(log: str) -> Buffers:
    """What llama.cpp logs while it makes a context; its numbers are MiB with two decimals."""

    def total(part: str) -> int:
        return round(sum(float(size) for size in _SAID[part].findall(log)) * _MIB)

    return Buffers(kv_cache=total("kv_cache"), state=total("state"), compute=total("compute"), output=total("output"))
