"""Figures in words: the unit that fits, no more digits than are known, strangers' texts made harmless."""

from datetime import UTC, datetime

import pytest

from edgepack.report import words


def spaced(text: str) -> str:
    """With plain blanks."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 KiB"), (70_000, "68 KiB"), (1 << 20, "1.0 MiB"), (336 << 20, "336 MiB"), (6 << 30, "6.00 GiB")],
)
def test_sizes(count: int, said: str) -> None:
    assert spaced(words.size(count)) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.00047, "0.47 ms"), (0.0125, "12.5 ms"), (0.6, "600 ms"), (1.7, "1.70 s")],
)
def test_seconds(value: float, said: str) -> None:
    assert spaced(words.seconds(value)) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.0447, "0.045"), (0.72, "0.72"), (2.5, "2.50"), (21.44, "21.4"), (5648.7, "5,649")]
)
def test_figures(value: float, said: str) -> None:
    assert words.figure(value) == said


def test_shares_and_their_differences() -> None:
    assert spaced(words.share(0.9512)) == "95.1 %"
    assert spaced(words.interval(0.925, 0.98)) == "92.5 to 98.0 %"
    assert (words.points(0.03), words.points(-0.11)) == ("+3.0 points", "\N{MINUS SIGN}11.0 points")


def test_what_belongs_together_is_not_torn_apart_at_the_end_of_a_line() -> None:
    assert " " not in words.share(0.5) + words.size(1) + words.seconds(1) + words.interval(0, 1)


def test_a_day_is_told_in_english_everywhere() -> None:
    assert words.day(datetime(2026, 3, 5, tzinfo=UTC)) == "5 March 2026"


def test_one_is_no_plural() -> None:
    assert (words.count(1, "example"), words.count(1200, "example")) == ("1 example", "1,200 examples")


def test_a_names_large_letters_stay() -> None:
    assert [words.capital(words.metric(name)) for name in ("macro-f1", "rouge-l", "exact-match", "mine")] == [
        "Macro-F1", "ROUGE-L", "Exact match", "Mine",
    ]  # fmt: skip


def test_a_strangers_text_is_one_line_of_what_can_be_printed() -> None:
    """Neither a new line nor a turned direction nor an escape of a terminal; and not longer than asked."""
    assert words.shortened("a\nb\u202ec\x1b[31m") == "a b\ufffdc\ufffd[31m"
    assert words.shortened("x" * 500, 100) == "x" * 50 + " … " + "x" * 50
