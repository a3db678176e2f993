"""An adapter's GGUF beside its base model's: llama.cpp computes with both what it computes with the merged model."""

import ctypes
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgepack.convert.adapter import read_adapter
from edgepack.convert.lora_gguf import write_adapter
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.convert.safetensors import read_header
from edgepack.domain.adapter import AdapterType, AdapterWeights
from edgepack.domain.errors import BadInputError
from edgepack.domain.measurement import Workload
from edgepack.domain.measurement_json import measurement_json, parse_measurement
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import generate, identify, opened
from edgepack.engines.llamacpp_library import context, decode
from edgepack.stages.bench import Patience, bench
from tests.fakes.adapters import make_adapter
from tests.fakes.checkpoints import make_checkpoint
from tests.formats.tiny_model import write_tiny_adapter, write_tiny_gguf
from tests.oracle.adapters import CASES, Case

_TOKENS = (1, 17, 204, 33, 650, 9, 88, 412)


def make(case: Case, place: Path, vocabularies: Path) -> dict[str, Path]:
    """The GGUFs of base model, merged model and adapter."""
    base = make_checkpoint(case.base, place / case.base.name, vocabularies)
    shapes = {tensor.name: tensor.shape for path in base.glob("*.safetensors") for tensor in read_header(path)}
    adapter = read_adapter(make_adapter(case.adapter, shapes, place / case.adapter.name))
    made = {name: place / f"{name}.gguf" for name in ("base", "merged", "adapter")}
    plain, merged = open_conversion(base, "base"), open_conversion(base, "merged", merge=adapter)
    for name, conversion in (("base", plain), ("merged", merged)):
        write_gguf(conversion, Quant.F16, made[name], threads=2, progress=Silent())
    write_adapter(made["adapter"], adapter, "adapter", plain, AdapterType.F32, threads=1, progress=Silent())
    return made


def logits(weights: Path, adapter: Path | None = None) -> npt.NDArray[np.float32]:
    """After each of some tokens."""
    with opened(weights, adapter=adapter) as model, context(model, tokens=64, threads=1, cpus=None) as handle:
        width = model.native.llama_vocab_n_tokens(model.vocabulary)
        rows = []
        for token in _TOKENS:
            decode(model.native, handle, (ctypes.c_int32 * 1)(token), 1)
            rows.append(np.ctypeslib.as_array(model.native.llama_get_logits_ith(handle, -1), shape=(width,)).copy())
        return np.stack(rows)


def smallest_cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


@pytest.mark.parametrize("name", ["Seeded-lora-0.1B-v1.5", "qwen-adapter", "phi-lora"])
def test_base_and_adapter_compute_what_the_merged_model_does(name: str, tmp_path: Path, vocabularies: Path) -> None:
    """Reordered heads, plain ones and fused ones; the base alone computes something else."""
    made = make(next(case for case in CASES if case.name == name), tmp_path, vocabularies)
    merged, both = logits(made["merged"]), logits(made["base"], made["adapter"])
    assert smallest_cosine(merged, both) > 0.9999
    assert smallest_cosine(merged, logits(made["base"])) < 0.999


def test_an_adapter_changes_what_is_said(tmp_path: Path, vocabularies: Path) -> None:
    made = make(CASES[0], tmp_path, vocabularies)
    said = {
        adapter: generate(made["base"], "a", max_tokens=8, threads=1, adapter=adapter).text
        for adapter in (None, made["adapter"])
    }
    assert said[None] != said[made["adapter"]]
    assert generate(made["merged"], "a", max_tokens=8, threads=1).text == said[made["adapter"]]


def test_an_adapter_of_another_model_is_refused(tmp_path: Path, vocabularies: Path) -> None:
    mine, other = (make(case, tmp_path / case.name, vocabularies) for case in (CASES[0], CASES[3]))
    with (
        pytest.raises(BadInputError, match=r"adapter\.gguf: llama\.cpp cannot load this adapter: .*mismatch"),
        opened(mine["base"], adapter=other["adapter"]),
    ):
        pass
    with pytest.raises(BadInputError, match="no such file"), opened(mine["base"], adapter=tmp_path / "absent.gguf"):
        pass


def test_a_measurement_with_an_adapter_says_so(tmp_path: Path) -> None:
    """The adapter is run, and its digest stands in the record, which is read again."""
    weights = identify(write_tiny_gguf(tmp_path / "tiny.gguf"))
    path = write_tiny_adapter(tmp_path / "lora.gguf")
    adapter = AdapterWeights(path=path, sha256="a" * 64, size=path.stat().st_size, type=AdapterType.F32)
    workload = Workload(prompt_tokens=4, generated_tokens=2, repeats=1, least_seconds=0.0)
    hasty = Patience(quiet_seconds=0.0, look_seconds=0.01, attempts=1)
    measured = bench(weights, adapter=adapter, workload=workload, threads=(1,), progress=Silent(), patience=hasty)
    assert measured.weights.adapter == "a" * 64
    assert parse_measurement(json.loads(json.dumps(measurement_json(measured)))) == measured
