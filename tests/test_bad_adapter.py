"""Adapters that are broken, of another kind or of another model: exit code 4, two lines, nothing half-written."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edgepack.cli.main import run
from edgepack.convert.safetensors import read_header
from edgepack.domain.errors import ExitCode
from tests.fakes.adapters import AdapterRecipe, make_adapter
from tests.fakes.checkpoints import write_safetensors
from tests.fakes.demo_copy import DEMO

RECIPE = AdapterRecipe(name="good", dtype="F32", rank=4, alpha=8, targets=("q_proj", "v_proj"))
SHAPES = {tensor.name: tensor.shape for tensor in read_header(DEMO / "model.safetensors")}
Q0 = "base_model.model.model.layers.0.self_attn.q_proj"
HUGE = 1e30
Tensors = dict[str, tuple[str, tuple[int, ...]]]
Break = Callable[[Path], object]


def settings(**values: object) -> Break:
    """adapter_config.json with other values."""

    def change(directory: Path) -> None:
        path = directory / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def text(name: str, content: str | bytes) -> Break:
    data = content.encode() if isinstance(content, str) else content
    return lambda directory: (directory / name).write_bytes(data)


def tensors(change: Callable[[Tensors], object], fill: float = 0.01) -> Break:
    """adapter_model.safetensors with other tensors, of one value throughout."""

    def rewrite(directory: Path) -> None:
        import numpy as np

        path = directory / "adapter_model.safetensors"
        found: Tensors = {tensor.name: (tensor.dtype, tensor.shape) for tensor in read_header(path)}
        change(found)
        sizes = {"F32": "<f4", "F16": "<f2", "I16": "<i2"}
        path.unlink()
        write_safetensors(path, found, lambda name: np.full(found[name][1], fill, sizes[found[name][0]]).tobytes())

    return rewrite


def more(name: str, shape: tuple[int, ...], dtype: str = "F32") -> Break:
    return tensors(lambda found: found.update({name: (dtype, shape)}))


def without(name: str) -> Break:
    return lambda directory: (directory / name).unlink()


def pickled(directory: Path) -> None:
    (directory / "adapter_model.safetensors").rename(directory / "adapter_model.bin")


BROKEN: Mapping[str, tuple[Break, str]] = {
    "no settings": (without("adapter_config.json"), "no adapter_config.json"),
    "settings not JSON": (text("adapter_config.json", "{"), "adapter_config.json: not JSON"),
    "settings a list": (text("adapter_config.json", "[]"), "expected a JSON object"),
    "no weights": (without("adapter_model.safetensors"), "no adapter_model.safetensors"),
    "pickled": (pickled, "only pickled weights"),
    "weights cut": (text("adapter_model.safetensors", b"\0" * 7), "too few for a header"),
    "no tensors": (tensors(lambda found: found.clear()), "no lora_A and lora_B"),
    "another kind of adapter": (settings(peft_type="IA3"), "peft_type: expected LORA, got 'IA3'"),
    "no kind": (settings(peft_type=None), "peft_type: expected LORA, got None"),
    "DoRA": (settings(use_dora=True), "use_dora: this kind of LoRA is not converted"),
    "activated LoRA": (settings(alora_invocation_tokens=[5, 6]), "alora_invocation_tokens: this kind"),
    "stacked layers": (settings(layer_replication=[[0, 2], [0, 2]]), "layer_replication: this kind"),
    "trained tokens": (settings(trainable_token_indices=[1]), "trainable_token_indices: this kind"),
    "PiSSA": (settings(init_lora_weights="pissa_niter_16"), "'pissa_niter_16' changes the base model's weights"),
    "alpha missing": (settings(lora_alpha=None), "lora_alpha: expected a number"),
    "alpha zero": (settings(lora_alpha=0), "lora_alpha: expected a number above zero"),
    "alpha a text": (settings(lora_alpha="16"), "lora_alpha: expected a number"),
    "alpha beyond float64": (settings(lora_alpha=10**400), "lora_alpha: expected a number"),
    "rank zero": (settings(r=0), "r: expected a whole number above zero"),
    "rank another": (settings(r=5), "has rank 4, adapter_config.json says 5"),
    "ranks a list": (settings(rank_pattern=[4]), "rank_pattern: expected an object"),
    "rank stabilised": (settings(use_rslora=True), "a GGUF adapter holds one lora_alpha for all ranks"),
    "alphas by module": (settings(alpha_pattern={"q_proj": 3}), "a GGUF adapter holds one lora_alpha for all ranks"),
    "alphas by expression": (settings(alpha_pattern={"(a+)+$": 3}), "'(a+)+$' is no plain module name"),
    "dtype": (
        tensors(lambda found: found.update({f"{Q0}.lora_A.weight": ("I16", (4, 256))})),
        "is I16; only BF16, F16, F32",
    ),
    "half": (tensors(lambda found: found.pop(f"{Q0}.lora_B.weight")), "has no other half"),
    "ranks that differ": (
        tensors(lambda found: found.update({f"{Q0}.lora_B.weight": ("F32", (256, 3))})),
        "are no two matrices of one rank",
    ),
    "a convolution": (
        tensors(lambda found: found.update({f"{Q0}.lora_A.weight": ("F32", (4, 256, 1))})),
        "are no two matrices of one rank",
    ),
    "magnitudes": (more(f"{Q0}.lora_magnitude_vector", (256,)), "DoRA is not converted"),
    "a bias": (more(f"{Q0}.lora_B.bias", (256,)), "neither lora_A nor lora_B of a matrix"),
    "a whole head": (more("base_model.model.lm_head.weight", (768, 256)), "whole embeddings and heads"),
    "named twice": (more(f"{Q0.removeprefix('base_model.model.')}.lora_A.weight", (4, 256)), "are one"),
    "another width": (
        tensors(lambda found: found.update({f"{Q0}.lora_A.weight": ("F32", (4, 320))})),
        f"'{Q0}.lora_A.weight' is for [256, 320], the base model's is [256, 256]",
    ),
    "another height": (
        tensors(lambda found: found.update({f"{Q0}.lora_B.weight": ("F32", (512, 4))})),
        "is for [512, 256], the base model's is [256, 256]",
    ),
    "a layer more": (
        tensors(lambda found: found.update({
            "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": ("F32", (4, 256)),
            "base_model.model.model.layers.9.self_attn.q_proj.lora_B.weight": ("F32", (256, 4)),
        })),
        "the base model has no model.layers.9.self_attn.q_proj.weight",
    ),
    "a head that is tied": (
        tensors(lambda found: found.update({
            "base_model.model.lm_head.lora_A.weight": ("F32", (4, 256)),
            "base_model.model.lm_head.lora_B.weight": ("F32", (768, 4)),
        })),
        "the base model has no lm_head.weight",
    ),
    "an embedding that is tied": (
        tensors(lambda found: found.update({
            "base_model.model.model.embed_tokens.lora_embedding_A": ("F32", (4, 768)),
            "base_model.model.model.embed_tokens.lora_embedding_B": ("F32", (256, 4)),
        })),
        "the embedding is the model's head too",
    ),
    "an embedding as if it were none": (
        tensors(lambda found: found.update({
            "base_model.model.model.embed_tokens.lora_A.weight": ("F32", (4, 256)),
            "base_model.model.model.embed_tokens.lora_B.weight": ("F32", (768, 4)),
        })),
        "an embedding has lora_embedding_A",
    ),
    "norms of another width": (
        more("base_model.model.model.layers.0.input_layernorm.weight", (64,)),
        "is for [64], the base model's is [256]",
    ),
    "NaN": (tensors(lambda found: None, fill=float("nan")), "holds NaN or infinity"),
    "too large for float16": (tensors(lambda found: None, fill=HUGE), "has weights too large for F16"),
}  # fmt: skip
# What is wrong for a GGUF of its own, and right for a merge.
MERGED_ALL_THE_SAME = ("rank stabilised", "alphas by module")
MERGED_SAYS = {"too large for float16": "with the adapter's update holds NaN or infinity"}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return make_adapter(RECIPE, SHAPES, tmp_path / "adapter")


def convert(adapter: Path, out: Path, *more: str) -> int:
    arguments = ["convert", "demo-1m", "--quant", "Q8_0", "--adapter", str(adapter), "--out", str(out)]
    return run([*arguments, *more])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if not line.startswith(("==>", "warning:"))]
    assert shown.out == ""
    assert len(lines) == 2, lines
    assert lines[0].startswith("error: ")
    assert re.fullmatch(r"  next: \S.+", lines[1])
    return lines[0]


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_adapter_is_refused(
    case: str, merge: bool, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the weights and merged into them; a merge can say more."""
    broken, words = BROKEN[case]
    broken(adapter)
    out = tmp_path / "out" / "x.gguf"
    out.parent.mkdir()
    status = convert(adapter, out, *(["--merge"] if merge else []))
    if merge and case in MERGED_ALL_THE_SAME:
        assert status == ExitCode.DONE
        return
    assert status == ExitCode.BAD_INPUT
    assert (MERGED_SAYS.get(case, words) if merge else words) in said(capsys)
    assert not list(out.parent.iterdir())


def test_a_good_adapter_is_taken(adapter: Path, tmp_path: Path) -> None:
    assert convert(adapter, tmp_path / "x.gguf") == ExitCode.DONE
    assert (tmp_path / "x.adapter.gguf").read_bytes().startswith(b"GGUF")


def test_a_directory_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(tmp_path / "nowhere", tmp_path / "x.gguf") == ExitCode.BAD_INPUT
    assert "nowhere: no adapter_config.json" in said(capsys)


USAGE: Mapping[str, tuple[list[str], str]] = {
    "merge nothing": (["--merge"], "--merge without --adapter"),
    "a type of nothing": (["--adapter-type", "F32"], "--adapter-type without --adapter"),
    "a merged type": (["--adapter", "x", "--merge", "--adapter-type", "F32"], "--adapter-type with --merge"),
    "a place for nothing": (["--adapter-out", "y.gguf"], "--adapter-out without an adapter of its own"),
    "a place of the merged": (
        ["--adapter", "x", "--merge", "--adapter-out", "y.gguf"],
        "--adapter-out without an adapter of its own",
    ),
    "upstream": (["--adapter", "x", "--converter", "upstream"], "only edgepack's own families take adapters"),
    "one place for both": (["--adapter", "x", "--adapter-out", "x.gguf"], "the weights go there"),
}


@pytest.mark.parametrize("case", USAGE)
def test_options_that_contradict_each_other_are_usage_errors(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options, words = USAGE[case]
    monkeypatch.chdir(tmp_path)
    status = run(["convert", "demo-1m", "--quant", "Q8_0", "--out", "x.gguf", *options])
    assert status == ExitCode.USAGE
    assert words in said(capsys)


@pytest.mark.parametrize("options", [["--adapter", "DIR"], ["--converter", "upstream"]])
def test_ready_weights_take_neither_adapter_nor_converter(
    options: list[str], adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ready: Any = tmp_path / "ready.gguf"
    assert run(["convert", "demo-1m", "--quant", "Q8_0", "--out", str(ready), "--quiet"]) == ExitCode.DONE
    options = [str(adapter) if word == "DIR" else word for word in options]
    arguments = ["build", "--profile", "rpi5", "--model", str(ready), "--out", str(tmp_path / "b")]
    assert run([*arguments, *options]) == ExitCode.USAGE
    assert "is quantized already" in said(capsys)
