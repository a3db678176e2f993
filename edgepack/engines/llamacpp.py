"""llama.cpp as an engine: what a GGUF says of itself, its tokens, and greedy text; quality is not its business."""

import ctypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import perf_counter

from edgepack.domain.errors import BadInputError
from edgepack.domain.measurement import Runtime
from edgepack.domain.weights import Weights
from edgepack.engines.llamacpp_chat import ChatMessage, chat_prompt
from edgepack.engines.llamacpp_description import Description, describe
from edgepack.engines.llamacpp_library import OpenModel, context, decode, library, opened, refuse_encoder
from edgepack.engines.llamacpp_timing import measure, measure_phase
from edgepack.infra.digests import sha256_of

__all__ = [
    "ChatMessage", "Description", "Ending", "Generation", "OpenModel", "chat_prompt", "describe", "generate",
    "generate_each", "identify", "measure", "measure_phase", "opened", "runtime", "tokenize", "tokens_of",
]  # fmt: skip

_BATCH = 2048


class Ending(StrEnum):
    """Why a generation stopped."""

    END_TOKEN = "end-token"  # noqa: S105 - a reason, not a secret
    STOP_TEXT = "stop-text"
    MAX_TOKENS = "max-tokens"
    CONTEXT_FULL = "context-full"


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """What a model said to one prompt."""

    text: str
    """Without special tokens; what a stop text begins is cut off."""
    prompt_tokens: int
    tokens: int
    """Tokens generated; an end-of-generation token is not counted."""
    seconds_to_first: float
    """From the beginning of the prompt's evaluation to the first token; the model is already loaded."""
    seconds: float
    """From the same beginning to the end."""
    ending: Ending


def runtime() -> Runtime:
    """The bindings and the library under them."""
    from importlib.metadata import version

    native = library()
    for function in (native._lib.ggml_version, native._lib.ggml_commit):
        function.restype = ctypes.c_char_p
    build = f"ggml {native._lib.ggml_version().decode()} ({native._lib.ggml_commit().decode()})"
    return Runtime(
        name="llama-cpp-python", version=version("llama-cpp-python"), build=build,
        system_info=native.llama_print_system_info().decode().strip().rstrip("|").strip(),
    )  # fmt: skip


def identify(weights: Path, *, memo: Path | None = None, advance: Callable[[int], None] | None = None) -> Weights:
    """A GGUF that edgepack may not have made, by its metadata and sha256; `memo` and `advance` as in `sha256_of`."""
    found = describe(weights)
    return Weights(
        path=weights, sha256=sha256_of(weights, memo=memo, advance=advance), size=weights.stat().st_size,
        name=found.name, architecture=found.architecture, quant=found.quant,
        parameters=found.parameters, context_length=found.context_length, synthetic=found.synthetic,
    )  # fmt: skip


def tokenize(weights: Path, text: str, *, add_special: bool = False, parse_special: bool = False) -> tuple[int, ...]:
    """The tokens of one text; `tokens_of` on an `opened` model serves many."""
    with opened(weights, vocabulary_only=True) as model:
        return tokens_of(model, text, add_special=add_special, parse_special=parse_special)


def tokens_of(
    model: OpenModel, text: str, *, add_special: bool = False, parse_special: bool = False
) -> tuple[int, ...]:
    """The tokens of a text; `add_special` adds what the GGUF asks for, `parse_special` reads `<|…|>` as tokens."""
    raw = text.encode()
    room = len(raw) + 8  # no token is shorter than a byte; a few are added
    while True:
        tokens = (ctypes.c_int32 * room)()
        count = model.native.llama_tokenize(model.vocabulary, raw, len(raw), tokens, room, add_special, parse_special)
        if count >= 0:
            return tuple(tokens[:count])
        room = -count


def generate(
    weights: Path,
    prompt: str,
    *,
    max_tokens: int,
    threads: int,
    adapter: Path | None = None,
    cpus: tuple[int, ...] | None = None,
    stop_text: str | None = None,
) -> Generation:
    """Load a GGUF and its adapter, if it has one, and let it go on after `prompt`, greedily; see `generate_each`."""
    with opened(weights, adapter=adapter) as model:
        (generation,) = generate_each(
            model, [prompt], max_tokens=max_tokens, threads=threads, cpus=cpus, stop_text=stop_text
        )
        return generation


def generate_each(
    model: OpenModel,
    prompts: Iterable[str],
    *,
    max_tokens: int,
    threads: int,
    cpus: tuple[int, ...] | None = None,
    stop_text: str | None = None,
) -> Iterator[Generation]:
    """Go on after each prompt with the likeliest token until an end-of-generation token or a limit.

    Special tokens in a prompt are read as such, and what the GGUF asks for (a beginning-of-text token) is
    added unless the prompt already begins with it. Raises BadInputError for a prompt longer than the model's
    context and for an encoder, NoSpaceError when memory does not hold the context.
    """
    refuse_encoder(model)
    for prompt in prompts:
        tokens = prompt_tokens(model, prompt)
        limit = _context_limit(model)
        if not 0 < len(tokens) < limit:
            raise BadInputError(
                f"{model.path}: a prompt of {len(tokens)} tokens in a context of {limit}",
                hint="give a prompt that has text and is shorter than the context",
            )
        room = min(len(tokens) + max_tokens, limit)
        with context(model, tokens=room, threads=threads, cpus=cpus) as handle:
            yield _continue(model, handle, tokens, room=room, max_tokens=max_tokens, stop_text=stop_text)


def _continue(
    model: OpenModel,
    handle: int,
    prompt: tuple[int, ...],
    *,
    room: int,
    max_tokens: int,
    stop_text: str | None,
) -> Generation:
    native = model.native
    began = perf_counter()
    for start in range(0, len(prompt), _BATCH):
        part = prompt[start : start + _BATCH]
        decode(native, handle, (ctypes.c_int32 * len(part))(*part), len(part))
    sampler = native.llama_sampler_init_greedy()
    token = (ctypes.c_int32 * 1)()
    said, count, to_first = bytearray(), 0, 0.0
    try:
        while True:
            token[0] = native.llama_sampler_sample(sampler, handle, -1)
            to_first = to_first or perf_counter() - began
            ending = _ending(model, token[0], count, room - len(prompt), max_tokens)
            if ending is None:
                said += piece(model, token[0])
                count += 1
                if stop_text and stop_text.encode() in said:
                    ending = Ending.STOP_TEXT
            if ending is not None:
                break
            decode(native, handle, token, 1)
    finally:
        native.llama_sampler_free(sampler)
    text = said.decode(errors="replace")
    return Generation(
        text=text.partition(stop_text)[0] if stop_text else text,
        prompt_tokens=len(prompt), tokens=count,
        seconds_to_first=to_first, seconds=perf_counter() - began, ending=ending,
    )  # fmt: skip


def _ending(model: OpenModel, token: int, count: int, room: int, max_tokens: int) -> Ending | None:
    if model.native.llama_vocab_is_eog(model.vocabulary, token):
        return Ending.END_TOKEN
    if count >= max_tokens:
        return Ending.MAX_TOKENS
    return Ending.CONTEXT_FULL if count >= room else None


def prompt_tokens(model: OpenModel, prompt: str) -> tuple[int, ...]:
    tokens = tokens_of(model, prompt, add_special=True, parse_special=True)
    bos = model.native.llama_vocab_bos(model.vocabulary)
    # Chat templates begin with it themselves; twice is not what the model was trained on.
    return tokens[1:] if tokens[:2] == (bos, bos) else tokens


def _context_limit(model: OpenModel) -> int:
    return int(model.native.llama_model_n_ctx_train(model.handle))


def piece(model: OpenModel, token: int) -> bytes:
    """The bytes of one token; nothing for a special one."""
    room = 64
    while True:
        buffer = ctypes.create_string_buffer(room)
        size = model.native.llama_token_to_piece(model.vocabulary, token, buffer, room, 0, False)
        if size >= 0:
            return buffer.raw[:size]
        room = -size
