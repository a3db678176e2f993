"""The matrix that a conversion is tuned with: computed once for a checkpoint and a text, kept without the model."""

from pathlib import Path

import pytest

from edgepack.convert.imatrix import ImportanceMatrix
from edgepack.convert.onepass import open_conversion
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.tuning import ComputedMatrix, MatrixChoice
from edgepack.infra.store import Store, home
from edgepack.stages import imatrix
from edgepack.stages.imatrix import find_matrix
from tests.fakes.demo_copy import DEMO
from tests.fakes.matrices import seeded_sums, write_gguf_matrix
from tests.oracle.tuned import write_piece


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    write_piece(path)
    return path


def found(
    choice: MatrixChoice | None, *, checkpoint: str = "1" * 64, llama_cpp: str = "1"
) -> ImportanceMatrix | None:
    conversion = open_conversion(DEMO, "demo-1m")
    return find_matrix(
        choice, conversion, weights={"checkpoint": checkpoint}, llama_cpp=llama_cpp, store=Store(home()), threads=2,
        progress=Silent(),
    )  # fmt: skip


def entries() -> int:
    return len(list(Store(home()).entries()))


def test_no_choice_is_no_matrix() -> None:
    assert found(None) is None


def test_a_file_is_read_and_nothing_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_gguf_matrix(path, seeded_sums({"blk.0.attn_q.weight": 256}))
    read = found(path)
    assert read is not None
    assert (read.name, set(read.means)) == ("m.gguf", {"blk.0.attn_q.weight"})
    assert entries() == 0


def test_a_matrix_is_computed_once_and_kept_alone(text: Path) -> None:
    """The model in 16 bits, which it was computed with, is gone."""
    first = found(ComputedMatrix(calibration=text))
    again = found(ComputedMatrix(calibration=text))
    assert first is not None
    assert again is not None
    assert (first.file, first.dataset, first.sha256) == (b"imatrix.gguf", b"words.txt", again.sha256)
    assert len(first.means) == 14
    (entry,) = Store(home()).entries()
    assert {file.name for file in entry.path.iterdir()} == {"imatrix.gguf", "entry.json"}


def test_another_checkpoint_text_or_llama_cpp_is_another_entry(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def quickly(place: Path, *_anything: object) -> None:
        write_gguf_matrix(place / "imatrix.gguf", seeded_sums({"blk.0.attn_q.weight": 256}))

    monkeypatch.setattr(imatrix, "_make", quickly)
    choice = ComputedMatrix(calibration=text)
    for _ in range(2):
        found(choice)
        found(choice, checkpoint="2" * 64)
        found(choice, llama_cpp="2")
        found(ComputedMatrix())
    assert entries() == 4
    text.write_text("other words")
    found(choice)
    assert entries() == 5


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\xff" * 9, "byte 0 is not UTF-8"), (b"few words", "1024 are the fewest"), (b"", "1024 are the fewest")],
)
def test_a_text_that_cannot_be_used_leaves_nothing(text: Path, content: bytes, why: str) -> None:
    text.write_bytes(content)
    with pytest.raises(BadInputError, match=why):
        found(ComputedMatrix(calibration=text))
    assert entries() == 0
    assert not list((home() / "partial").iterdir())


def test_a_text_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        found(ComputedMatrix(calibration=tmp_path / "missing.txt"))


def test_a_text_without_end_is_refused(text: Path) -> None:
    with text.open("wb") as file:
        file.truncate((1 << 24) + 1)
    with pytest.raises(BadInputError, match="a calibration text of"):
        found(ComputedMatrix(calibration=text))
