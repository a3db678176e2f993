"""Guessing ahead is kept only where it is faster beyond the noise and changes no letter."""

from dataclasses import replace

import pytest

from edgepack.domain.bundle import Ngram, Speculation
from edgepack.domain.errors import DeviceError
from edgepack.domain.guessing import Answer, best_guess, parse_answer, try_guessing

SAID = """
build      : b1-0c1e570

> dim the lamp
{"device":"lamp"}
second line

[ Prompt: 26.7 t/s | Generation: 1.1 t/s ]


Exiting...
"""


def test_the_answer_is_cut_out_of_what_llama_cli_prints() -> None:
    assert parse_answer(SAID, "dim the lamp") == Answer(text='{"device":"lamp"}\nsecond line', rate=1.1)


@pytest.mark.parametrize("text", ["", SAID.replace("Generation", "Speed"), SAID.replace("1.1", "0.0")])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(DeviceError, match="no answer"):
        parse_answer(text, "dim the lamp")


def ask(example: str, speculation: Speculation | None) -> Answer:
    """One way is slow, one is quick, one quicker yet and wrong."""
    plain = Answer(text=example.upper(), rate=10.0)
    match speculation and speculation.ngram:
        case Ngram.SIMPLE:
            return replace(plain, rate=9.0)
        case Ngram.MAP_K:
            return replace(plain, rate=15.0)
        case Ngram.MOD:
            return Answer(text="else", rate=30.0)
    return plain


def test_the_quickest_that_says_the_same_wins() -> None:
    found = try_guessing(["a", "b"], ask, lambda _: None)
    assert [round(one.ratio, 2) for one in found] == [0.9, 1.5, 3.0]
    assert [one.same for one in found] == [True, True, False]
    best = best_guess(found)
    assert best is not None
    assert best.ngram is Ngram.MAP_K


def test_none_is_kept_where_none_is_faster() -> None:
    found = try_guessing(["a"], lambda example, _: Answer(text=example, rate=10.0), lambda _: None)
    assert best_guess(found) is None
