"""Tokens that a decoder writes through onnxruntime: llama.cpp's if greedy, and drawn as they are likely."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgepack.domain.errors import BadInputError, UsageError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.sampling import Sampling
from edgepack.engines.llamacpp import ChatMessage, Ending, chat_prompt, generate_each, opened, tokens_of
from edgepack.engines.llamacpp import OpenModel as OpenGguf
from edgepack.engines.llamacpp import piece as spelt
from edgepack.engines.onnxruntime_decoder import OpenDecoder, opened_decoder
from edgepack.engines.onnxruntime_generation import continued, drawn
from edgepack.stages.decoder import decoder_to
from tests.fakes.decoders import decoder_gguf
from tests.fakes.demo_copy import DEMO

_ASKED = ("dim the kitchen lamp to 30", "what is the weather in Paris", "set a timer of ten minutes", "hello")


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return decoder_gguf(DEMO, Quant.Q8_0, tmp_path_factory.mktemp("generation") / "demo.gguf")


@pytest.fixture(scope="module")
def decoder(gguf: Path) -> Iterator[OpenDecoder]:
    decoder_to(gguf.with_suffix(".onnx"), gguf, allow_over_3b=False, progress=Silent())
    with opened_decoder(gguf.with_suffix(".onnx"), threads=1) as model:
        yield model


@pytest.fixture(scope="module")
def model(gguf: Path) -> Iterator[OpenGguf]:
    with opened(gguf) as found:
        yield found


def _prompt(model: OpenGguf, text: str) -> list[int]:
    prompt = chat_prompt(model.path, [ChatMessage(role="user", content=text)])
    return list(tokens_of(model, prompt, parse_special=True))


def test_greedy_text_is_llama_cpps(model: OpenGguf, decoder: OpenDecoder) -> None:
    """To its end token, whole answers of the trained demo."""
    for text in _ASKED:
        prompt = _prompt(model, text)
        ours = b"".join(spelt(model, token) for token in continued(decoder, prompt, max_tokens=60))
        (theirs,) = generate_each(
            model, [chat_prompt(model.path, [ChatMessage(role="user", content=text)])], max_tokens=60, threads=1
        )
        assert ours.decode() == theirs.text
        assert theirs.ending is Ending.END_TOKEN


def test_a_seed_gives_the_same_tokens_and_another_gives_others(decoder: OpenDecoder) -> None:
    def told(seed: int) -> list[int]:
        sampling = Sampling(temperature=2.0, top_k=200, seed=seed)
        return list(continued(decoder, [1, 40, 50], max_tokens=24, sampling=sampling))

    assert told(1) == told(1)
    assert len({tuple(told(seed)) for seed in range(4)}) == 4


def test_the_likeliest_alone_is_greedy(decoder: OpenDecoder) -> None:
    greedy = list(continued(decoder, [1, 40, 50], max_tokens=16))
    for sampling in (Sampling(temperature=1.5, top_k=1), Sampling(temperature=1.0, top_p=1e-9)):
        assert list(continued(decoder, [1, 40, 50], max_tokens=16, sampling=sampling)) == greedy


def test_it_ends_where_it_is_told_and_where_the_context_does(decoder: OpenDecoder) -> None:
    warm = Sampling(temperature=5.0, seed=3)
    limit = decoder.said.context_length
    assert len(list(continued(decoder, [5] * 4, max_tokens=7, sampling=warm))) == 7
    # The last token has no place to be read at, but it can be said.
    assert len(list(continued(decoder, [5] * (limit - 2), max_tokens=99, sampling=warm))) <= 3
    for prompt in ([], [5] * (limit + 1), [768]):
        with pytest.raises(BadInputError):
            list(continued(decoder, prompt, max_tokens=1))


@pytest.mark.parametrize(
    ("sampling", "shares"),
    [
        (Sampling(temperature=1.0), [0.5, 0.25, 0.15, 0.1]),
        (Sampling(temperature=0.5), [0.7246, 0.1812, 0.0652, 0.0290]),
        (Sampling(temperature=1.0, top_k=2), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(temperature=1.0, top_p=0.75), [2 / 3, 1 / 3, 0, 0]),
        (Sampling(temperature=1.0, top_p=0.76), [0.5556, 0.2778, 0.1667, 0]),
        # Of the two likeliest the first makes 60 % of what is left.
        (Sampling(temperature=1.0, top_k=2, top_p=0.6), [1, 0, 0, 0]),
        # top-p is asked before temperature, as in llama.cpp.
        (Sampling(temperature=2.0, top_p=0.75), [0.5858, 0.4142, 0, 0]),
    ],
)
def test_tokens_are_drawn_as_often_as_they_are_likely(sampling: Sampling, shares: list[float]) -> None:
    logits = np.log(np.array([0.15, 0.5, 0.1, 0.25], np.float32))
    places = [1, 3, 0, 2]  # the likeliest first
    random = np.random.default_rng(1)
    counts = np.bincount([drawn(logits, sampling, random) for _ in range(8000)], minlength=4)
    assert counts[places] / 8000 == pytest.approx(shares, abs=0.02)
    assert (counts[places][np.array(shares) == 0] == 0).all()


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 0.0}, {"seed": -1}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]
