"""Importance matrices: both forms read alike, lies in them refused, sizes and needs checked against the tensors."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.convert.family import GeneratedTensor
from edgepack.convert.ggml import load_ggml
from edgepack.convert.imatrix import ImportanceMatrix, applied, left_out, matrix_keys, read_matrix, write_matrix
from edgepack.convert.safetensors import StoredTensor
from edgepack.convert.tensors import Source
from edgepack.domain.errors import BadInputError, EdgepackError, UsageError
from edgepack.domain.quant import TensorType
from tests.fakes import matrices

Q = "blk.0.attn_q.weight"
DOWN = "blk.0.ffn_down.weight"
SUMS = matrices.seeded_sums({Q: 256, DOWN: 512})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.imatrix"


def source(name: str = Q, shape: tuple[int, ...] = (64, 256), dtype: str = "BF16") -> Source:
    origin = StoredTensor(name="t", path=Path("x"), dtype=dtype, shape=shape, offset=0, size=0)
    return Source(name=name, shape=shape, origin=origin)


def matrix(means: Mapping[str, npt.NDArray[np.float32]]) -> ImportanceMatrix:
    return ImportanceMatrix(file=b"m.gguf", sha256="0" * 64, means=means, chunks=3, dataset=None)


def ones(columns: int) -> npt.NDArray[np.float32]:
    return np.ones(columns, np.float32)


# --- reading ---


def test_both_forms_say_the_same(path: Path) -> None:
    matrices.write_gguf_matrix(path, SUMS)
    new = read_matrix(path)
    matrices.write_legacy_matrix(path, SUMS)
    old = read_matrix(path)
    assert (new.chunks, new.dataset) == (old.chunks, old.dataset) == (matrices.CHUNKS, b"calibration.txt")
    for name, sums in SUMS.items():
        np.testing.assert_allclose(new.means[name], sums / (matrices.CHUNKS * matrices.CHUNK_TOKENS), rtol=1e-6)
        np.testing.assert_allclose(old.means[name], new.means[name], rtol=1e-6)


def test_a_column_set_that_met_no_text_counts_every_column_alike(path: Path) -> None:
    """An expert that no token was routed to: upstream takes ones."""
    tensors = {
        f"{Q}.in_sum2": np.array([[2, 4], [0, 0]], np.float32),
        f"{Q}.counts": np.array([[2], [0]], np.float32),
    }
    path.write_bytes(matrices.gguf_bytes(KEYS, tensors))
    assert read_matrix(path).means[Q].tolist() == [1, 2, 1, 1]


def test_counts_are_rounded_away_from_zero(path: Path) -> None:
    tensors = {f"{Q}.in_sum2": np.array([9], np.float32), f"{Q}.counts": np.array([2.5], np.float32)}
    path.write_bytes(matrices.gguf_bytes(KEYS, tensors))
    assert read_matrix(path).means[Q].tolist() == [3]


def test_an_older_file_ends_where_it_pleases(path: Path) -> None:
    """Without chunks and text, or without the text alone."""
    matrices.write_legacy_matrix(path, {Q: ones(4)}, dataset="x")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert (read_matrix(path).chunks, read_matrix(path).dataset) == (0, None)
    path.write_bytes(whole[:-5])
    assert (read_matrix(path).chunks, read_matrix(path).dataset) == (matrices.CHUNKS, None)


KEYS = {
    "imatrix.datasets": matrices.gguf_strings(["x"]),
    "imatrix.chunk_count": matrices.gguf_u32(1),
    "imatrix.chunk_size": matrices.gguf_u32(512),
}
PAIR = {f"{Q}.in_sum2": ones(4), f"{Q}.counts": ones(1)}


@pytest.mark.parametrize(
    ("keys", "tensors", "why"),
    [
        ({}, PAIR, "without imatrix.datasets"),
        (KEYS | {"imatrix.chunk_count": matrices.gguf_string("1")}, PAIR, "without imatrix.datasets"),
        (KEYS, {}, "it holds no sums of squares"),
        (KEYS, {"token_embd.weight": ones(4)}, "it holds no sums of squares"),
        (KEYS, {f"{Q}.in_sum2": ones(4)}, "sums or counts alone"),
        (KEYS, {f"{Q}.counts": ones(4)}, "sums or counts alone"),
        (KEYS, PAIR | {f"{Q}.counts": ones(3)}, "4 sums and 3 counts"),
        (KEYS, PAIR | {f"{Q}.counts": np.array([np.nan], np.float32)}, "a count is no number"),
        (KEYS, PAIR | {f"{Q}.in_sum2": -ones(4)}, "negative, above"),
        (KEYS, PAIR | {f"{Q}.in_sum2": np.array([1, np.nan], np.float32)}, "negative, above"),
        (KEYS, PAIR | {f"{Q}.in_sum2": np.array([1, 3e38], np.float32)}, "negative, above"),
        (KEYS, PAIR | {"x" * 64: ones(1)}, "too long a name"),
        (KEYS | {"general.alignment": matrices.gguf_u32(3)}, PAIR, "an alignment of 3"),
        (KEYS | {"x": struct.pack("<I", 99)}, PAIR, "unknown type 99"),
        (KEYS | {"x": struct.pack("<IIQ", 9, 8, 1 << 60)}, PAIR, "a list of"),
        (KEYS | {"x": struct.pack("<IIQ", 9, 4, 1 << 60)}, PAIR, "claims"),
        (KEYS | {"x": struct.pack("<IQ", 8, 1 << 60)}, PAIR, "claims"),
    ],
)
def test_a_gguf_that_lies_is_refused(
    path: Path, keys: dict[str, bytes], tensors: dict[str, npt.NDArray[np.float32]], why: str
) -> None:
    path.write_bytes(matrices.gguf_bytes(keys, tensors))
    with pytest.raises(BadInputError, match=why):
        read_matrix(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (struct.pack("<i", 0), "0 entries"),
        (struct.pack("<i", -1), "-1 entries"),
        (struct.pack("<i", 1), "cut"),
        (struct.pack("<ii", 1, -4), "claims -4 bytes"),
        (struct.pack("<ii1sii", 1, 1, b"x", 1, 0), "0 values of x"),
        (struct.pack("<ii1sii", 1, 1, b"x", 1, 1 << 30), "claims"),
        (struct.pack("<ii1siif", 1, 1, b"x", 1, 1, float("inf")), "no number"),
        (struct.pack("<ii1siifi", 1, 1, b"x", 1, 1, 1.0, 4)[:-1], "cut"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 62, 0), "tensors and 0 keys"),
        (b"GGUF", "cut"),
    ],
)
def test_a_file_that_is_cut_or_lies_is_refused(path: Path, data: bytes, why: str) -> None:
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=why):
        read_matrix(path)


def test_a_file_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        read_matrix(path)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), legacy=st.booleans())
def test_no_damage_ends_in_anything_but_an_error(path: Path, data: st.DataObject, legacy: bool) -> None:
    """Bytes changed, cut off and repeated anywhere."""
    sums = {Q: ones(8), DOWN: ones(4)}
    (matrices.write_legacy_matrix if legacy else matrices.write_gguf_matrix)(path, sums)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(st.sampled_from([b"", b"\0", b"\xff", b"\x7f", b"\xff" * 8, bytes(8), b"GGUF"]))
        content[at : at + max(1, len(new))] = new
    path.write_bytes(content)
    try:
        found = read_matrix(path)
    except BadInputError:
        return
    assert all(np.isfinite(means).all() for means in found.means.values())


# --- writing ---


def test_what_is_written_is_read(path: Path) -> None:
    counts = dict.fromkeys(SUMS, 1024)
    write_matrix(path, SUMS, counts, chunks=2, chunk_tokens=512, dataset="words.txt")
    found = read_matrix(path)
    assert (found.chunks, found.dataset) == (2, b"words.txt")
    for name, sums in SUMS.items():
        assert np.array_equal(found.means[name], sums / np.float32(1024))


# --- keys ---


def test_the_keys_hold_the_bare_name_and_what_127_bytes_hold_of_texts(tmp_path: Path) -> None:
    """llama-quantize copies that many bytes, though a letter be cut in two."""
    path = tmp_path / "m.gguf"
    matrices.write_gguf_matrix(path, SUMS, dataset="ü" * 100)
    keys = {name: value.value for name, value in matrix_keys(read_matrix(path)).items()}
    assert keys == {
        "quantize.imatrix.file": b"m.gguf",
        "quantize.imatrix.dataset": ("ü" * 100).encode()[:127],
        "quantize.imatrix.entries_count": 2,
        "quantize.imatrix.chunks_count": matrices.CHUNKS,
    }


def test_what_a_file_does_not_say_has_no_key(path: Path) -> None:
    matrices.write_legacy_matrix(path, {Q: ones(4)}, dataset="x")
    path.write_bytes(path.read_bytes()[:-9])
    assert list(matrix_keys(read_matrix(path))) == ["quantize.imatrix.file", "quantize.imatrix.entries_count"]


# --- use ---


def test_a_tensor_finds_its_importances_by_name() -> None:
    found = applied(matrix({Q: ones(256), "blk.9.other": ones(3)}), [(source(), TensorType.Q4_K)])
    assert {name: means.shape for name, means in found.items()} == {Q: (1, 256)}


@pytest.mark.parametrize("type", [TensorType.Q4_K, TensorType.F16])
def test_importances_of_another_size_are_refused(type: TensorType) -> None:
    with pytest.raises(BadInputError, match=r"m\.gguf: blk\.0\.attn_q\.weight has 255 importances, .* 256 columns"):
        applied(matrix({Q: ones(255)}), [(source(), type)])


def test_a_tensor_that_is_copied_needs_no_fitting_importances() -> None:
    assert applied(matrix({Q: ones(255)}), [(source(dtype="F16"), TensorType.F16)]) == {}


def test_an_embedding_goes_without_importances_that_do_not_fit() -> None:
    assert applied(matrix({"token_embd.weight": ones(9)}), [(source("token_embd.weight"), TensorType.Q6_K)]) == {}


@pytest.mark.parametrize("name", [Q, "output.weight", "token_embd.weight"])
@pytest.mark.parametrize("type", TensorType)
def test_a_type_that_needs_importances_is_refused_without(name: str, type: TensorType) -> None:
    """As llama-quantize does; where it would end the process instead (embedding and head), so do we."""
    needy = {"IQ1_S", "IQ2_XXS", "IQ2_XS"} | ({"IQ1_M", "IQ2_S", "IQ3_XXS"} if name == Q else set())
    tensors = [(source(name), type)]
    if type.name not in needy:
        assert applied(None, tensors) == applied(matrix({}), tensors) == {}
        return
    with pytest.raises(UsageError, match="without an importance matrix"):
        applied(None, tensors)
    with pytest.raises(BadInputError, match="no importances of"):
        applied(matrix({}), tensors)


def test_stacked_matrices_have_importances_each() -> None:
    found = applied(matrix({Q: ones(512)}), [(source(shape=(2, 64, 256)), TensorType.Q4_K)])
    assert found[Q].shape == (2, 256)


def test_tensors_that_go_without_are_named() -> None:
    """Not those that no matrix would change, nor the embedding, of which llama-imatrix never knows."""
    tensors = [
        (source(), TensorType.Q4_K), (source(DOWN), TensorType.Q8_0), (source("output.weight"), TensorType.Q6_K),
        (source("blk.1.attn_q.weight"), TensorType.Q6_K), (source("token_embd.weight"), TensorType.Q6_K),
    ]  # fmt: skip
    assert left_out({Q}, tensors) == ["blk.1.attn_q.weight"]


@pytest.mark.parametrize("type", TensorType)
def test_types_use_importances_or_are_known_to_be_deaf(type: TensorType) -> None:
    """Asked of ggml itself; a type that cannot do without uses them."""
    if type.name in ("IQ1_S", "IQ2_XXS", "IQ2_XS"):
        assert left_out((), [(source(), type)])
        return
    ggml = load_ggml()
    ggml.prepare(type)
    random = np.random.default_rng(1)
    rows = random.standard_normal(1024, np.float32)
    results = [np.zeros(2 * type.row_bytes(512), np.uint8) for _ in range(2)]
    ggml.quantize(type, rows, results[0], 2)
    ggml.quantize(type, rows, results[1], 2, random.lognormal(0, 2, 512).astype(np.float32))
    assert bool(left_out((), [(source(), type)])) != np.array_equal(*results)


def test_generated_tensors_take_no_part() -> None:
    origin = GeneratedTensor(name="rope_freqs.weight", values=ones(16))
    frequencies = Source(name="rope_freqs.weight", shape=(16,), origin=origin)
    assert applied(matrix({"rope_freqs.weight": ones(3)}), [(frequencies, TensorType.F32)]) == {}


def test_importances_are_a_weight_for_each_column() -> None:
    """ggml reads as many as a row has: fewer would be read beyond their end."""
    rows = np.zeros(512, np.float32)
    with pytest.raises(AssertionError):
        load_ggml().quantize(TensorType.Q4_K, rows, np.empty(288, np.uint8), 2, ones(255))


def test_every_refusal_says_what_to_do() -> None:
    with pytest.raises(EdgepackError) as caught:
        applied(None, [(source(), TensorType.IQ1_S)])
    assert "--imatrix" in caught.value.hint
