"""What the options that bend a quantization may say."""

from pathlib import Path

import pytest

from edgepack.domain.errors import UsageError
from edgepack.domain.quant import TensorType
from edgepack.domain.tuning import UNTUNED, ComputedMatrix, Tuning, TypeOverride, parse_matrix, parse_override


@pytest.mark.parametrize(
    ("text", "pattern", "type"),
    [
        ("attn_v=q8_0", "attn_v", TensorType.Q8_0),
        (r"blk\.[0-3]\.FFN_.*=IQ4_xs", r"blk\.[0-3]\.ffn_.*", TensorType.IQ4_XS),
        (r"\D=bf16", r"\d", TensorType.BF16),
        ("Ä=f16", "Ä", TensorType.F16),
    ],
)
def test_a_pattern_is_read_as_llama_quantize_reads_it(text: str, pattern: str, type: TensorType) -> None:
    """In lower case, byte by byte, whatever that does to an expression."""
    assert parse_override(text) == TypeOverride(pattern=pattern, type=type)


@pytest.mark.parametrize("text", ["", "attn_v", "attn_v=", "=q8_0", "="])
def test_half_an_override_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected PATTERN=TYPE"):
        parse_override(text)


@pytest.mark.parametrize("text", ["attn_v=q9_9", "attn_v=q4_0=q8_0", "attn_v=q8_1", "attn_v= q8_0"])
def test_an_unknown_type_is_refused_with_a_list_of_all(text: str) -> None:
    """Also those that are ggml's but no weight can be stored in."""
    with pytest.raises(UsageError, match="no tensor type") as caught:
        parse_override(text)
    assert all(type.name.lower() in caught.value.hint for type in TensorType)


def test_the_matrix_is_a_file_or_computed() -> None:
    assert parse_matrix(None, None) is None
    assert parse_matrix("some/file", None) == Path("some/file")
    assert parse_matrix("./auto", None) == Path("auto")
    assert parse_matrix("auto", None) == ComputedMatrix()
    assert parse_matrix("auto", Path("x.txt")) == ComputedMatrix(calibration=Path("x.txt"))


@pytest.mark.parametrize("imatrix", [None, "some/file"])
def test_a_calibration_text_without_computing_is_refused(imatrix: str | None) -> None:
    with pytest.raises(UsageError, match="--calibration without --imatrix auto"):
        parse_matrix(imatrix, Path("x.txt"))


def test_a_tuning_names_its_options() -> None:
    override = parse_override("x=q8_0")
    assert UNTUNED.options == ()
    assert Tuning(overrides=(override,), matrix=Path("m")).options == ("--tensor-type", "--imatrix")
    assert str(override) == "x=Q8_0"
