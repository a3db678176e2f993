"""Seeded LoRA adapters as PEFT saves them, for seeded checkpoints; and merges of both, by numpy; no torch."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgepack.convert.safetensors import StoredTensor, read_block, read_header
from tests.fakes.checkpoints import encode, write_safetensors

Shapes = Mapping[str, tuple[int, ...]]
_COMPANIONS = ("*.json", "*.txt", "*.model", "*.md", "*.jinja")


@dataclass(frozen=True, kw_only=True)
class AdapterRecipe:
    """One adapter: which modules of the base model it updates, and what its settings say."""

    name: str
    """Its directory's, of which the GGUF's general keys are made."""
    dtype: str
    rank: int
    alpha: float
    targets: tuple[str, ...]
    """Endings of modules' names."""
    embedding: bool = False
    """Whether the embedding is updated too, with what PEFT saves beside."""
    norms: bool = False
    """Whether it holds norms of its own, as mergekit-extract-lora leaves them."""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """rank_pattern: other ranks, by the endings of modules' names."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """More of adapter_config.json."""
    card: str = ""
    spread: float = 0.05

    def rank_of(self, module: str) -> int:
        return next((rank for ending, rank in self.ranks.items() if module.endswith(ending)), self.rank)


def make_adapter(recipe: AdapterRecipe, base: Shapes, directory: Path) -> Path:
    """Write the adapter of a base model whose tensors have those shapes."""
    directory.mkdir(parents=True)
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "example/seeded", "r": recipe.rank,
        "lora_alpha": recipe.alpha, "lora_dropout": 0.05, "bias": "none", "fan_in_fan_out": False,
        "init_lora_weights": True, "use_rslora": False, "use_dora": False, "modules_to_save": None,
        "rank_pattern": dict(recipe.ranks), "alpha_pattern": {}, "inference_mode": True,
        "target_modules": [target.rpartition(".")[2] for target in recipe.targets], **recipe.settings,
    }  # fmt: skip
    (directory / "adapter_config.json").write_text(json.dumps(settings, indent=2))
    if recipe.card:
        (directory / "README.md").write_text(recipe.card)
    random = np.random.default_rng(seed=sum(recipe.name.encode()))
    stored = {f"base_model.model.{name}": (recipe.dtype, shape) for name, shape in _tensors(recipe, base)}

    def values(name: str) -> bytes:
        weights = random.standard_normal(stored[name][1], dtype=np.float32) * np.float32(recipe.spread)
        return encode(weights + np.float32("norm" in name), recipe.dtype)

    write_safetensors(directory / "adapter_model.safetensors", stored, values)
    return directory


def _tensors(recipe: AdapterRecipe, base: Shapes) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, shape in base.items():
        module = name.removesuffix(".weight")
        rank = recipe.rank_of(module)
        if name.endswith(".weight") and module.endswith(recipe.targets):
            yield f"{module}.lora_A.weight", (rank, shape[1])
            yield f"{module}.lora_B.weight", (shape[0], rank)
        elif module.endswith("embed_tokens") and recipe.embedding:
            yield f"{module}.base_layer.weight", shape
            yield f"{module}.lora_embedding_A", (rank, shape[0])
            yield f"{module}.lora_embedding_B", (shape[1], rank)
        elif "norm" in name and recipe.norms:
            yield name, shape


def make_merged(base: Path, adapter: Path, scales: Mapping[str, float], directory: Path) -> Path:
    """The checkpoint that PEFT's merge_and_unload saves of a model in float32: W + (B @ A) * scale, by numpy.

    `scales` are by ending of a module's name; "" stands for all others.
    """
    directory.mkdir(parents=True)
    for pattern in _COMPANIONS:
        for path in base.glob(pattern):
            if path.name != "model.safetensors.index.json":
                shutil.copy(path, directory)
    stored = {tensor.name: tensor for path in sorted(base.glob("*.safetensors")) for tensor in read_header(path)}
    halves = {tensor.name: tensor for tensor in read_header(adapter / "adapter_model.safetensors")}

    def values(name: str) -> bytes:
        return _merged_values(stored[name], halves, scales).tobytes()

    shapes = {name: ("F32", tensor.shape) for name, tensor in stored.items()}
    write_safetensors(directory / "model.safetensors", shapes, values)
    return directory


def _merged_values(
    tensor: StoredTensor, halves: Mapping[str, StoredTensor], scales: Mapping[str, float]
) -> npt.NDArray[np.float32]:
    name = f"base_model.model.{tensor.name}"
    if name in halves:
        return _all(halves[name])
    module = name.removesuffix(".weight")
    scale = np.float32(next(scale for ending, scale in scales.items() if module.endswith(ending)))
    if f"{module}.lora_A.weight" in halves:
        return (
            _all(tensor) + (_all(halves[f"{module}.lora_B.weight"]) @ _all(halves[f"{module}.lora_A.weight"])) * scale
        )
    if f"{module}.lora_embedding_A" in halves:
        a, b = _all(halves[f"{module}.lora_embedding_A"]), _all(halves[f"{module}.lora_embedding_B"])
        return _all(tensor) + (b @ a).T * scale
    return _all(tensor)


def _all(tensor: StoredTensor) -> npt.NDArray[np.float32]:
    """A whole tensor; a vector is one row."""
    matrix = StoredTensor(
        name=tensor.name, path=tensor.path, dtype=tensor.dtype, offset=tensor.offset, size=tensor.size,
        shape=tensor.shape if len(tensor.shape) == 2 else (1, tensor.shape[0]),
    )  # fmt: skip
    with tensor.path.open("rb") as file:
        values = read_block(matrix, file.fileno(), slice(0, matrix.shape[0]), slice(0, matrix.shape[1]))
    return values.reshape(tensor.shape)
