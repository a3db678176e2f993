"""The prompt state of a bundle: its text read with care, computed once."""

from pathlib import Path

import pytest

from edgepack.domain.bundle import RuntimeFlags
from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.progress import Silent
from edgepack.engines.llamacpp import identify
from edgepack.infra.store import Store
from edgepack.stages.state import KeptState, prompt_state, read_system_prompt
from tests.fakes.tiny_gguf import write_tiny_gguf


def made(tmp_path: Path, system: str, context: int = 128) -> KeptState:
    weights = identify(write_tiny_gguf(tmp_path / "tiny.gguf"))
    return prompt_state(
        system, weights, None, flags=RuntimeFlags(context=context, threads=1), llama_cpp="1",
        store=Store(tmp_path / "store"), threads=1, progress=Silent(),
    )  # fmt: skip


def test_it_is_computed_once_for_one_prompt(tmp_path: Path) -> None:
    one, again, other = (made(tmp_path, system) for system in ("the cat", "the cat", "the cats"))
    assert one == again
    assert other.path != one.path


def test_a_prompt_that_the_context_does_not_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tokens in a context of 16"):
        made(tmp_path, "the cat and the other cat", context=16)


def test_last_newlines_and_carriage_returns_are_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"one\r\ntwo\n\n")
    assert read_system_prompt(tmp_path / "text") == "one\ntwo"


@pytest.mark.parametrize(("data", "why"), [
    (b"\xff", "not UTF-8"), (b" \n", "no prompt"), (b"x" * (1 << 20), "no prompt"), (None, "cannot be read"),
])  # fmt: skip
def test_what_is_no_text_is_refused(data: bytes | None, why: str, tmp_path: Path) -> None:
    if data is not None:
        (tmp_path / "text").write_bytes(data)
    with pytest.raises(BadInputError, match=why):
        read_system_prompt(tmp_path / "text")
