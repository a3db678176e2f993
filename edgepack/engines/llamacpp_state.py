"""The state of a model after a system prompt, in the file that llama-server restores a slot from."""

import ctypes
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from edgepack.domain.bundle import PromptState, RuntimeFlags
from edgepack.domain.errors import BadInputError
from edgepack.engines.llamacpp import prompt_tokens
from edgepack.engines.llamacpp_chat import ChatMessage, chat_prompt
from edgepack.engines.llamacpp_library import OpenModel, context, decode, failure, library, opened, refuse_encoder

# What users may begin with: no token of the prefix may depend on it.
_BEGINNINGS = ("a", "Hello", "7", " x", "\nx", "é", "日本", "?", '"', "the")
_DAYS = (datetime(2024, 1, 2, tzinfo=UTC), datetime(2031, 11, 28, tzinfo=UTC))


def prefix_tokens(weights: Path, system: str) -> tuple[int, ...]:
    """The tokens that every chat begins with whose first message is this system prompt.

    Raises BadInputError where they do not reach the prompt's end: the template writes something else before.
    """
    with opened(weights, vocabulary_only=True) as model:
        all_chats = [_chat(model, system, user, _DAYS[0]) for user in _BEGINNINGS]
        prefix = _common([*all_chats, _chat(model, system, _BEGINNINGS[0], _DAYS[1])])
        # Where another system prompt that ends otherwise parts from this one, this one ends.
        end = len(_common([all_chats[0], _chat(model, system + " ~", _BEGINNINGS[0], _DAYS[0])]))
    if len(prefix) < end:
        raise BadInputError(
            f"{weights}: after {len(prefix)} of {end} tokens the chat template writes what changes with day or user",
            hint="leave --system-prompt away: a state would never fit this model's chats",
        )
    return prefix


def save_state(
    weights: Path, tokens: tuple[int, ...], path: Path, *, adapter: Path | None, flags: RuntimeFlags, threads: int
) -> None:
    """Let the model read `tokens`, and write what it then remembers.

    Raises BadInputError for a model whose memory llama-server cannot go on from.
    """
    with opened(weights, adapter=adapter) as model:
        refuse_encoder(model)
        _refuse_windows(model)
        batch = flags.batch
        with context(
            model, tokens=len(tokens) + 1, threads=threads, cpus=None, micro_batch=flags.micro_batch, flags=flags
        ) as handle:
            for start in range(0, len(tokens), batch):
                part = tokens[start : start + batch]
                decode(model.native, handle, (ctypes.c_int32 * len(part))(*part), len(part))
            ready = (ctypes.c_int32 * len(tokens))(*tokens)
            if not model.native.llama_state_seq_save_file(handle, str(path).encode(), 0, ready, len(tokens)):
                raise failure(f"{path}: llama.cpp cannot write the state", hint="check the disk")


def state_of(path: Path) -> PromptState:
    """What a state file of this library says."""
    with path.open("rb") as file:
        head = file.read(12)
    native = library()
    native._lib.ggml_commit.restype = ctypes.c_char_p
    commit = native._lib.ggml_commit().decode().removesuffix("-dirty")
    return PromptState(tokens=int.from_bytes(head[8:], "little"), commit=commit)


def _refuse_windows(model: OpenModel) -> None:
    if model.native.llama_model_n_swa(model.handle):
        raise BadInputError(
            f"{model.path}: a model with a sliding window, whose restored state llama-server does not go on from",
            hint="leave --system-prompt away: the prompt is read when it is asked",
        )


def _chat(model: OpenModel, system: str, user: str, now: datetime) -> tuple[int, ...]:
    messages = [ChatMessage(role="system", content=system), ChatMessage(role="user", content=user)]
    return prompt_tokens(model, chat_prompt(model.path, messages, now=now))


def _common(texts: list[tuple[int, ...]]) -> tuple[int, ...]:
    together = takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))
    return tuple(column[0] for column in together)
