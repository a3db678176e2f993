"""Every variant gives the pinned ggml's bits: each type, each kind of weights, with importances and without."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.convert.ggml import load_ggml
from edgepack.domain.quant import TensorType
from edgepack.kernels.expected import EXPECTED, digest
from edgepack.kernels.library import MADE, STORED, Kernels, NotFinite, StoredRows, runnable
from tests.kernels.kernel_cases import differing, made, opened
from tests.kernels.samples import IMPORTANCES, KINDS

# No number of lanes divides the rows, nor the blocks of 256 and of 32.
ROWS, COLUMNS = 19, 768
TYPES = sorted(MADE)


@pytest.fixture(scope="module", params=runnable())
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    return opened(request.param, tmp_path_factory.mktemp("kernels"))


@pytest.mark.parametrize("type", TYPES, ids=lambda type: type.name)
def test_blocks_are_ggmls(kernels: Kernels, type: TensorType) -> None:
    ggml, random = load_ggml(), np.random.default_rng(type.value)
    for kind, weights_of in KINDS.items():
        for said, importance_of in IMPORTANCES.items():
            weights, importance = weights_of(random, ROWS * COLUMNS), importance_of(random, COLUMNS)
            ours, theirs = (made(by, type, weights, ROWS, importance) for by in (kernels, ggml))
            assert not differing(ggml, type, ours, theirs), f"{kind}, importances: {said}"


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 33])
def test_lanes_without_a_block_write_nothing(kernels: Kernels, rows: int) -> None:
    random = np.random.default_rng(rows)
    weights, importance = KINDS["normal"](random, rows * 256), IMPORTANCES["usual"](random, 256)
    for type in TYPES:
        size = rows * type.row_bytes(256)
        for weighed in (None, importance):
            target = np.full(size + 4096, 0xA5, np.uint8)
            assert kernels.quantize(type, weights, target, rows, weighed) == size
            assert (target[size:] == 0xA5).all()
            assert target[:size].tobytes() == made(load_ggml(), type, weights, rows, weighed).tobytes()


@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("rows", [5, 40])
def test_stored_rows_become_what_their_floats_become(kernels: Kernels, dtype: str, rows: int) -> None:
    """Widened and reordered on the way: f16 with all its small numbers, rows taken twice or not at all."""
    random = np.random.default_rng(rows)
    values = random.standard_normal((rows, 512)) * np.exp2(random.integers(-24, 2, (rows, 16))).repeat(32, axis=1)
    bits = values.astype(np.float32).view(np.uint32) & 0xFFFF0000
    wide = bits.view(np.float32) if dtype == "BF16" else values.astype(np.float16).astype(np.float32)
    stored = {"F32": wide, "BF16": (bits >> 16).astype(np.uint16), "F16": values.astype(np.float16)}[dtype]
    importance = IMPORTANCES["usual"](random, 512)
    for order in (None, random.integers(0, rows, rows)):
        taken = np.ascontiguousarray(wide if order is None else wide[order])
        for type in TYPES:
            for weighed in (None, importance):
                target = np.zeros(rows * type.row_bytes(512), np.uint8)
                source = StoredRows(stored.reshape(-1).view(np.uint8), dtype, rows, 512, order)
                assert kernels.convert(type, source, target, weighed) == target.nbytes
                assert target.tobytes() == made(load_ggml(), type, taken.reshape(-1), rows, weighed).tobytes()


@pytest.mark.parametrize(
    ("dtype", "bits"), [("F32", 0x7F800000), ("F32", 0xFFC00000), ("BF16", 0xFF80), ("F16", 0x7E00)]
)
@pytest.mark.parametrize("at", [0, 255, 256 * 18 + 77])
def test_one_weight_that_is_not_finite_is_found(kernels: Kernels, dtype: str, bits: int, at: int) -> None:
    stored = np.zeros(19 * 256, np.uint32 if dtype == "F32" else np.uint16)
    rows = StoredRows(stored.view(np.uint8), dtype, 19, 256)
    target = np.zeros(19 * 288, np.uint8)
    for type in TYPES:
        stored[at] = 0
        kernels.convert(type, rows, target)
        stored[at] = bits
        with pytest.raises(NotFinite):
            kernels.convert(type, rows, target)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="ggml gives other bits elsewhere")
def test_the_recorded_digests_are_ggmls() -> None:
    assert EXPECTED.keys() == MADE
    for type in TYPES:
        load_ggml().prepare(type)
        assert digest(load_ggml(), type) == EXPECTED[type], type.name


def test_every_variant_has_the_recorded_digests(kernels: Kernels) -> None:
    assert {type: digest(kernels, type) for type in TYPES} == EXPECTED


def test_what_is_not_made_here_is_said(kernels: Kernels) -> None:
    weights = np.ones(256, np.float32)
    assert kernels.quantize(TensorType.IQ3_S, weights, np.zeros(256, np.uint8), 1) == 0


FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    few=st.lists(FINITE, min_size=1, max_size=24),
    seed=st.integers(0, 2**32 - 1),
    type=st.sampled_from(TYPES),
    weighed=st.booleans(),
    rows=st.integers(1, 18),
)
def test_any_finite_weights_give_ggmls_blocks(
    kernels: Kernels, few: list[float], seed: int, type: TensorType, weighed: bool, rows: int
) -> None:
    random = np.random.default_rng(seed)
    weights = random.choice(np.float32(few), rows * 256)
    importance = np.abs(random.choice(np.float32([*few, 1]), 256)).clip(0, 1e30) if weighed else None
    ours, theirs = (made(by, type, weights, rows, importance) for by in (kernels, load_ggml()))
    assert not differing(load_ggml(), type, ours, theirs)
