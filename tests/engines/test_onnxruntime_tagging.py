"""Entities found by a tagger: trained here, scored beside seqeval; and what tags no words, or others."""

from dataclasses import replace
from pathlib import Path

import pytest
from seqeval.metrics import f1_score

from edgepack.convert.onnx.encoder import open_encoder as open_conversion
from edgepack.convert.onnx.encoder import write_onnx
from edgepack.domain.entities import entities_json, read_entities
from edgepack.domain.errors import BadInputError
from edgepack.domain.progress import Silent
from edgepack.domain.quant import OnnxQuant
from edgepack.domain.tagging import first_pieces, words_of
from edgepack.domain.task import Entities, Example, Metric, Task
from edgepack.engines.identifying import identify
from edgepack.engines.onnxruntime_library import encoded, open_encoder, run
from edgepack.infra.tasks import load_task
from edgepack.stages.eval import evaluate
from tests.fakes.encoders import write_encoder
from tests.fakes.tagger import TAGS, Sentence, sentences, trained_tagger
from tests.oracle.onnx_encoders import RECIPES

KINDS = ("PER", "LOC")


def tags_of(one: Sentence) -> tuple[str, list[tuple[int, int]], list[str]]:
    """In IOB2, without the code that is tested."""
    words, entities = list(words_of(one.text)), read_entities(one.entities, one.text, KINDS)
    tags = []
    for start, end in words:
        inside = [found for found in entities if found.start <= start and end <= found.end]
        tags.append(f"{'B' if inside[0].start == start else 'I'}-{inside[0].kind}" if inside else "O")
    return one.text, words, tags


def task_of(asked: list[Sentence], kinds: tuple[str, ...] = KINDS) -> Task:
    examples = tuple(
        Example(fields={"text": one.text}, answer=entities_json(read_entities(one.entities, one.text, KINDS)))
        for one in asked
    )
    return replace(load_task("names"), form=Entities(kinds=kinds), shown=(), held_out=examples)


@pytest.fixture(scope="module")
def tagger(vocabularies: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tagger")
    checkpoint = trained_tagger(directory, vocabularies, [tags_of(one) for one in sentences(1, 150)])
    write_onnx(open_conversion(checkpoint, "tagger"), OnnxQuant.Q8, directory / "tagger.onnx")
    return directory / "tagger.onnx"


def test_a_trained_tagger_finds_entities_and_seqeval_says_how_well(tagger: Path, tmp_path: Path) -> None:
    """In sentences that it has not seen; what it is not sure of it says so."""
    asked = list(sentences(2, 80))
    found = evaluate(identify(tagger), task_of(asked), home=tmp_path, progress=Silent(), threads=1)
    encoder, wanted, said = open_encoder(tagger, threads=1), [], []
    for one in asked:
        text, words, tags = tags_of(one)
        encoding = encoded(encoder, text, 1)
        best = run(encoder, encoding).argmax(axis=1)
        wanted.append(tags)
        said.append([TAGS[best[encoding.char_to_token(start)]] for start, _ in words])
    assert found.quality.value == pytest.approx(f1_score(wanted, said))
    assert found.quality.value > 0.8
    exact = sum(one == other for one, other in zip(wanted, said, strict=True)) / len(asked)
    assert found.metrics[Metric.EXACT_MATCH].value == pytest.approx(exact, abs=0.05)
    assert set(found.classes) == set(KINDS)
    assert all(1 / len(TAGS) < one.answered.confidence <= 1 for one in found.judged)


@pytest.mark.parametrize("name", ["bert-tanh-tokens", "xlm-roberta-tokens", "modernbert-tokens"])
def test_a_word_s_first_piece_is_the_one_that_holds_its_first_letter(
    name: str, vocabularies: Path, tmp_path: Path
) -> None:
    """By the tokenizer's own account, whatever it cuts, folds or puts before a piece."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == name)
    encoder = open_encoder(write_encoder(recipe, OnnxQuant.Q8, tmp_path / "e.onnx", vocabularies), threads=1)
    for text in (
        "Anna met Ann in Annecy, and O'Neil left.", "Zoë  lives\tin São Paulo (Brazil).",
        "  Dr. Müller-Lüdenscheidt: 3.14€! ", "東京 に 行く", "हिन्दी में लिखा", "Cafe\u0301 Ünïcödé \ufb01ne ½",
    ):  # fmt: skip
        encoding, words = encoded(encoder, text, 1), list(words_of(text))
        assert first_pieces(words, encoding.offsets) == [encoding.char_to_token(start) for start, _ in words]


def test_kinds_that_are_not_asked_for_are_nothing(tagger: Path, tmp_path: Path) -> None:
    task = task_of(list(sentences(2, 20)), ("PER",))
    found = evaluate(identify(tagger), task, home=tmp_path, progress=Silent(), threads=1)
    assert "LOC" not in "".join(one.answered.text for one in found.judged)
    assert "PER" in "".join(one.answered.text for one in found.judged)


def test_what_does_not_tag_these_kinds_is_refused(tagger: Path, vocabularies: Path, tmp_path: Path) -> None:
    """Other kinds, and an encoder that gives one answer a text."""
    task = task_of(list(sentences(2, 3)), ("PER", "ORG"))
    with pytest.raises(
        BadInputError, match=r"gives token-classes \(O, B-PER.*not tags of the task's entities \(PER, ORG"
    ):
        evaluate(identify(tagger), task, home=tmp_path, progress=Silent(), threads=1)
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "bert-classes")
    other = write_encoder(recipe, OnnxQuant.Q8, tmp_path / "c.onnx", vocabularies)
    with pytest.raises(BadInputError, match="gives classes"):
        evaluate(identify(other), task, home=tmp_path, progress=Silent(), threads=1)
