"""The types of a model's tensors, asked once a mixture; fallbacks told by what fitting rows would get."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.convert import typeplan
from edgepack.convert.outline import config_of, outline
from edgepack.convert.typeplan import Mixture, TypePlan
from edgepack.domain.errors import UsageError
from edgepack.domain.fallback import Fallback
from edgepack.domain.quant import Quant, TensorType
from edgepack.domain.tuning import parse_override
from edgepack.infra.library import load_catalogue

Q4_K_M = Mixture(quant=Quant.Q4_K_M)


def plan_of(model: str) -> TypePlan:
    found = load_catalogue().find(model)
    assert found is not None
    return outline(config_of(found)).plan


def tuned(quant: Quant, *overrides: str, weighed: bool = False) -> Mixture:
    return Mixture(quant=quant, overrides=tuple(map(parse_override, overrides)), weighed=weighed)


def types_of(plan: TypePlan, mixture: Mixture) -> dict[str, TensorType]:
    return {source.name: type for source, type in plan.types(mixture)}


def counted(fallbacks: tuple[Fallback, ...]) -> dict[tuple[str, str, int], int]:
    return {(each.wanted.name, each.given.name, each.columns): each.tensors for each in fallbacks}


def test_a_mixture_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mixture] = []
    ask = typeplan._dry_run

    def counting(skeleton: Path, mixture: Mixture) -> object:
        asked.append(mixture)
        return ask(skeleton, mixture)

    monkeypatch.setattr(typeplan, "_dry_run", counting)
    plan = plan_of("smollm2-135m-instruct")
    for _ in range(3):
        plan.types(Q4_K_M)
        plan.size(Q4_K_M)
        plan.fallbacks(Q4_K_M)
    # Once as it is, once with rows that would fit.
    assert asked == [Q4_K_M, Q4_K_M]
    plan.types(tuned(Quant.Q4_K_M, weighed=True))
    assert len(asked) == 3


def test_rows_that_fit_have_no_fallbacks() -> None:
    assert plan_of("llama-3.2-1b-instruct").fallbacks(Q4_K_M) == ()


def test_fallbacks_are_what_fitting_rows_would_get() -> None:
    """Qwen 2.5 0.5B, rows of 896: all but ffn_down falls, the tied embedding included."""
    plan = plan_of("qwen2.5-0.5b-instruct")
    found = counted(plan.fallbacks(Q4_K_M))
    assert found == {("Q4_K", "Q5_0", 896): 132, ("Q6_K", "Q8_0", 896): 13}
    types = types_of(plan, Q4_K_M)
    assert types["token_embd.weight"] is TensorType.Q8_0
    assert types["blk.0.ffn_down.weight"] is TensorType.Q6_K


@pytest.mark.parametrize("quant", [Quant.F16, Quant.BF16])
def test_files_of_16_bits_have_no_fallbacks(quant: Quant) -> None:
    assert plan_of("qwen2.5-0.5b-instruct").fallbacks(Mixture(quant=quant)) == ()


def test_types_of_32_weights_fall_where_they_mix_in_larger_blocks() -> None:
    """Q4_0 fits rows of 896, but the tied embedding would be Q6_K."""
    found = counted(plan_of("qwen2.5-0.5b-instruct").fallbacks(Mixture(quant=Quant.Q4_0)))
    assert found == {("Q6_K", "Q8_0", 896): 1}


def test_fallbacks_follow_overrides() -> None:
    plan = plan_of("qwen2.5-0.5b-instruct")
    found = counted(plan.fallbacks(tuned(Quant.Q8_0, "attn_v=q5_k", "ffn_up=q4_0")))
    assert found == {("Q5_K", "Q5_1", 896): 24}


def test_the_first_pattern_that_is_found_counts() -> None:
    types = types_of(plan_of("llama-3.2-1b-instruct"), tuned(Quant.Q4_0, r"blk\.1\.attn_q=q8_0", "attn_q=q6_k"))
    assert types["blk.1.attn_q.weight"] is TensorType.Q8_0
    assert types["blk.11.attn_q.weight"] is TensorType.Q6_K
    assert types["blk.1.attn_k.weight"] is TensorType.Q4_0


def test_a_matrix_changes_choices() -> None:
    """Without one, the first ffn_down of IQ4_XS are Q5_K."""
    plan = plan_of("llama-3.2-1b-instruct")
    name = "blk.0.ffn_down.weight"
    assert types_of(plan, Mixture(quant=Quant.IQ4_XS))[name] is TensorType.Q5_K
    assert types_of(plan, tuned(Quant.IQ4_XS, weighed=True))[name] is TensorType.IQ4_XS


@pytest.mark.parametrize("override", ["attn_(q=q8_0", "[z-a]=q8_0", "*=q8_0"])
def test_an_expression_that_is_none_is_a_wrong_option(override: str) -> None:
    with pytest.raises(UsageError, match="--tensor-type"):
        plan_of("smollm2-135m-instruct").types(tuned(Quant.Q4_0, override))


def test_a_type_that_rows_neither_fit_nor_fall_from_is_a_wrong_option() -> None:
    """NVFP4 has blocks of 64, and llama-quantize knows nothing else to take instead."""
    whole = plan_of("llama-3.2-1b-instruct")
    narrow = tuple(replace(source, shape=(*source.shape[:-1], 96)) for source in whole.sources)
    plan = TypePlan(architecture=whole.architecture, write_keys=whole.write_keys, sources=narrow)
    with pytest.raises(UsageError, match="no tensor type fallback is defined for type nvfp4"):
        plan.types(tuned(Quant.Q4_0, "attn_q=nvfp4"))
