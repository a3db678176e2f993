"""What a user asks of a LoRA adapter: ride beside the weights, or be merged into them."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edgepack.domain.quant import TensorType


class AdapterType(StrEnum):
    """The types in which an adapter's matrices are written; its vectors are always float32."""

    F16 = "F16"
    BF16 = "BF16"
    F32 = "F32"

    @property
    def tensor(self) -> TensorType:
        """ggml's."""
        return TensorType[self.value]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterChoice:
    """A PEFT directory, and what becomes of it."""

    directory: Path
    merge: bool = False
    type: AdapterType = AdapterType.F16
    """Of its matrices where it is not merged. Half of float32's bytes on the device; what float16 cannot hold is
    far below what weights of any quantization hold, or is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterWeights:
    """The GGUF of an adapter: where it lies, its bytes and their sha256."""

    path: Path
    sha256: str
    size: int
    type: AdapterType
