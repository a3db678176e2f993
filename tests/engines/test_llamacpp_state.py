"""The state after a system prompt: of the tokens that each such chat begins with, in a file that llama.cpp takes."""

from pathlib import Path

import pytest

from edgepack.domain.bundle import CacheType, RuntimeFlags
from edgepack.domain.errors import BadInputError
from edgepack.engines.llamacpp import ChatMessage, chat_prompt, tokenize
from edgepack.engines.llamacpp_state import prefix_tokens, save_state, state_of
from tests.fakes.tiny_gguf import CHAT_TEMPLATE, write_tiny_gguf

SYSTEM = "the cat is called the cat"
FLAGS = RuntimeFlags(context=128, threads=1)


@pytest.mark.parametrize("user", ["the cat", "\n\nx", "9", "日本語", " "])
def test_every_chat_with_the_system_prompt_begins_with_the_prefix(user: str, tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    messages = [ChatMessage(role="system", content=SYSTEM), ChatMessage(role="user", content=user)]
    chat = tokenize(weights, chat_prompt(weights, messages).removeprefix("<s>"), add_special=True, parse_special=True)
    prefix = prefix_tokens(weights, SYSTEM)
    assert chat[: len(prefix)] == prefix
    assert len(prefix) > len(tokenize(weights, SYSTEM))


@pytest.mark.parametrize("template", [
    "{{ bos_token }}{{ strftime_now('%d %b') }}" + CHAT_TEMPLATE.removeprefix("{{ bos_token }}"),
    "{{ bos_token }}{{ messages[1].content }}{{ messages[0].content }}",
])  # fmt: skip
def test_a_template_that_writes_something_else_first_has_no_prefix(template: str, tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf", chat_template=template)
    with pytest.raises(BadInputError, match="changes with day or user"):
        prefix_tokens(weights, SYSTEM)


def test_a_state_says_its_tokens_and_its_library_and_quantized_memory_is_smaller(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    tokens = prefix_tokens(weights, SYSTEM)
    small = RuntimeFlags(context=128, threads=1, cache_type=CacheType.Q8_0)
    save_state(weights, tokens, tmp_path / "f16", adapter=None, flags=FLAGS, threads=1)
    save_state(weights, tokens, tmp_path / "q8", adapter=None, flags=small, threads=1)
    state = state_of(tmp_path / "f16")
    assert state.tokens == len(tokens)
    assert state.commit.isalnum()
    assert (tmp_path / "q8").stat().st_size < (tmp_path / "f16").stat().st_size


def test_threads_change_no_byte_of_it(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    tokens = prefix_tokens(weights, SYSTEM)
    for threads in (1, 2):
        save_state(weights, tokens, tmp_path / str(threads), adapter=None, flags=FLAGS, threads=threads)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
