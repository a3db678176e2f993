"""Quality by published scores: ranks within one harness, linked between harnesses, values never mixed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from edgepack.domain.catalogue import CatalogueModel, Score
from edgepack.domain.harness import Harness
from edgepack.domain.needs import TaskKind
from edgepack.domain.quality import UNKNOWN, quality
from edgepack.domain.skills import Skill, skill_of, skills_for
from edgepack.infra.library import load_catalogue

MODELS = load_catalogue().models
CHAT, REASON = TaskKind.CHAT, TaskKind.REASON


def harness(id: str, *, maker: str | None = None, thinking: bool = False, ranks: bool = True) -> Harness:
    return Harness(
        id=id, setting="plain", source=f"the page of {id}", maker=maker, thinking=thinking, ranks=ranks
    )  # fmt: skip


ONE, TWO = harness("one"), harness("two")


def model(id: str, *scores: tuple[Harness, str, float]) -> CatalogueModel:
    """A model of nothing but its scores: harness, benchmark, score."""
    named = tuple(Score(benchmark=benchmark, score=score, harness=harness) for harness, benchmark, score in scores)
    return replace(MODELS[0], id=id, hub_id=f"org-{id}/{id}", scores=named)


def order(models: Sequence[CatalogueModel], kind: TaskKind = CHAT) -> list[str]:
    """The rated, the best first."""
    found = quality(models, kind)
    return sorted(
        (id for id in found if found[id].score is not None), key=lambda id: -(found[id].score or 0)
    )  # fmt: skip


def ladder(*names: str, by: Harness = ONE, benchmark: str = "IFEval", step: float = 10.0) -> list[CatalogueModel]:
    return [model(name, (by, benchmark, 90 - step * place)) for place, name in enumerate(names)]


def test_in_one_harness_the_order_is_that_of_the_scores() -> None:
    assert order(ladder("a", "b", "c")) == ["a", "b", "c"]


def test_only_who_is_ahead_counts_not_by_how_much() -> None:
    assert quality(ladder("a", "b", "c", step=0.1), CHAT) == quality(ladder("a", "b", "c", step=30), CHAT)


def test_values_of_two_harnesses_are_never_compared() -> None:
    """b and c have the same scores; what differs is whom they met: c lost to b's loser."""
    models = [
        model("a", (ONE, "IFEval", 20)), model("b", (ONE, "IFEval", 30)), model("x", (ONE, "IFEval", 10)),
        model("link", (ONE, "IFEval", 15), (TWO, "IFEval", 95)), model("c", (TWO, "IFEval", 30)),
        model("d", (TWO, "IFEval", 99)),
    ]  # fmt: skip
    found = quality(models, CHAT)
    assert (found["b"].score or 0) > (found["link"].score or 0) > (found["x"].score or 0)
    assert (found["link"].score or 0) > (found["c"].score or 1)


def test_models_that_never_met_are_linked_through_those_that_both_met() -> None:
    models = [
        model("best", (ONE, "IFEval", 50)), model("good", (ONE, "IFEval", 40), (TWO, "IFEval", 9)),
        model("fair", (ONE, "IFEval", 30), (TWO, "IFEval", 8)), model("last", (TWO, "IFEval", 7)),
    ]  # fmt: skip
    assert order(models) == ["best", "good", "fair", "last"]


def test_a_model_beside_nobody_is_unknown_and_so_is_one_that_met_one_other() -> None:
    models = [*ladder("a", "b", "c"), model("alone", (TWO, "IFEval", 99)), model("silent")]
    models += [model("pair", (harness("three"), "IFEval", 1)), model("other", (harness("three"), "IFEval", 2))]
    found = quality(models, CHAT)
    assert [id for id in found if found[id] == UNKNOWN] == ["alone", "silent", "pair", "other"]


def test_of_two_groups_that_nothing_links_the_larger_is_rated() -> None:
    models = [*ladder("a", "b", "c"), *ladder("p", "q", "r", "s", by=TWO)]
    assert order(models) == ["p", "q", "r", "s"]


def test_results_after_thinking_count_where_a_task_has_the_time() -> None:
    slow = harness("slow", thinking=True)
    models = [
        model(name, (ONE, "GSM8K", plain), (ONE, "IFEval", plain), (slow, "AIME", thought), (slow, "MATH", thought))
        for name, plain, thought in (("a", 3, 1), ("b", 2, 2), ("c", 1, 9))
    ]
    assert order(models, CHAT) == ["a", "b", "c"]
    assert quality(models, CHAT)["a"].harnesses == ("one",)
    assert quality(models, REASON)["a"].harnesses == ("one", "slow")


def test_scores_of_what_a_model_was_made_from_do_not_count() -> None:
    assert order(ladder("a", "b", "c", by=harness("base", ranks=False))) == []


def test_a_maker_s_own_model_wins_half_as_much_in_the_maker_s_table() -> None:
    """a wins in its maker's, b in another's: a draw between equals, and here b's."""
    own = harness("own", maker="org-a")
    models = [
        model("a", (own, "IFEval", 9), (ONE, "IFEval", 2)), model("b", (own, "IFEval", 8), (ONE, "IFEval", 3)),
        model("c", (own, "IFEval", 7), (ONE, "IFEval", 1)),
    ]  # fmt: skip
    assert order(models) == ["b", "a", "c"]
    even = quality([replace(each, hub_id=f"elsewhere/{each.id}") for each in models], CHAT)
    assert even["a"].score == pytest.approx(even["b"].score, abs=0.001)


def test_each_skill_counts_as_much_however_many_benchmarks_test_it() -> None:
    """a wins the one of knowledge, b the three of instructions: a draw."""
    models = [
        model(name, (ONE, "MMLU", know), (ONE, "IFEval", do), (ONE, "IFBench", do), (ONE, "MT-Bench", do))
        for name, know, do in (("a", 2, 1), ("b", 1, 2), ("c", 0, 0))
    ]
    found = quality(models, CHAT)
    assert found["a"].score == pytest.approx(found["b"].score, abs=0.001)
    assert (found["a"].score or 0) > 0.6 > (found["c"].score or 0)


def test_only_benchmarks_of_the_task_s_skills_count() -> None:
    models = [model(name, (ONE, "HumanEval", code), (ONE, "IFEval", do)) for name, code, do in
              (("a", 3, 1), ("b", 2, 2), ("c", 1, 3))]  # fmt: skip
    assert order(models, TaskKind.CODE) == ["a", "b", "c"]
    assert order(models, TaskKind.REWRITE) == ["c", "b", "a"]
    assert quality(models, TaskKind.CODE)["a"].benchmarks == ("HumanEval",)


def test_a_quality_says_whether_anybody_but_the_maker_measured() -> None:
    models = ladder("a", "b", "c", by=harness("own", maker="org-a"))
    assert [quality(models, CHAT)[id].independent for id in "abc"] == [False, True, True]
    assert quality(ladder("a", "b", "c"), CHAT)["a"].independent


def test_other_languages_count_where_they_are_asked_for() -> None:
    models = [model(name, (ONE, "MGSM", score)) for name, score in (("a", 3), ("b", 2), ("c", 1))]
    assert order(models) == []
    assert quality(models, CHAT, multilingual=True)["a"].score is not None


def test_the_order_in_which_models_are_given_changes_nothing() -> None:
    assert quality(MODELS, CHAT) == quality(MODELS[::-1], CHAT)


def test_a_quality_says_who_measured() -> None:
    found = quality(ladder("a", "b", "c"), CHAT)["a"]
    assert (found.rivals, found.harnesses, found.benchmarks, found.sources) == (
        2, ("one",), ("IFEval",), ("the page of one",),
    )  # fmt: skip


def test_the_catalogue_s_families_stand_in_the_order_of_their_sizes() -> None:
    """What nobody disputes: of one generation of one maker the larger is the better."""
    ranks = order(MODELS)
    for family in (
        ("smollm2-1.7b-instruct", "smollm2-360m-instruct", "smollm2-135m-instruct"),
        ("qwen2.5-3b-instruct", "qwen2.5-1.5b-instruct", "qwen2.5-0.5b-instruct"),
        ("qwen3-1.7b", "qwen3-0.6b"),
        ("lfm2-1.2b", "lfm2-700m", "lfm2-350m"),
        ("falcon-h1-1.5b-instruct", "falcon-h1-0.5b-instruct"),
    ):
        assert [id for id in ranks if id in family] == list(family)
    assert ranks[-1] == "tinyllama-1.1b-chat-v1.0"
    assert len(ranks) >= 30


@pytest.mark.parametrize("benchmark", sorted({score.benchmark for each in MODELS for score in each.scores}))
def test_every_benchmark_of_the_catalogue_tests_a_known_skill(benchmark: str) -> None:
    assert skill_of(benchmark) is not None or benchmark in ("Average", "Avg", "LiveBench", "TruthfulQA")


@pytest.mark.parametrize(
    ("benchmark", "skill"),
    [
        ("MMLU-Pro (5-shot CoT)", Skill.KNOWLEDGE), ("MMLU es", Skill.LANGUAGES), ("MATH500 (ES)", Skill.LANGUAGES),
        ("MATH-500", Skill.REASONING), ("MultiPL-E", Skill.CODE), ("Multi-IF (EN)", Skill.INSTRUCTIONS),
        ("GPQA_Diamond", Skill.REASONING), ("Average", None),
    ],
)  # fmt: skip
def test_a_benchmark_is_known_by_the_longest_beginning_of_its_name(benchmark: str, skill: Skill | None) -> None:
    assert skill_of(benchmark) is skill


def test_an_unknown_benchmark_is_an_error_and_no_guess() -> None:
    with pytest.raises(KeyError):
        skill_of("Vibes")


@pytest.mark.parametrize("kind", TaskKind)
def test_every_kind_of_task_asks_for_skills(kind: TaskKind) -> None:
    assert skills_for(kind)
