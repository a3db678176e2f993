"""Quantizations by the names people use, and the ggml tensor types that they are made of."""

from enum import IntEnum, StrEnum


class TensorType(IntEnum):
    """ggml's tensor types that edgepack writes; the values are ggml's (`enum ggml_type`)."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q4_1 = 3
    Q5_0 = 6
    Q5_1 = 7
    Q8_0 = 8
    Q2_K = 10
    Q3_K = 11
    Q4_K = 12
    Q5_K = 13
    Q6_K = 14
    IQ2_XXS = 16
    IQ2_XS = 17
    IQ3_XXS = 18
    IQ1_S = 19
    IQ4_NL = 20
    IQ3_S = 21
    IQ2_S = 22
    IQ4_XS = 23
    IQ1_M = 29
    BF16 = 30
    TQ1_0 = 34
    TQ2_0 = 35
    MXFP4 = 39
    NVFP4 = 40
    Q1_0 = 41

    @property
    def block(self) -> tuple[int, int]:
        """Weights a block, and bytes a block (ggml-common.h)."""
        return _BLOCKS[self]

    def row_bytes(self, columns: int) -> int:
        """Bytes of one row of `columns` weights."""
        weights, size = self.block
        if columns % weights:
            raise ValueError(f"a row of {columns} weights is no multiple of {self.name}'s block of {weights}")
        return columns // weights * size


_BLOCKS: dict[TensorType, tuple[int, int]] = {
    TensorType.F32: (1, 4),
    TensorType.F16: (1, 2),
    TensorType.BF16: (1, 2),
    TensorType.Q4_0: (32, 18),
    TensorType.Q4_1: (32, 20),
    TensorType.Q5_0: (32, 22),
    TensorType.Q5_1: (32, 24),
    TensorType.Q8_0: (32, 34),
    TensorType.Q2_K: (256, 84),
    TensorType.Q3_K: (256, 110),
    TensorType.Q4_K: (256, 144),
    TensorType.Q5_K: (256, 176),
    TensorType.Q6_K: (256, 210),
    TensorType.IQ1_S: (256, 50),
    TensorType.IQ1_M: (256, 56),
    TensorType.IQ2_XXS: (256, 66),
    TensorType.IQ2_XS: (256, 74),
    TensorType.IQ2_S: (256, 82),
    TensorType.IQ3_XXS: (256, 98),
    TensorType.IQ3_S: (256, 110),
    TensorType.IQ4_NL: (32, 18),
    TensorType.IQ4_XS: (256, 136),
    TensorType.TQ1_0: (256, 54),
    TensorType.TQ2_0: (256, 66),
    TensorType.MXFP4: (32, 17),
    TensorType.NVFP4: (64, 36),
    TensorType.Q1_0: (128, 18),
}


class Quant(StrEnum):
    """The quantizations that `--quant` takes, by llama-quantize's names, from the largest to the smallest."""

    BF16 = "BF16"
    F16 = "F16"
    Q8_0 = "Q8_0"
    Q6_K = "Q6_K"
    Q5_K_M = "Q5_K_M"
    Q5_K_S = "Q5_K_S"
    Q4_K_M = "Q4_K_M"
    Q4_K_S = "Q4_K_S"
    IQ4_NL = "IQ4_NL"
    Q4_0 = "Q4_0"
    IQ4_XS = "IQ4_XS"
    Q3_K_M = "Q3_K_M"
    Q2_K = "Q2_K"

    @property
    def file_type(self) -> int:
        """llama.cpp's number for it (`enum llama_ftype`), as `general.file_type` holds it."""
        return _FILE_TYPES[self]

    @property
    def base(self) -> TensorType:
        """The type of most of its tensors."""
        return _BASES[self]


class OnnxQuant(StrEnum):
    """The precisions of an ONNX file's weights, the best first."""

    F32 = "f32"
    Q8 = "q8"
    """8 bits in blocks of 32, embeddings too; float32 between."""


_FILE_TYPES: dict[Quant, int] = {
    Quant.F16: 1,
    Quant.Q4_0: 2,
    Quant.Q8_0: 7,
    Quant.Q2_K: 10,
    Quant.Q3_K_M: 12,
    Quant.Q4_K_S: 14,
    Quant.Q4_K_M: 15,
    Quant.Q5_K_S: 16,
    Quant.Q5_K_M: 17,
    Quant.Q6_K: 18,
    Quant.IQ4_NL: 25,
    Quant.IQ4_XS: 30,
    Quant.BF16: 32,
}

_BASES: dict[Quant, TensorType] = {
    quant: TensorType[quant.value.removesuffix("_M").removesuffix("_S")] for quant in Quant
}
