"""What a token streams, against the sizes of files that were made and measured."""

import pytest

from edgepack.convert.outline import config_of, outline
from edgepack.convert.typeplan import Mixture
from edgepack.convert.work import outlined_work
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.work import Work
from edgepack.infra.library import load_catalogue


def work(name: str, quant: Quant) -> Work:
    model = load_catalogue().find(name)
    assert model
    return outlined_work(outline(config_of(model)), Mixture(quant=quant))


@pytest.mark.parametrize(
    ("name", "quant", "size"),
    [
        ("qwen2.5-0.5b-instruct", Quant.Q4_0, 346_206_720),
        ("qwen2.5-0.5b-instruct", Quant.Q8_0, 525_120_000),
        ("llama-3.2-1b-instruct", Quant.Q4_0, 763_097_216),
        ("llama-3.2-1b-instruct", Quant.Q4_K_M, 799_862_912),
        ("llama-3.2-1b-instruct", Quant.Q8_0, 1_313_251_456),
    ],
)
def test_a_tied_model_streams_all_its_matrices(name: str, quant: Quant, size: int) -> None:
    """Sizes of whole files without their norms and biases, which no product streams."""
    assert work(name, quant).bytes_a_token == pytest.approx(size, rel=1e-3)


def test_an_untied_model_looks_its_embedding_up() -> None:
    found = work("tinyllama-1.1b-chat-v1.0", Quant.Q8_0)
    embedding = 32_000 * 2048 * 34 // 32
    whole = 1_100_048_384 * 34 // 32
    assert found.bytes_a_token == pytest.approx(whole - embedding, rel=1e-3)


def test_a_shape_that_misses_the_blocks_is_priced_as_what_it_is() -> None:
    """Gemma 3 1B has rows of 1152: its Q4_K_M is Q5_0 and Q8_0 for the most part."""
    streamed = work("gemma-3-1b-it", Quant.Q4_K_M).streamed
    assert streamed[TensorType.Q5_0] + streamed[TensorType.Q8_0] > 3 * streamed[TensorType.Q4_K]


def test_the_head_is_streamed_but_a_prompt_is_not_multiplied_with_it() -> None:
    found = work("gemma-3-270m-it", Quant.Q8_0)
    weights = sum(found.multiplied.values())
    assert weights == pytest.approx(100_000_000, rel=0.02)
    assert found.bytes_a_token > 2.5 * weights


def test_layers_that_do_not_attend_do_not_count_as_attention() -> None:
    plain, hybrid = work("qwen2.5-1.5b-instruct", Quant.Q8_0), work("qwen3.5-2b", Quant.Q8_0)
    assert plain.attention == 2 * 28 * 12 * 128
    assert hybrid.attention == 2 * 6 * 8 * 256
    assert plain.state == 0
    assert hybrid.state > 18 * 16 * 128 * 128
