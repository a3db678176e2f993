"""The catalogue's types: shapes counted, models found, mistakes named."""

from typing import Any

import pytest

from edgepack.domain.catalogue import Architecture, ModelShape, make_catalogue
from edgepack.domain.errors import BadInputError


def shape(**changes: Any) -> ModelShape:
    sizes: dict[str, Any] = {
        "layers": 2, "hidden": 8, "ffn": 16, "heads": 4, "kv_heads": 2, "head_dim": 2, "vocabulary": 10,
        "tied": True, "qkv_bias": False, "qk_norm": False,
    }  # fmt: skip
    return ModelShape(**{**sizes, **changes})


def test_parameters_are_the_sum_over_the_tensors() -> None:
    embedding, norms, ffn = 10 * 8, 2 * 8, 3 * 8 * 16
    attention = 8 * 8 + 8 * 4 + 8 * 4 + 8 * 8  # q, k, v, o
    assert shape().parameters() == embedding + 2 * (attention + norms + ffn) + 8


def test_an_untied_output_matrix_counts_again() -> None:
    assert shape(tied=False).parameters() - shape().parameters() == 10 * 8


def test_qwen2_adds_biases_and_qwen3_head_norms() -> None:
    assert shape(qkv_bias=True).parameters() - shape().parameters() == 2 * (8 + 4 + 4)
    assert shape(qk_norm=True).parameters() - shape().parameters() == 2 * (2 + 2)


def test_head_dim_is_free_of_hidden() -> None:
    """Qwen3's heads are wider together than its hidden size."""
    assert shape(head_dim=4).parameters() - shape().parameters() == 2 * (2 * 8 * 8 + 2 * 8 * 4)


def family() -> dict[str, Any]:
    return {
        "schema": 1,
        "sources": {"card": "its card"},
        "model": [
            {
                "id": "tiny-1m",
                "hub_id": "Org/Tiny-1M",
                "kind": "instruct",
                "architecture": "Qwen2ForCausalLM",
                "parameters": 1000,
                "parameters_source": "card",
                "context": 512,
                "context_source": "card",
                "released": "2025-01",
                "released_source": "card",
                "shape": {
                    "layers": 2, "hidden": 8, "ffn": 16, "heads": 4, "kv_heads": 2, "head_dim": 2,
                    "vocabulary": 10, "tied": True, "source": "card",
                },
                "licence": {"name": "MIT License", "spdx": "MIT", "source": "card", "gated": False,
                            "gated_source": "card"},
                "languages": {"codes": ["en"], "text": "English", "source": "card"},
                "scores": [
                    {"setting": "5 shots", "source": "card", "results": {"MMLU": 25, "GSM8K": 1.5}},
                    {"setting": "no shots", "source": "card", "results": {"MMLU": 24.0}},
                ],
            }
        ],
    }  # fmt: skip


def test_the_architecture_says_what_the_shape_has_beside_its_sizes() -> None:
    model = make_catalogue({"tiny": family()}).models[0]
    assert model.architecture is Architecture.QWEN2
    assert model.shape == shape(qkv_bias=True)


def test_a_score_keeps_its_setting_and_the_text_of_its_source() -> None:
    scores = make_catalogue({"tiny": family()}).models[0].scores
    assert [(score.benchmark, score.score, score.setting, score.source) for score in scores] == [
        ("MMLU", 25.0, "5 shots", "its card"),
        ("GSM8K", 1.5, "5 shots", "its card"),
        ("MMLU", 24.0, "no shots", "its card"),
    ]


@pytest.mark.parametrize("text", ["tiny-1m", "TINY-1M", "Org/Tiny-1M", "org/tiny-1m"])
def test_a_model_is_found_by_either_name_in_any_case(text: str) -> None:
    found = make_catalogue({"tiny": family()}).find(text)
    assert found
    assert found.id == "tiny-1m"


def test_part_of_a_name_finds_nothing_but_is_a_suggestion() -> None:
    catalogue = make_catalogue({"tiny": family()})
    assert catalogue.find("tiny") is None
    assert catalogue.nearest("tiny") == ("tiny-1m",)
    assert catalogue.nearest("zzzz") == ()


def test_a_model_listed_twice_is_an_error() -> None:
    with pytest.raises(BadInputError, match="catalogue: tiny-1m is listed twice"):
        make_catalogue({"tiny": family(), "again": family()})


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("parameters_source",), "nowhere", r"model\[0\]\.parameters_source: 'nowhere' is not in the file's"),
        (("shape", "layers"), 0, r"model\[0\]\.shape\.layers: expected 1 or more, got 0"),
        (("shape", "depth"), 1, r"model\[0\]\.shape\.depth: unknown key"),
        (("rope",), "x", r"model\[0\]\.rope: unknown key"),
        (("architecture",), "GPT2", r"model\[0\]\.architecture: 'GPT2' is not known"),
        (("licence", "gated"), "no", r"model\[0\]\.licence\.gated: expected bool, got string"),
        (("scores", 1, "results", "MMLU"), "high", r"model\[0\]\.scores\[1\]\.results\.MMLU: expected number"),
    ],
)
def test_a_mistake_in_an_entry_is_named_with_its_place(
    path: tuple[str | int, ...], value: object, complaint: str
) -> None:
    table = family()
    inner = table["model"][0]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(BadInputError, match=f"^catalogue tiny: {complaint}"):
        make_catalogue({"tiny": table})
