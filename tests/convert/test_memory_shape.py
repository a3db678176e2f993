"""Memory from a config alone: for every family what llama.cpp reports, whether it is asked or not."""

import json
from pathlib import Path

import pytest

from edgepack.convert.config import read_config
from edgepack.convert.memory import loaded_weights, memory_shape, write_skeleton
from edgepack.convert.outline import outline
from edgepack.convert.synthetic import write_synthetic
from edgepack.convert.typeplan import Mixture
from edgepack.domain.bundle import CacheType
from edgepack.domain.memory import Buffers, Need, buffers
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.repacking import Loading, repacks_of
from edgepack.engines.llamacpp_buffers import parse_buffers, reserved
from edgepack.engines.llamacpp_library import context, hearing, opened
from edgepack.infra.machine import host_profile
from tests.bench.bench_memory import MODELS, Real
from tests.bench.bench_memory_plan import BUFFERS, MAPPED, PARTS, divided, needs

ROUNDED = 11_000
"""Bytes: llama.cpp logs hundredths of a MiB."""
LOADED = [model for model in MODELS if model.name in ("Gemma-3-1B", "Falcon-H1-1.5B", "LFM2-2.6B", "Qwen3.5-2B")]


def total(found: Buffers) -> int:
    return found.kv_cache + found.state + found.compute + found.output


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])
def test_arithmetic_gives_what_llama_cpp_reserves(model: Real, parts: int, tmp_path: Path) -> None:
    """Four contexts, two types of cache: caches, states and logits exactly, all with the weights within 3 %."""
    (tmp_path / "config.json").write_text(json.dumps(divided(model, parts)))
    described = outline(read_config(tmp_path))
    shape = memory_shape(described)
    write_skeleton(described, tmp_path / "skeleton.gguf")
    weights = described.plan.size(Mixture(quant=Quant.Q4_0))
    wanted = list(needs(shape))
    for need, asked in zip(wanted, reserved(tmp_path / "skeleton.gguf", *wanted), strict=True):
        computed = buffers(shape, need)
        for part in ("kv_cache", "state", "output"):
            assert getattr(computed, part) == pytest.approx(getattr(asked, part), abs=ROUNDED, rel=1e-4)
        assert total(computed) - total(asked) == pytest.approx(0, abs=BUFFERS * (total(asked) + weights))


@pytest.mark.parametrize("model", LOADED, ids=[model.name for model in LOADED])
def test_what_it_says_without_weights_it_takes_with_them(model: Real, tmp_path: Path) -> None:
    """Buffers as asked; of the weights, what is mapped and what is copied for this machine's kernels."""
    (tmp_path / "config.json").write_text(json.dumps(divided(model, 8)))
    described = outline(read_config(tmp_path))
    need = Need(context=1024, keys=CacheType.Q8_0, values=CacheType.Q8_0)
    write_skeleton(described, tmp_path / "skeleton.gguf")
    (asked,) = reserved(tmp_path / "skeleton.gguf", need)
    write_synthetic(described, "made", Quant.Q4_0, tmp_path / "made.gguf", progress=Silent())
    with hearing() as said, opened(tmp_path / "made.gguf") as found:
        mapped = sum(float(size) for size in MAPPED.findall("".join(said))) * (1 << 20)
        with context(found, tokens=need.context, threads=1, cpus=None, need=need):
            assert parse_buffers("".join(said)) == asked
    loading = Loading(repacks=repacks_of(host_profile().isa))
    weights = loaded_weights(described.plan, Mixture(quant=Quant.Q4_0), loading)
    assert weights.file + weights.repacked == pytest.approx(mapped, rel=2e-3, abs=2 * ROUNDED)
