"""What llama-imatrix would add up: the same sums, the same chunks; ^C and failures within callbacks are not lost."""

import _thread
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import run

import gguf
import numpy as np
import numpy.typing as npt
import pytest

from edgepack.convert.imatrix import write_matrix
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Bar, Silent
from edgepack.domain.quant import Quant
from edgepack.engines import llamacpp_imatrix
from edgepack.engines.llamacpp_imatrix import CHUNK_TOKENS, Activations, collect
from tests.fakes.demo_copy import DEMO
from tests.fakes.tiny_gguf import HIDDEN, LAYERS, write_tiny_gguf
from tests.oracle.tuned import MATRIX, PIECE, write_piece

TEXT = "the cat " * 150  # two chunks, and some tokens more
Values = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smaller demo model in bfloat16, and beside it the recorded piece of text."""
    path = tmp_path_factory.mktemp("demo") / "demo.gguf"
    write_gguf(open_conversion(DEMO, "demo-1m"), Quant.BF16, path, threads=2, progress=Silent())
    write_piece(path.with_name(PIECE))
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def collected(demo: Path) -> Activations:
    return collect(demo, demo.with_name(PIECE).read_text(encoding="utf-8"), threads=2, progress=Silent())


def written(found: Activations, path: Path) -> Path:
    write_matrix(path, found.sums, found.counts, chunks=found.chunks, chunk_tokens=CHUNK_TOKENS, dataset=PIECE)
    return path


def contents(path: Path) -> tuple[dict[str, object], dict[str, Values]]:
    reader = gguf.GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items()}
    return keys, {tensor.name: tensor.data for tensor in reader.tensors}


def test_sums_are_those_that_llama_imatrix_recorded(demo: Path, tmp_path: Path) -> None:
    """Keys, names and counts exactly; sums as far as another processor's rounding lets them be equal."""
    ours, theirs = contents(written(collected(demo), tmp_path / "ours.gguf")), contents(MATRIX)
    assert ours[0] == theirs[0]
    assert list(ours[1]) == list(theirs[1])
    for name, values in theirs[1].items():
        np.testing.assert_allclose(ours[1][name], values, rtol=1e-3, err_msg=name)


def test_the_file_is_llama_imatrix_s_byte_for_byte(demo: Path, tmp_path: Path, llama_tools: Path) -> None:
    """On one machine, where both libraries round alike."""
    command = [llama_tools / "llama-imatrix", "-m", demo, "-f", PIECE, "-o", tmp_path / "theirs.gguf"]
    run(list(map(str, command)), cwd=demo.parent, check=True, capture_output=True)
    ours = written(collected(demo), tmp_path / "ours.gguf")
    assert ours.read_bytes() == (tmp_path / "theirs.gguf").read_bytes()


def test_threads_change_no_bit(tiny: Path) -> None:
    one, three = (collect(tiny, TEXT, threads=threads, progress=Silent()) for threads in (1, 3))
    assert one.counts == three.counts
    assert all(np.array_equal(one.sums[name], three.sums[name]) for name in one.sums)


def test_every_matrix_of_every_layer_is_heard(tiny: Path) -> None:
    found = collect(tiny, TEXT, threads=1, progress=Silent())
    parts = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    assert set(found.sums) == {f"blk.{layer}.{part}.weight" for layer in range(LAYERS) for part in parts}
    assert set(found.counts.values()) == {2 * CHUNK_TOKENS}
    assert found.sums["blk.0.attn_q.weight"].shape == (1, HIDDEN)


@pytest.mark.parametrize("text", ["", "the cat", "the cat " * 60])
def test_a_text_of_less_than_two_chunks_is_refused(tiny: Path, text: str) -> None:
    with pytest.raises(BadInputError, match="1024 are the fewest"):
        collect(tiny, text, threads=1, progress=Silent())


def test_a_model_that_makes_no_next_token_is_refused(tmp_path: Path) -> None:
    encoder = write_tiny_gguf(tmp_path / "encoder.gguf", causal=False)
    with pytest.raises(BadInputError, match=r"encoder\.gguf: no importance matrix can be computed"):
        collect(encoder, TEXT, threads=1, progress=Silent())


def test_a_vocabulary_that_ends_texts_is_refused(tmp_path: Path) -> None:
    """llama-imatrix ends the process there."""
    ending = write_tiny_gguf(tmp_path / "ending.gguf", adds_eos=True)
    with pytest.raises(BadInputError, match="ends every text by itself"):
        collect(ending, TEXT, threads=1, progress=Silent())


class Counting(Silent):
    """A listener that counts what its bars hear."""

    heard = 0

    @contextmanager
    def bar(self, label: str, total: int | None, unit: str) -> Iterator[Bar]:
        yield self

    def advance(self, amount: int) -> None:
        self.heard += amount


def test_the_bar_hears_every_chunk(tiny: Path) -> None:
    progress = Counting()
    assert collect(tiny, TEXT * 2, threads=1, progress=progress).chunks == progress.heard == 4


def test_an_interrupt_ends_the_work_at_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It arrives while a callback runs, where ctypes would print it and go on."""
    calls: list[str] = []

    def interrupting(_collector: object, weights: llamacpp_imatrix._Tensor, _given: object) -> None:
        calls.append(weights.name.decode())
        if len(calls) == 3:
            _thread.interrupt_main()

    monkeypatch.setattr(llamacpp_imatrix._Collector, "_add", interrupting)
    with pytest.raises(KeyboardInterrupt):
        collect(tiny, TEXT * 20, threads=1, progress=Silent())
    assert len(calls) < LAYERS * 7 * 8


def test_a_failure_within_a_callback_is_raised(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_tensor: object) -> Values:
        raise MemoryError("no room")

    monkeypatch.setattr(llamacpp_imatrix, "_values", failing)
    with pytest.raises(MemoryError, match="no room"):
        collect(tiny, TEXT, threads=1, progress=Silent())


def test_values_beyond_float32_are_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def infinite(tensor: llamacpp_imatrix._Tensor) -> Values:
        return np.full(tuple(tensor.ne)[::-1], 3e38, np.float32)

    monkeypatch.setattr(llamacpp_imatrix, "_values", infinite)
    with pytest.raises(BadInputError, match="beyond float32"):
        collect(tiny, TEXT, threads=1, progress=Silent())
