"""Quantizations: ggml's numbers and block sizes, checked against the tables of its own package."""

import gguf
import pytest

from edgepack.domain.quant import Quant, TensorType


@pytest.mark.parametrize("type", TensorType)
def test_types_have_ggml_s_number_and_blocks(type: TensorType) -> None:
    theirs = gguf.GGMLQuantizationType[type.name]
    assert type.value == theirs.value
    assert type.block == gguf.GGML_QUANT_SIZES[theirs]


@pytest.mark.parametrize("quant", Quant)
def test_quantizations_have_llama_cpp_s_file_type(quant: Quant) -> None:

    assert quant.file_type == gguf.LlamaFileType[f"MOSTLY_{quant.value}"].value


@pytest.mark.parametrize("quant", Quant)
def test_a_quantization_is_named_after_the_type_of_most_of_its_tensors(quant: Quant) -> None:
    assert quant.value.startswith(quant.base.name)


def test_a_row_takes_its_blocks_bytes() -> None:
    assert TensorType.Q4_0.row_bytes(64) == 36
    assert TensorType.Q6_K.row_bytes(512) == 420
    assert TensorType.F32.row_bytes(7) == 28


def test_a_row_that_is_no_multiple_of_its_block_has_no_size() -> None:
    with pytest.raises(ValueError, match="a row of 100 weights is no multiple of Q4_K's block of 256"):
        TensorType.Q4_K.row_bytes(100)
