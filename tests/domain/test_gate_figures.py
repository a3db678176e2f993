"""Gates as arithmetic: what is apart is refused and named, what files only contradict each other about is a note."""

import json

import pytest

from edgepack.domain.errors import ExitCode, VerificationError
from edgepack.domain.gates import (
    Ends,
    Gate,
    GateKind,
    Named,
    ends_gate,
    gates_json,
    golden_gate,
    merges_gate,
    refuse_failed,
    template_gate,
    tokenizer_gate,
)

CONFIG, GENERATION, TEMPLATE = "config.json", "generation_config.json", "the chat template"


def ends(
    *said: tuple[str, set[int]], stops: set[int], named: int, own: int | None = None, text: str = "<pad>"
) -> Gate:
    every = [Ends(source=source, tokens=frozenset(tokens)) for source, tokens in said]
    return ends_gate(
        next((one for one in every if one.source == TEMPLATE), None),
        [one for one in every if one.source != TEMPLATE],
        stops=frozenset(stops), named=Named(token=named, text=text), own=own, tokens=100,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "stops", "named"),
    [
        ([(GENERATION, {2}), (CONFIG, {2})], {2}, 2),
        # Gemma's: the end of a turn beside that of a text.
        ([(GENERATION, {1, 6}), (CONFIG, {1})], {1, 6}, 1),
        # InternLM2's: the tokenizer's end is the text's, and the file's is the turn's.
        ([(GENERATION, {2, 11}), (CONFIG, {2})], {2, 11}, 11),
        # Nobody says.
        ([], set(), -1),
    ],
)
def test_ends_that_all_agree_about_pass(said: list[tuple[str, set[int]]], stops: set[int], named: int) -> None:
    gate = ends(*said, stops=stops, named=named)
    assert (gate.different, gate.notes) == ((), ())


@pytest.mark.parametrize(
    ("said", "stops", "named", "note"),
    [
        # A config.json that a fine-tuning left as it was.
        ([(GENERATION, {2}), (CONFIG, {3})], {2}, 2, "config.json: token 3: generation does not stop at it"),
        # One of several that the vocabulary does not have.
        (
            [(GENERATION, {2, 734})],
            {2},
            2,
            "token 734: generation does not stop at it, and the vocabulary ends at 99",
        ),
        # What writes the turns knows best.
        ([(TEMPLATE, {7}), (GENERATION, {2}), (CONFIG, {2})], {7}, 7, "generation_config.json: token 2"),
    ],
)
def test_what_files_contradict_each_other_about_is_a_note(
    said: list[tuple[str, set[int]]], stops: set[int], named: int, note: str
) -> None:
    gate = ends(*said, stops=stops, named=named)
    assert gate.passed
    assert note in gate.notes[0]


@pytest.mark.parametrize(
    ("said", "stops", "named", "own", "apart"),
    [
        ([(GENERATION, {3}), (CONFIG, {2})], {2}, 2, None, "generation_config.json: token 3: generation does not"),
        ([(TEMPLATE, {7}), (GENERATION, {2})], {2}, 2, None, "the chat template: token 7: generation does not"),
        ([(CONFIG, {2})], {2}, 11, None, "token 11: the file's end, and none of the checkpoint's (2)"),
        ([(CONFIG, {2})], {2}, 11, 2, "token 11: the file's end, and the tokenizer's is 2"),
        ([], set(), 11, 2, "token 11: the file's end, and the tokenizer's is 2"),
        # Without a tokenizer.json, config.json says what becomes of weights, and generation_config.json is right.
        ([(GENERATION, {2}), (CONFIG, {11})], {2, 11}, 11, 2, "token 11: the file's end, and the tokenizer's is 2"),
    ],
)
def test_an_end_that_is_wrong_is_refused(
    said: list[tuple[str, set[int]]], stops: set[int], named: int, own: int | None, apart: str
) -> None:
    gate = ends(*said, stops=stops, named=named, own=own)
    assert apart in gate.different[0]
    assert gate.notes == ()


@pytest.mark.parametrize(
    ("text", "passed"),
    [("<|im_end|>", True), ("<|endoftext|>", True), ("</s>", True), ("<|eot_id|>", True), ("<eos>", True),
     ("<end_of_turn>", True), ("[EOT]", True), ("<pad>", False), (",", False), ("<|im_start|>", False)],
)  # fmt: skip
def test_an_end_by_its_name_that_no_file_lists_is_a_note(text: str, passed: bool) -> None:
    """As where a tuning renamed the tokenizer's end and left config.json: generation stops at both."""
    gate = ends((CONFIG, {2}), stops={2}, named=11, text=text)
    assert gate.passed is passed
    assert ("token 11: the file's end, by its name" in "".join(gate.notes)) is passed


def test_another_end_of_the_tokenizer_is_a_note() -> None:
    """InternLM2's is the text's, and the file's is the turn's."""
    gate = ends((GENERATION, {2, 11}), (CONFIG, {2}), stops={2, 11}, named=11, own=2)
    assert gate.passed
    assert gate.notes == ("token 11: the file's end; the tokenizer's is 2",)


def test_few_tokens_without_a_merge_are_damage_and_many_a_habit() -> None:
    assert merges_gate(100, []).passed
    gate = merges_gate(100, ["he", "the"])
    assert gate.different == ("token 'he': no merge makes it", "token 'the': no merge makes it")
    many = merges_gate(100, [f"x{number}" for number in range(40)])
    assert many.passed
    assert many.notes[0].startswith("40 tokens that no merge makes")


def test_a_text_that_reads_otherwise_is_shown_from_where_it_does() -> None:
    gate = tokenizer_gate(["a b c", "x"], [(1, 2, 3), (9,)], [(1, 4), (9,)])
    assert gate.different == ("'a b c' at token 1: (2, 3), not (4,)",)
    assert gate.checked == 2


def test_a_template_that_one_refuses_and_the_other_does_not_is_apart() -> None:
    gate = template_gate([None, "x", None], ["a", "x", None], unknown=["<|im_start|>"])
    assert gate.different == ("nothing, not 'a'",)
    assert gate.notes == ("it writes <|im_start|>, which is no token",)


@pytest.mark.parametrize(
    ("text", "chat", "apart"),
    [
        ("Hello.\n", True, ()),
        ("Ein gr\ufffd", True, ()),
        ("", False, ()),
        (" ", True, ("the model says nothing",)),
        ("a\ufffdb\x07", True, ("'a\ufffdb\\x07': 2 of its letters are none",)),
    ],
)
def test_an_answer_is_text(text: str, chat: bool, apart: tuple[str, ...]) -> None:
    """One that the limit cut within a letter too; a model without a chat template may have nothing to add."""
    assert golden_gate("Say hello.", text, tokens=4, chat=chat).different == apart


def test_all_that_failed_are_named_at_once() -> None:
    gates = [merges_gate(3, ["he"]), tokenizer_gate(["x"], [(1,)], [(2,)]), template_gate([], [])]
    with pytest.raises(VerificationError) as raised:
        refuse_failed(gates, "model")
    assert raised.value.exit_code == ExitCode.VERIFICATION
    assert "merges: 1 apart of 3" in raised.value.what
    assert "tokenizer: 1 apart of 1" in raised.value.what
    record = json.loads(json.dumps(gates_json(gates)))
    assert (record["schema"], record["passed"]) == ("edgepack.gates/1", False)
    assert [gate["passed"] for gate in record["gates"]] == [False, False, True]
    assert {gate["kind"] for gate in record["gates"]} <= set(GateKind)
    refuse_failed(gates[2:], "model")
