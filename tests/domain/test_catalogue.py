"""The catalogue's types: configs and scores kept with their sources, models found, mistakes named."""

from typing import Any

import pytest

from edgepack.domain.catalogue import Catalogue, make_catalogue
from edgepack.domain.errors import BadInputError
from edgepack.domain.harness import Harness

RUN = Harness(id="run", setting="5 shots", source="its card", maker="Org", thinking=False, ranks=True)
OTHER = Harness(id="other", setting="no shots", source="a page", maker=None, thinking=False, ranks=True)


def catalogue_of(*tables: dict[str, Any]) -> Catalogue:
    return make_catalogue({f"tiny{number or ''}": table for number, table in enumerate(tables)}, HARNESSES)


HARNESSES = {harness.id: harness for harness in (RUN, OTHER)}


def family() -> dict[str, Any]:
    return {
        "schema": 1,
        "sources": {"card": "its card", "memory": "from memory, unverified"},
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
                "config": {
                    "source": "card", "hidden_size": 8, "layer_types": ["full_attention"],
                    "nulls": ["sliding_window"], "rope_theta": 1e4, "sources": {"rope_theta": "memory"},
                },
                "licence": {"name": "MIT License", "spdx": "MIT", "source": "card", "gated": False,
                            "gated_source": "card"},
                "languages": {"codes": ["en"], "text": "English", "source": "card"},
                "scores": {"run": {"MMLU": 25, "GSM8K": 1.5}, "other": {"MMLU": 24.0}},
            }
        ],
    }  # fmt: skip


def test_the_config_stands_as_it_is_with_the_source_of_every_key() -> None:
    model = catalogue_of(family()).models[0]
    assert model.architecture == "Qwen2ForCausalLM"
    assert model.config.values == {
        "hidden_size": 8, "layer_types": ["full_attention"], "rope_theta": 1e4, "sliding_window": None,
    }  # fmt: skip
    assert model.config.sources == {
        "hidden_size": "its card", "layer_types": "its card", "sliding_window": "its card",
        "rope_theta": "from memory, unverified",
    }  # fmt: skip


def test_a_score_keeps_its_harness() -> None:
    scores = catalogue_of(family()).models[0].scores
    assert [(score.benchmark, score.score, score.harness) for score in scores] == [
        ("MMLU", 25.0, RUN), ("GSM8K", 1.5, RUN), ("MMLU", 24.0, OTHER),
    ]  # fmt: skip


def test_terms_that_a_file_does_not_mention_are_unknown() -> None:
    licence = catalogue_of(family()).models[0].licence
    assert (licence.commercial, licence.excluded_regions) == (None, ())


@pytest.mark.parametrize("text", ["tiny-1m", "TINY-1M", "Org/Tiny-1M", "org/tiny-1m"])
def test_a_model_is_found_by_either_name_in_any_case(text: str) -> None:
    found = catalogue_of(family()).find(text)
    assert found
    assert found.id == "tiny-1m"


def test_part_of_a_name_finds_nothing_but_is_a_suggestion() -> None:
    catalogue = catalogue_of(family())
    assert catalogue.find("tiny") is None
    assert catalogue.nearest("tiny") == ("tiny-1m",)
    assert catalogue.nearest("zzzz") == ()


def test_a_model_listed_twice_is_an_error() -> None:
    with pytest.raises(BadInputError, match="catalogue: tiny-1m is listed twice"):
        catalogue_of(family(), family())


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("parameters_source",), "nowhere", r"model\[0\]\.parameters_source: 'nowhere' is not in the file's"),
        (("parameters",), 0, r"model\[0\]\.parameters: expected 1 or more, got 0"),
        (
            ("config", "sources", "rope"),
            "card",
            r"model\[0\]\.config\.sources\.rope: the source of a key that is not",
        ),
        (("rope",), "x", r"model\[0\]\.rope: unknown key"),
        (("licence", "gated"), "no", r"model\[0\]\.licence\.gated: expected bool, got string"),
        (("scores", "other", "MMLU"), "high", r"model\[0\]\.scores\.other\.MMLU: expected number"),
        (("scores", "runn"), {"MMLU": 1.0}, r"model\[0\]\.scores\.runn: unknown key; did you mean run\?"),
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
        catalogue_of(table)


FIGURES = (
    ("parameters_source",), ("context_source",), ("released_source",), ("config", "source"), ("licence", "source"),
    ("licence", "gated_source"), ("languages", "source"),
)  # fmt: skip


@pytest.mark.parametrize("path", FIGURES, ids=".".join)
def test_a_figure_without_a_source_is_refused(path: tuple[str, ...]) -> None:
    """Each of an entry's sources is asked for: without it, and with one that the file does not spell out."""
    for broken in (None, "nowhere"):
        table = family()
        inner = table["model"][0]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = broken
        with pytest.raises(BadInputError, match=rf"^catalogue tiny: model\[0\]\.{'.'.join(path)}: "):
            catalogue_of(table)
