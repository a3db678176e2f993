"""A PEFT LoRA directory, distrusted: its settings, and its tensors in pairs. Knows no family and no base model."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepack.convert.config import Config, read_json
from edgepack.convert.safetensors import READABLE, StoredTensor, read_block, read_header
from edgepack.domain.errors import BadInputError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
# What follows a module's name: (ending, whether it is A, whether it updates an embedding).
_HALVES = (
    (".lora_A.weight", True, False),
    (".lora_B.weight", False, False),
    (".lora_embedding_A", True, True),
    (".lora_embedding_B", False, True),
)
# Kinds of initialisation that leave the base model's weights as they are; the others save what is of use with
# weights that they changed only.
_PLAIN_STARTS = ("gaussian", "orthogonal", "eva")
# Settings of PEFT's LoRA under which the update is more, or another one, than scale * B @ A.
_OTHER_KINDS = (
    "use_dora", "use_qalora", "use_bdlora", "arrow_config", "kasa_config", "monteclora_config", "velora_config",
    "layer_replication", "alora_invocation_tokens", "invocation_string", "target_parameters",
    "trainable_token_indices",
)  # fmt: skip
_MERGE = "merge it into its base model with PEFT, and give that checkpoint instead"
_DAMAGED = "the adapter is incomplete or damaged: copy it again from where it was trained"


@dataclass(frozen=True, kw_only=True, slots=True)
class LowRank:
    """The update of one matrix, `scale` * B @ A, by the name that the base model's checkpoint has for it.

    A is (rank, columns) and B (rows, rank); of an embedding, whose update is transposed, A is (rank, rows) and B
    (columns, rank).
    """

    name: str
    a: StoredTensor
    b: StoredTensor
    scale: float
    embedding: bool

    @property
    def rank(self) -> int:
        return self.a.shape[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """What an adapter does to a model: matrices updated, and vectors that take the place of the model's."""

    directory: Path
    alpha: float
    """lora_alpha, which llama.cpp divides by the rank."""
    plain_scale: bool
    """Whether every scale is alpha / rank: a GGUF adapter can say nothing else."""
    updates: tuple[LowRank, ...]
    """In the order of the file."""
    vectors: Mapping[str, StoredTensor]
    """Norms, by the name that the base model's checkpoint has for them."""

    @property
    def config(self) -> Path:
        """Where its settings stand, for errors."""
        return self.directory / CONFIG


def read_adapter(directory: Path) -> Adapter:
    """Read settings and headers; raises BadInputError for all that is no plain LoRA, and for pickles."""
    config = _settings(directory)
    alpha = config.positive("lora_alpha")
    tensors = _by_module(directory)
    updates = tuple(_pairs(config, alpha, tensors))
    if not updates:
        raise BadInputError(f"{directory / WEIGHTS}: no lora_A and lora_B", hint=_DAMAGED)
    return Adapter(
        directory=directory, alpha=alpha, updates=updates,
        plain_scale=all(update.scale == alpha / update.rank for update in updates),
        vectors={name: tensor for name, tensor in tensors.items() if _half(name) is None},
    )  # fmt: skip


def read_values(tensor: StoredTensor, file: int, rows: slice, columns: slice) -> npt.NDArray[np.float32]:
    """As `read_block`; raises BadInputError for values that are no finite numbers."""
    values = read_block(tensor, file, rows, columns)
    if not np.isfinite(values).all():
        raise BadInputError(
            f"{tensor.path}: tensor {tensor.name!r} holds NaN or infinity",
            hint="the adapter is damaged or its training diverged: use an earlier one",
        )
    return values


def _settings(directory: Path) -> Config:
    path = directory / CONFIG
    if not path.is_file():
        raise BadInputError(f"{directory}: no {CONFIG}", hint="give the directory in which PEFT saved the adapter")
    config = Config(path=path, table=read_json(path))
    if config.text("peft_type") != "LORA":
        raise config.wrong("peft_type", "LORA", config.table.get("peft_type"))
    for key in _OTHER_KINDS:
        if config.table.get(key):
            raise BadInputError(f"{path}: {key}: this kind of LoRA is not converted", hint=_MERGE)
    start = config.table.get("init_lora_weights")
    if isinstance(start, str) and start not in _PLAIN_STARTS:
        raise BadInputError(
            f"{path}: init_lora_weights: {start!r} changes the base model's weights too",
            hint="save the adapter as a plain LoRA (PEFT: path_initial_model_for_weight_conversion)",
        )
    return config


def _tensors(directory: Path) -> tuple[StoredTensor, ...]:
    path = directory / WEIGHTS
    if path.is_file():
        return read_header(path)
    if any(directory.glob("*.bin")) or any(directory.glob("*.pt*")):
        raise BadInputError(
            f"{directory}: only pickled weights (.bin, .pt), which are never loaded: they can run code",
            hint=f"save the adapter as {WEIGHTS} (PEFT: safe_serialization=True)",
        )
    raise BadInputError(f"{directory}: no {WEIGHTS}", hint="give the directory in which PEFT saved the adapter")


def _by_module(directory: Path) -> dict[str, StoredTensor]:
    found: dict[str, StoredTensor] = {}
    for tensor in _tensors(directory):
        name = _module(tensor)
        if name in found:
            raise BadInputError(f"{tensor.path}: {tensor.name!r} and {found[name].name!r} are one", hint=_DAMAGED)
        # What PEFT keeps of an embedding beside its update is the base model's own.
        if not name.endswith(".base_layer.weight"):
            found[name] = tensor
    return found


def _module(tensor: StoredTensor) -> str:
    """The tensor's name without PEFT's own first part; raises BadInputError for what no plain LoRA holds."""
    if tensor.dtype not in READABLE:
        raise BadInputError(
            f"{tensor.path}: tensor {tensor.name!r} is {tensor.dtype}; only {', '.join(READABLE)} are converted",
            hint="save the adapter in float16, bfloat16 or float32",
        )
    name = tensor.name.removeprefix(_PREFIX)
    # Which full weights an adapter may hold is upstream's rule: norms, as mergekit-extract-lora leaves them.
    is_norm = ("_layernorm" in name or ".norm" in name) and name.endswith(".weight") and len(tensor.shape) == 1
    if _half(name) is None and not is_norm and not name.endswith(".base_layer.weight"):
        raise BadInputError(f"{tensor.path}: tensor {tensor.name!r}: {_why_not(name)}", hint=_MERGE)
    return name


def _why_not(name: str) -> str:
    if "lora_magnitude_vector" in name:
        return "DoRA is not converted"
    if name.endswith((".embed_tokens.weight", "lm_head.weight")):
        return "whole embeddings and heads (modules_to_save, new tokens) are not converted"
    return "neither lora_A nor lora_B of a matrix"


def _half(name: str) -> tuple[str, bool, bool] | None:
    """The name of the matrix that a half updates, whether it is A, and whether of an embedding."""
    for ending, is_a, embedding in _HALVES:
        if name.endswith(ending):
            return f"{name.removesuffix(ending)}.weight", is_a, embedding
    return None


def _pairs(config: Config, alpha: float, tensors: Mapping[str, StoredTensor]) -> Iterator[LowRank]:
    halves: dict[tuple[str, bool], dict[bool, StoredTensor]] = {}
    for name, tensor in tensors.items():
        half = _half(name)
        if half is not None:
            matrix, is_a, embedding = half
            halves.setdefault((matrix, embedding), {})[is_a] = tensor
    ranks = _ranks(config)
    for (matrix, embedding), pair in halves.items():
        a, b = _whole(pair)
        if a.shape[0] not in ranks:
            raise BadInputError(
                f"{a.path}: tensor {a.name!r} has rank {a.shape[0]}, {CONFIG} says {_listed(ranks)}", hint=_DAMAGED
            )
        yield LowRank(name=matrix, a=a, b=b, embedding=embedding, scale=_scale(config, alpha, matrix, a.shape[0]))


def _whole(pair: Mapping[bool, StoredTensor]) -> tuple[StoredTensor, StoredTensor]:
    """A and B, which must both be matrices, of one rank."""
    known = next(iter(pair.values()))
    if len(pair) != 2:
        raise BadInputError(f"{known.path}: tensor {known.name!r} has no other half", hint=_DAMAGED)
    a, b = pair[True], pair[False]
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[0] != b.shape[1] or not a.shape[0]:
        raise BadInputError(
            f"{a.path}: {a.name!r} {list(a.shape)} and {b.name!r} {list(b.shape)} are no two matrices of one rank",
            hint=_MERGE,
        )
    return a, b


def _ranks(config: Config) -> frozenset[int]:
    pattern = config.section("rank_pattern")
    return frozenset({config.count("r"), *(pattern.count(key) for key in pattern.table)})


def _scale(config: Config, alpha: float, matrix: str, rank: int) -> float:
    """By what B @ A is multiplied (PEFT: LoraLayer.update_layer)."""
    pattern = config.section("alpha_pattern")
    module = matrix.removesuffix(".weight")
    named = (key for key in pattern.table if module == _plain(pattern, key) or module.endswith(f".{key}"))
    key = next(named, None)
    alpha = alpha if key is None else pattern.positive(key)
    return alpha / math.sqrt(rank) if config.flag("use_rslora") else alpha / rank


def _plain(pattern: Config, key: str) -> str:
    """PEFT takes keys for regular expressions; those of strangers can keep a matcher busy for ever."""
    if not key.replace(".", "").replace("_", "").isalnum():
        raise BadInputError(f"{pattern.path}: alpha_pattern: {key!r} is no plain module name", hint=_MERGE)
    return key


def _listed(ranks: Iterable[int]) -> str:
    return " or ".join(map(str, sorted(ranks)))
