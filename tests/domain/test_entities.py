"""Entities: read in either form, found again in the text, counted as seqeval counts."""

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities

from edgepack.domain.entities import (
    Entity,
    as_texts,
    by_kind,
    entities_json,
    read_entities,
    said_entities,
    schema_of,
)
from edgepack.domain.metrics import together
from edgepack.domain.tagging import entities_of, first_pieces, kinds_of, words_of

KINDS = ("PER", "LOC")
TEXT = "Anna met Ann in Annecy, and Ann left Annecy."


def places(entities: tuple[Entity, ...]) -> list[tuple[str, int | None, int | None]]:
    return [(one.kind, one.start, one.end) for one in entities]


def test_texts_are_found_as_whole_words_in_turn() -> None:
    """`Ann` is neither the beginning of Anna nor of Annecy, and the second one is the second."""
    found = read_entities({"PER": ["Anna", "Ann", "Ann"], "LOC": ["Annecy"]}, TEXT, KINDS)
    assert places(found) == [("PER", 0, 4), ("PER", 9, 12), ("LOC", 16, 22), ("PER", 28, 31)]


def test_either_form_is_written_in_one_way() -> None:
    texts = read_entities({"LOC": ["Annecy"], "PER": ["Ann"]}, TEXT, KINDS)
    spans = read_entities(
        [{"kind": "LOC", "start": 16, "end": 22}, {"kind": "PER", "start": 9, "end": 12}], TEXT, KINDS
    )
    assert texts == spans
    assert said_entities(entities_json(texts), TEXT, KINDS) == texts
    assert json.loads(as_texts(entities_json(texts), KINDS)) == {"PER": ["Ann"], "LOC": ["Annecy"]}


def test_what_does_not_stand_there_is_kept_and_wrong() -> None:
    """A text that a model made up, and one that it says more often than it stands there."""
    said = entities_json(said_entities('{"PER": ["Bob"], "LOC": ["Annecy", "Annecy", "Annecy"]}', TEXT, KINDS))
    assert said_entities(said, TEXT, KINDS) == read_entities(json.loads(said), TEXT, KINDS)
    wanted = entities_json(read_entities({"LOC": ["Annecy", "Annecy"], "PER": ["Anna"]}, TEXT, KINDS))
    counts = by_kind([(wanted, said)])
    assert [(counts[kind].right, counts[kind].extra, counts[kind].missed) for kind in KINDS] == [(0, 1, 1), (2, 1, 0)]


@pytest.mark.parametrize(
    "said", ["", "no", "[1]", '{"PER": "Ann"}', '{"ORG": ["Ann"]}', "[" * 100_000, '{"PER": [""]}']
)
def test_what_is_no_answer_finds_nothing(said: str) -> None:
    assert said_entities(said, TEXT, KINDS) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 50) | st.text(max_size=3) | st.sampled_from(["Ann", "PER", "Annecy"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "start", "end", "text", *KINDS]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_model_says_is_read_or_nothing(value: object) -> None:
    """And what was read is written so that it is read again."""
    found = said_entities(json.dumps(value), TEXT, KINDS)
    assert said_entities(entities_json(found), TEXT, KINDS) == found
    assert all(one.start is None or TEXT[one.start : one.end] == one.text for one in found)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"ORG": ["Ann"]}, "'ORG' is none of the kinds PER, LOC"), ("Ann", "expected an object"),
        ([{"kind": "PER", "start": 3, "end": 3}], "start and end within the text's 44 letters"),
        ([{"kind": "PER", "start": 9, "end": 12, "text": "Anna"}], "9 to 12 is 'Ann', not 'Anna'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_right_answer_is_said(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_entities(value, TEXT, KINDS)


def test_a_model_is_asked_for_every_kind() -> None:
    assert json.loads(schema_of(KINDS))["required"] == list(KINDS)


TAGS = st.lists(
    st.sampled_from(["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("PER", "LOC"))]), max_size=12
)


@given(TAGS)
def test_tags_become_the_entities_that_seqeval_finds(tags: list[str]) -> None:
    """Whatever stands where: an inside without a beginning, an end without one."""
    words, text = [(2 * place, 2 * place + 1) for place in range(len(tags))], "x " * len(tags)
    ours = [(one.kind, (one.start or 0) // 2, (one.end or 0) // 2) for one in entities_of(text, words, tags)]
    assert ours == [tuple(one) for one in get_entities(tags)]


def test_precision_recall_and_f1_are_seqeval_s() -> None:
    """Each kind's and those of all together, over 200 random texts, the wanted ones written as people write them."""
    random = Random(7)
    tags = ("O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG")
    wanted, said = ([[random.choice(tags) for _ in range(9)] for _ in range(200)] for _ in range(2))
    said = [one if random.random() < 0.5 else other for one, other in zip(wanted, said, strict=True)]
    text, words = "x " * 9, [(2 * place, 2 * place + 1) for place in range(9)]
    pairs = [
        tuple(entities_json(entities_of(text, words, tags)) for tags in pair)
        for pair in zip(wanted, said, strict=True)
    ]
    theirs = classification_report(wanted, said, output_dict=True, zero_division=0)
    ours = by_kind((one, other) for one, other in pairs)
    for kind, counts in {**ours, "micro avg": together(list(ours.values()))}.items():
        row = theirs[kind]
        figures = (counts.precision, counts.recall, counts.f1, counts.support)
        assert figures == pytest.approx((row["precision"], row["recall"], row["f1-score"], row["support"]))


def test_other_ways_of_tagging_say_the_same() -> None:
    """BILOU ends where it says so; without prefixes what touches is one."""
    text, words = "a b c d", [(0, 1), (2, 3), (4, 5), (6, 7)]
    for tags in (["B-X", "L-X", "U-X", "O"], ["B-X", "I-X", "B-X", "O"], ["B-X", "E-X", "S-X", "O"]):
        assert [one.text for one in entities_of(text, words, tags)] == ["a b", "c"]
    assert [one.text for one in entities_of(text, words, ["X", "X", "O", "Y"])] == ["a b", "d"]
    assert kinds_of(["O", "B-PER", "I-PER", "LOC", "B-"]) == {"PER", "LOC", "B-"}


def test_words_are_runs_of_letters_or_single_signs() -> None:
    """In every script: a mark is part of its letter."""
    for text, words in {
        "O'Neil, 3.5 km": ["O", "'", "Neil", ",", "3", ".", "5", "km"], "": [], "हिन्दी में।": ["हिन्दी", "में", "।"],
        "Cafe\u0301 b": ["Cafe\u0301", "b"],
    }.items():  # fmt: skip
        assert [text[start:end] for start, end in words_of(text)] == words


def test_a_word_has_the_tag_of_its_first_piece() -> None:
    """Blanks before a piece may be part of it; marks around a text are no pieces; what has none has no tag."""
    words = [(0, 4), (5, 9), (9, 10)]
    assert first_pieces(words, [(0, 0), (0, 2), (2, 4), (4, 9), (9, 10), (0, 0)]) == [1, 3, 4]
    assert first_pieces(words, [(0, 0), (0, 4), (9, 10), (0, 0)]) == [1, None, 2]
    assert first_pieces(words, [(0, 10)]) == [0, 0, 0]
    assert first_pieces(words, []) == [None, None, None]
