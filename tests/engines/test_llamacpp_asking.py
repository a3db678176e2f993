"""A model asked: labels get their exact probabilities, grammars are kept to the last byte, greedy text is greedy."""

import ctypes
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.answering import Answered
from edgepack.domain.errors import BadInputError
from edgepack.domain.needs import TaskKind
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.domain.task import Example, Form, FreeText, Grammar, JsonSchema, Labels, Metric, Prompt, Targets, Task
from edgepack.engines.llamacpp import generate, opened, prompt_tokens
from edgepack.engines.llamacpp_asking import answer_each, task_prompt
from edgepack.engines.llamacpp_library import OpenModel, context, decode
from tests.fakes.checkpoints import make_checkpoint
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.oracle.recipes import RECIPES

LABELS = ("the cat", "the", "the dog", "at", "tac")
SCHEMA = json.dumps({
    "type": "object", "required": ["z"], "additionalProperties": False,
    "properties": {"z": {"enum": ["a", "b"]}, "n": {"type": "integer"}, "a": {"type": "string", "maxLength": 4}},
})  # fmt: skip


def task(form: Form, **changed: object) -> Task:
    plain = Task(
        name="t", title="T", kind=TaskKind.CLASSIFY, level=1, prompt=Prompt(user="{text}", system=None), form=form,
        max_tokens=24, metric=Metric.EXACT_MATCH, shown=(), held_out=(), targets=NO_TARGETS,
    )  # fmt: skip
    return replace(plain, **changed)  # type: ignore[arg-type]


NO_TARGETS = Targets(quality=None, first_token=None, decode=None, size=None, memory=None)


def ask(weights: Path, form: Form, *texts: str, **changed: object) -> list[Answered]:
    this = task(form, **changed)
    with opened(weights) as model:
        prompts = [task_prompt(model, this, Example(fields={"text": text}, answer="")) for text in texts]
        return list(answer_each(model, this, prompts, threads=1))


def log_probability(model: OpenModel, prompt: str, label: str) -> float:
    """Token by token in a context of its own, ended by the end of the turn."""
    begin = len(prompt_tokens(model, prompt))
    native, vocabulary = model.native, model.vocabulary
    turn = native.llama_vocab_eot(vocabulary)
    tokens = [*prompt_tokens(model, prompt + label), turn if turn >= 0 else native.llama_vocab_eos(vocabulary)]
    size, total = model.native.llama_vocab_n_tokens(model.vocabulary), 0.0
    with context(model, tokens=len(tokens), threads=1, cpus=None) as handle:
        for place, token in enumerate(tokens[:-1]):
            decode(model.native, handle, (ctypes.c_int32 * 1)(token), 1)
            if place + 1 >= begin:
                logits = np.ctypeslib.as_array(model.native.llama_get_logits_ith(handle, -1), (size,)).astype(float)
                total += logits[tokens[place + 1]] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    return total


def check_scores(weights: Path, labels: Sequence[str]) -> Answered:
    """One pass over all labels gives what reading each alone gives."""
    text = "a cat and a dog"
    (said,) = ask(weights, Labels(labels=tuple(labels)), text)
    with opened(weights) as model:
        prompt = task_prompt(model, task(FreeText()), Example(fields={"text": text}, answer=""))
        scores = [log_probability(model, prompt, label) for label in labels]
    shares = np.exp(np.array(scores) - max(scores))
    assert said.text == labels[int(np.argmax(scores))]
    assert said.confidence == pytest.approx(float(1 / shares.sum()), rel=2e-2)
    return said


@pytest.mark.parametrize("labels", [LABELS, tuple(f"{word} {number}" for number in range(14) for word in LABELS)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_labels_get_the_probability_of_being_the_whole_answer(
    tmp_path: Path, labels: Sequence[str], seed: int
) -> None:
    """For labels that begin alike, for one that another begins with, and for many."""
    said = check_scores(write_tiny_gguf(tmp_path / "tiny.gguf", seed=seed), labels)
    assert said.prompt_tokens > 5
    assert 0 < said.first_token <= said.seconds


@pytest.mark.parametrize("name", ["falcon-h1-seeded", "lfm2-seeded", "qwen3.5-seeded", "gemma-3-seeded"])
def test_models_that_remember_otherwise_score_alike(name: str, tmp_path: Path, vocabularies: Path) -> None:
    """States in place of a cache, convolutions, sliding windows: what labels share is read once there too."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == name)
    checkpoint = make_checkpoint(recipe, tmp_path / "checkpoint", vocabularies)
    weights = tmp_path / "f16.gguf"
    write_gguf(open_conversion(checkpoint, name), Quant.F16, weights, threads=2, progress=Silent())
    check_scores(weights, LABELS)


@pytest.mark.parametrize(
    "labels", [[f"{'long ' * 40}{number}" for number in range(30)], list("abcdefghijklmnopqrstu")]
)
def test_labels_may_be_long_or_many(tmp_path: Path, labels: list[str]) -> None:
    """More of them than one batch holds, and more than the prompt has tokens: llama.cpp would end the process."""
    (said,) = ask(write_tiny_gguf(tmp_path / "tiny.gguf"), Labels(labels=tuple(labels)), "")
    assert said.text in labels


def test_one_request_does_not_depend_on_those_before(tmp_path: Path) -> None:
    """Asked alone or after others, the answer and its confidence are the same."""
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    for form in (Labels(labels=LABELS), FreeText(), JsonSchema(schema=SCHEMA)):
        together = ask(weights, form, "one", "the other text", "a third")
        alone = [ask(weights, form, text)[0] for text in ("one", "the other text", "a third")]
        assert [(one.text, one.prompt_tokens, one.tokens) for one in together] == [
            (one.text, one.prompt_tokens, one.tokens) for one in alone
        ]
        assert [one.confidence for one in together] == pytest.approx([one.confidence for one in alone], rel=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_json_keeps_its_schema_whatever_the_model_would_say(tmp_path: Path, seed: int) -> None:
    """A model of random weights writes objects of the schema, their properties in its order."""
    weights = write_tiny_gguf(tmp_path / "tiny.gguf", seed=seed)
    for said in ask(weights, JsonSchema(schema=SCHEMA), "cat", "dog", max_tokens=96):
        assert said.whole, said.text
        found = json.loads(said.text)
        assert found["z"] in ("a", "b")
        assert list(found) == [key for key in ("z", "n", "a") if key in found]
        assert isinstance(found.get("n", 0), int)
        assert len(found.get("a", "")) <= 4


def test_a_grammar_is_kept_and_ends_the_text(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    (said,) = ask(weights, Grammar(gbnf='root ::= "the " ("cat" | "dog") "!" "!"'), "x")
    assert said.text in ("the cat!!", "the dog!!")
    assert said.whole


def test_a_limit_cuts_and_says_so(tmp_path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf")
    (said,) = ask(weights, Grammar(gbnf='root ::= "the cat sat"'), "x", max_tokens=2)
    assert (said.whole, said.tokens) == (False, 2)
    assert "the cat sat".startswith(said.text)


def test_free_text_is_what_generate_gives(tmp_path: Path) -> None:
    """The same tokens, until the limit or the end."""
    for ends in (False, True):
        weights = write_tiny_gguf(tmp_path / f"{ends}.gguf", always_ends=ends)
        (said,) = ask(weights, FreeText(), "the cat")
        with opened(weights) as model:
            prompt = task_prompt(model, task(FreeText()), Example(fields={"text": "the cat"}, answer=""))
        wanted = generate(weights, prompt, max_tokens=24, threads=1)
        assert (said.text, said.tokens, said.whole) == (wanted.text, wanted.tokens, ends)


def test_shown_examples_are_turns(tmp_path: Path) -> None:
    """The system text, each shown example with its answer, the request; paragraphs where there is no template."""
    shown = Example(fields={"text": "one"}, answer="1")
    this = task(FreeText(), prompt=Prompt(user="<{text}>", system="Count."), shown=(shown,))
    asked = Example(fields={"text": "two"}, answer="2")
    with opened(write_tiny_gguf(tmp_path / "chat.gguf")) as model:
        assert task_prompt(model, this, asked).endswith(
            "[system] Count.\n[user] <one>\n[assistant] 1\n[user] <two>\n[assistant]"
        )
    with opened(write_tiny_gguf(tmp_path / "plain.gguf", chat_template=None)) as model:
        assert task_prompt(model, this, asked) == "Count.\n\n<one>\n\n1\n\n<two>\n\n"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (Grammar(gbnf='root ::= "a" ('), "answer.grammar: llama.cpp cannot read it"),
        (Grammar(gbnf='other ::= "a"'), "answer.grammar: llama.cpp cannot read it"),
        (JsonSchema(schema='{"type": "strange"}'), "answer.schema: llama.cpp's converter refuses it"),
        (JsonSchema(schema='{"$ref": "#/$defs/gone"}'), "answer.schema: llama.cpp's converter refuses it"),
    ],
)
def test_what_llama_cpp_cannot_read_is_bad_input(tmp_path: Path, form: Form, said: str) -> None:
    with pytest.raises(BadInputError) as raised:
        ask(write_tiny_gguf(tmp_path / "tiny.gguf"), form, "x")
    assert said in raised.value.what


def test_what_does_not_fit_the_context_or_writes_nothing_is_refused(tmp_path: Path) -> None:
    """A prompt with its answer longer than the model's context; an encoder."""
    for form in (FreeText(), Labels(labels=LABELS)):
        with pytest.raises(BadInputError, match="context is 256"):
            ask(write_tiny_gguf(tmp_path / "tiny.gguf"), form, "x" * 300)
    with pytest.raises(BadInputError, match="an encoder"):
        ask(write_tiny_gguf(tmp_path / "encoder.gguf", causal=False), FreeText(), "x")


def test_each_token_of_a_text_says_how_sure_the_model_was(tmp_path: Path) -> None:
    """Their mean is the confidence's; a margin is over the likeliest other, below zero where a grammar chose."""
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    (said,) = ask(tiny, Grammar(gbnf='root ::= "the cat" [abc]'), "a cat")
    assert said.log_probabilities is not None
    assert said.margins is not None
    assert len(said.log_probabilities) == len(said.margins) == said.tokens
    assert np.exp(np.mean(said.log_probabilities)) == pytest.approx(said.confidence, rel=1e-4)
    assert min(said.margins) < 0
    (free,) = ask(tiny, FreeText(), "a cat", max_tokens=6)
    assert free.margins is not None
    assert min(free.margins) >= 0  # greedy
    assert max(free.log_probabilities or (1,)) <= 0


def test_a_token_in_the_middle_of_a_character_is_not_counted(tmp_path: Path) -> None:
    """Of the two bytes of é, each a token here, llama-server tells the second one's only."""
    tiny = write_tiny_gguf(tmp_path / "tiny.gguf")
    (said,) = ask(tiny, Grammar(gbnf='root ::= "a" "\\u00e9" "b"'), "a cat")
    assert said.text.strip() == "aéb"
    assert said.tokens - len(said.log_probabilities or ()) == 1
