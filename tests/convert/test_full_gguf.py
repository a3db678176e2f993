"""A GGUF at full precision, quantized by our slabs, is what the checkpoint itself gives; a damaged one is refused."""

from pathlib import Path

import pytest

from edgepack.convert.full_gguf import FullGguf, open_full
from edgepack.convert.onepass import Conversion, open_conversion, write_gguf
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.demo_copy import DEMO
from tests.oracle.tuned import AWKWARD


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """The demo model in its own bfloat16: nothing is lost, whoever writes it."""
    path = tmp_path / "full.gguf"
    write_gguf(open_conversion(DEMO, "demo-1m"), Quant.BF16, path, threads=1, progress=Silent())
    return path


def digest(source: Conversion | FullGguf, quant: Quant, path: Path) -> str:
    return write_gguf(source, quant, path, threads=2, progress=Silent())


@pytest.mark.parametrize("quant", list(Quant))
def test_it_gives_what_the_checkpoint_gives(full: Path, quant: Quant, tmp_path: Path) -> None:
    ours = digest(open_full(full, "demo-1m", sha256=""), quant, tmp_path / "from-full.gguf")
    assert ours == digest(open_conversion(DEMO, "demo-1m"), quant, tmp_path / "from-checkpoint.gguf")


def test_rows_that_fit_no_block_fall_back_as_the_checkpoints(tmp_path: Path, vocabularies: Path) -> None:
    """Float16 this time, and types that are planned on padded rows."""
    checkpoint = open_conversion(make_checkpoint(AWKWARD, tmp_path / AWKWARD.name, vocabularies), AWKWARD.name)
    digest(checkpoint, Quant.F16, tmp_path / "full.gguf")
    full = open_full(tmp_path / "full.gguf", AWKWARD.name, sha256="")
    assert digest(full, Quant.Q4_K_M, tmp_path / "a") == digest(checkpoint, Quant.Q4_K_M, tmp_path / "b")
    assert full.parameters == checkpoint.parameters


def test_it_knows_its_architecture_and_context(full: Path) -> None:
    found, checkpoint = open_full(full, "x", sha256="s"), open_conversion(DEMO, "x")
    assert (found.architecture, found.parameters) == (checkpoint.architecture, checkpoint.parameters)
    assert (found.context_length, found.embeds, found.sha256) == (checkpoint.context_length, False, "s")


@pytest.mark.parametrize("size", [3, 100, 5_000, -1])
def test_one_that_is_cut_is_refused(full: Path, size: int) -> None:
    data = full.read_bytes()
    full.write_bytes(data[:size])
    with pytest.raises(BadInputError, match="not a whole GGUF"):
        open_full(full, "x", sha256="")


def test_one_that_is_quantized_is_refused(full: Path, tmp_path: Path) -> None:
    digest(open_full(full, "x", sha256=""), Quant.Q8_0, tmp_path / "q.gguf")
    with pytest.raises(BadInputError, match="is Q8_0 already"):
        open_full(tmp_path / "q.gguf", "x", sha256="")


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"GGML" + bytes(100))
    with pytest.raises(BadInputError, match="no GGUF of version 2 or 3"):
        open_full(tmp_path / "x", "x", sha256="")
