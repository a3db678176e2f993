"""The convert stage: made once a key, the same bytes whatever the threads, and a store that was meddled with."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.convert.imatrix import read_matrix
from edgepack.domain.checkpoint import Checkpoint
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.source import DirectorySource
from edgepack.domain.tuning import Tuning, parse_override
from edgepack.domain.weights import Weights
from edgepack.infra.store import Store, home
from edgepack.stages.convert import convert, convert_to, file_stem, open_checkpoint, open_directory
from edgepack.stages.fetch import fetch
from tests.fakes.demo_copy import EMBEDDING, copy_demo, poke
from tests.fakes.matrices import seeded_sums, write_gguf_matrix


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return copy_demo(tmp_path / "model")


def fetched(directory: Path) -> Checkpoint:
    return fetch(DirectorySource(path=directory), cache=home() / "hub", progress=Silent(), offline=True)


def made(
    directory: Path,
    quant: Quant = Quant.Q8_0,
    *,
    matrix: Path | None = None,
    overrides: tuple[str, ...] = (),
    threads: int = 1,
    llama_cpp: str = "1",
) -> Weights:
    tuning = Tuning(matrix=matrix, overrides=tuple(map(parse_override, overrides)))
    opened = open_checkpoint(fetched(directory), allow_over_3b=False, tuning=tuning)
    return convert(
        opened, quant, matrix=read_matrix(matrix) if matrix else None, llama_cpp=llama_cpp, store=Store(home()),
        threads=threads, progress=Silent(),
    )  # fmt: skip


def entries() -> int:
    return len(list(Store(home()).entries()))


def test_weights_are_what_they_say(checkpoint: Path) -> None:
    weights = made(checkpoint)
    content = weights.path.read_bytes()
    assert (weights.size, weights.sha256) == (len(content), sha256(content).hexdigest())
    assert (weights.architecture, weights.quant, weights.parameters) == ("llama", Quant.Q8_0, 984320)
    assert weights.context_length == 512


def test_the_same_is_made_once(checkpoint: Path) -> None:
    first = made(checkpoint)
    mark = first.path.stat().st_mtime_ns
    assert made(checkpoint) == first
    assert first.path.stat().st_mtime_ns == mark
    assert entries() == 1


def test_another_weight_quantization_or_llama_cpp_is_another_entry(checkpoint: Path) -> None:
    made(checkpoint)
    made(checkpoint, Quant.Q4_0)
    made(checkpoint, llama_cpp="2")
    poke(checkpoint, EMBEDDING, 0, 0x3F80)
    made(checkpoint)
    assert entries() == 4


def test_another_matrix_or_type_is_another_entry(checkpoint: Path, tmp_path: Path) -> None:
    """A matrix by its bytes and its name, which both show in the weights; not by where it lies."""
    made(checkpoint)
    (tmp_path / "elsewhere").mkdir()
    one, two, three = tmp_path / "a.imatrix", tmp_path / "elsewhere" / "a.imatrix", tmp_path / "b.imatrix"
    for path in (one, two, three):
        write_gguf_matrix(path, seeded_sums({"blk.0.attn_q.weight": 256}))
    digests = [made(checkpoint, matrix=path).sha256 for path in (one, two, three)]
    assert digests[0] == digests[1] != digests[2]
    assert entries() == 3
    write_gguf_matrix(one, seeded_sums({"blk.0.attn_k.weight": 256}))
    made(checkpoint, matrix=one)
    made(checkpoint, overrides=("attn_q=q4_0",))
    made(checkpoint, overrides=("attn_q=q4_0", "attn_k=q4_0"))
    assert entries() == 6


def test_threads_change_no_byte(checkpoint: Path, tmp_path: Path) -> None:
    conversion = open_directory(checkpoint, "model", allow_over_3b=False)
    digests = {
        convert_to(tmp_path / f"{threads}.gguf", conversion, Quant.Q4_K_M, threads=threads, progress=Silent()).sha256
        for threads in (1, 2, 5)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"file": 3, "sha256": "", "size": 1}'])
def test_a_record_that_was_meddled_with_is_refused(checkpoint: Path, damage: str) -> None:
    weights = made(checkpoint)
    (weights.path.parent / "weights.json").write_text(damage)
    with pytest.raises(BadInputError, match="not as it was made"):
        made(checkpoint)


def test_weights_that_were_cut_are_refused(checkpoint: Path) -> None:
    weights = made(checkpoint)
    weights.path.write_bytes(weights.path.read_bytes()[:-1])
    with pytest.raises(BadInputError, match="not as it was made"):
        made(checkpoint)


def test_a_bad_weight_leaves_nothing(checkpoint: Path) -> None:
    poke(checkpoint, EMBEDDING, 77_777, 0x7FC0)
    with pytest.raises(BadInputError, match="NaN"):
        made(checkpoint)
    assert entries() == 0
    assert not list((home() / "partial").iterdir())


def test_the_record_names_its_maker(checkpoint: Path) -> None:
    record = json.loads((made(checkpoint).path.parent / "weights.json").read_text())
    assert set(record) == {"file", "sha256", "size", "made_by"}


@pytest.mark.parametrize(
    ("words", "stem"),
    [
        (("Qwen2.5-0.5B", "Q4_0"), "Qwen2.5-0.5B-Q4_0"),
        (("a/b\\c", "d e"), "a-b-c-d-e"),
        (("..", "x"), "x"),
        (("Grüße",), "Gr--e"),
        ((".",), "model"),
        (("x" * 300,), "x" * 96),
    ],
)
def test_file_stems_suit_every_system(words: tuple[str, ...], stem: str) -> None:
    assert file_stem(*words) == stem
