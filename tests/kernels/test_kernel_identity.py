"""Every variant gives the pinned ggml's bits: each type, each kind of weights, with importances and without."""

import platform

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.convert.ggml import load_ggml
from edgepack.domain.quant import TensorType
from edgepack.kernels.expected import EXPECTED, digest
from edgepack.kernels.library import MADE, Kernels, runnable
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
