"""Which library is taken, what happens where there is none, and the referee, who believes no compiler."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.ggml import load_ggml
from edgepack.convert.quantizer import load_quantizer
from edgepack.domain.errors import UsageError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import TensorType
from edgepack.kernels import building
from edgepack.kernels.building import NoCompiler, compile_library, library
from edgepack.kernels.library import open_kernels, runnable
from edgepack.kernels.recipe import Variant, packaged, variants
from tests.conftest import ROOT
from tests.kernels.kernel_cases import made

TYPES = (TensorType.Q5_K, TensorType.Q8_0)
# As long as ggml's blocks, and as wrong as can be.
ZEROS = """
long long edgepack_quantize(int type, int stored, const void *weights, const long long *order, unsigned char *target,
                            long long rows, long long columns, const float *importance) {
    long long size = type == 13 ? rows * columns / 256 * 176 : rows * columns / 32 * 34;
    for (long long at = 0; at < size; ++at) target[at] = 0;
    return stored || order || weights == importance ? 0 : size;
}
"""

needs_cc = pytest.mark.skipif(not shutil.which("cc"), reason="no cc")


class Heard(Silent):
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.warnings: list[str] = []

    def step(self, text: str) -> None:
        self.steps.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def nothing_packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As if the package had been built without a compiler; where its libraries would lie."""
    monkeypatch.setattr(building, "packaged", lambda variant: tmp_path / f"{variant}.so")
    return tmp_path


def test_ggml_is_taken_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    monkeypatch.setenv("EDGEPACK_KERNELS", "ggml")
    assert load_quantizer(TYPES, heard).kernels is None
    assert not heard.steps


def test_a_variant_of_another_name_is_refused(monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    monkeypatch.setenv("EDGEPACK_KERNELS", "mmx")
    with pytest.raises(UsageError, match="EDGEPACK_KERNELS=mmx") as caught:
        load_quantizer(TYPES, heard)
    assert "ggml" in caught.value.hint


def test_types_that_no_kernel_makes_are_ggmls(heard: Heard) -> None:
    quantizer = load_quantizer([TensorType.F16, TensorType.IQ3_S], heard)
    assert quantizer.kernels is None
    target = np.zeros(512, np.uint8)
    assert quantizer.quantize(TensorType.F16, np.ones(256, np.float32), target, 1) == 512
    assert (target.view(np.float16) == 1).all()


@pytest.mark.usefixtures("nothing_packaged")
def test_without_a_library_ggml_quantizes_and_a_line_says_so(heard: Heard) -> None:
    quantizer = load_quantizer(TYPES, heard)
    assert quantizer.kernels is None
    assert "ggml's own functions" in heard.steps[0]


@pytest.mark.usefixtures("nothing_packaged")
def test_without_any_compiler_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEPACK_BUILD_KERNELS")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCompiler, match="neither cc nor the pinned compiler"):
        library(Variant.BASELINE, Silent())


@needs_cc
def test_a_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(building, "arguments", lambda variant, target: ["-o", str(target), "/nowhere.c"])
    with pytest.raises(NoCompiler, match=r"cc: .*error"):
        compile_library(Variant.BASELINE, tmp_path / "x.so")


def test_a_library_that_cannot_be_loaded_is_named(nothing_packaged: Path, heard: Heard) -> None:
    (nothing_packaged / f"{runnable()[0]}.so").write_bytes(b"MZ")
    assert load_quantizer(TYPES, heard).kernels is None
    assert str(nothing_packaged) in heard.warnings[0]


@needs_cc
def test_the_referee_leaves_wrong_types_to_ggml(
    monkeypatch: pytest.MonkeyPatch, nothing_packaged: Path, heard: Heard
) -> None:
    variant = runnable()[0]
    source = nothing_packaged / "zeros.c"
    source.write_text(ZEROS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", nothing_packaged / f"{variant}.so", source], check=True)
    quantizer = load_quantizer(TYPES, heard)
    assert quantizer.kernels
    assert not quantizer.trusted
    assert "Q5_K, Q8_0" in heard.warnings[0]
    weights = np.arange(256, dtype=np.float32)
    assert made(quantizer, TensorType.Q8_0, weights, 1, None).any()


def test_other_architectures_have_no_kernels() -> None:
    assert variants("riscv64") == variants("armv7l") == ()
    assert variants("aarch64") == variants("arm64") == (Variant.BASELINE,)
    assert variants("x86_64")[0] is Variant.AVX512


def test_a_library_has_its_sources_and_flags_in_its_name() -> None:
    assert len({packaged(variant) for variant in Variant}) == len(Variant)


def test_levels_turn_over_at_their_middles() -> None:
    """ggml's `x - low < high - x`, rounded as floats are, changes once between two levels: at the middle itself."""
    text = (ROOT / "edgepack/kernels/nonlinear.h").read_text(encoding="utf-8")
    levels, middles = (
        np.array([float(word.strip(" f")) for word in found.split(",")], np.float32)
        for found in re.findall(r"\] = \{([^}]*)\}", text)
    )
    assert (len(levels), len(middles)) == (16, 15)
    for low, high, middle in zip(levels, levels[1:], middles, strict=False):
        near = middle.view(np.int32) + np.arange(-100_000, 100_001, dtype=np.int32)
        x = near.view(np.float32)
        assert np.array_equal(x - low < high - x, x < middle)
        far = np.linspace(low, high, 100_001, dtype=np.float32)[1:-1]
        assert np.array_equal(far - low < high - far, far < middle)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_packaged")
def test_a_library_is_compiled_once(monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    monkeypatch.delenv("EDGEPACK_BUILD_KERNELS")
    first, second = library(Variant.BASELINE, heard), library(Variant.BASELINE, heard)
    assert first == second
    assert len(heard.steps) == 1


@pytest.mark.slow
@pytest.mark.skipif(Variant.AVX2 not in runnable(), reason="needs fused multiplication and addition")
def test_contraction_alone_changes_the_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Why the flags say -ffp-contract=off: with it on, the same source gives other blocks."""
    plain = building.arguments

    def fused(variant: Variant, target: Path) -> list[str]:
        return [word.replace("contract=off", "contract=fast") for word in plain(variant, target)] + ["-mfma"]

    monkeypatch.setattr(building, "arguments", fused)
    compile_library(Variant.AVX2, tmp_path / "fused.so")
    kernels = open_kernels(Variant.AVX2, tmp_path / "fused.so")
    weights = np.random.default_rng(1).standard_normal(512 * 256, np.float32)
    ours, theirs = (made(by, TensorType.Q5_K, weights, 512, None) for by in (kernels, load_ggml()))
    rows = (ours != theirs).any(axis=1)
    print(f"Q5_K, contracted: {int(rows.sum())} of {rows.size} blocks differ")
    assert rows.any()
