"""The stored sizes are those of the models: what a choice among all of them plans with."""

import json
from pathlib import Path

import pytest

from edgepack.convert.outline import config_of, outline
from edgepack.convert.sizes import model_sizes
from edgepack.domain.profile import Isa
from edgepack.domain.quant import Quant
from edgepack.domain.sizes import Repacking, parse_sizes, repacking_of, sizes_table
from edgepack.infra.library import load_catalogue, load_profile, load_sizes, profile_names

NAMES = [model.id for model in load_catalogue().models]
STORED = json.loads((Path(__file__).parents[2] / "edgepack/data/sizes.json").read_text(encoding="utf-8"))["models"]
QUICK = ("smollm2-135m-instruct", "gemma-3-1b-it", "lfm2-1.2b", "falcon-h1-0.5b-instruct", "phi-3.5-mini-instruct")


def test_every_model_of_the_catalogue_is_there_and_no_other() -> None:
    assert list(load_sizes()) == NAMES


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_they_are_what_the_models_configs_give(name: str) -> None:
    """If this fails after a change of the catalogue or the pinned llama.cpp: `make sizes`."""
    model = load_catalogue().find(name)
    assert model
    quants = (Quant.Q4_K_M, Quant.Q8_0) if name in QUICK else tuple(Quant)
    fresh = sizes_table(model_sizes(outline(config_of(model)), quants))
    kept = {**STORED[name], "quants": {quant.value: STORED[name]["quants"][quant.value] for quant in quants}}
    assert json.loads(json.dumps(fresh)) == kept


def test_what_is_written_is_what_is_read() -> None:
    for table in STORED.values():
        assert json.loads(json.dumps(sizes_table(parse_sizes(table)))) == table


@pytest.mark.parametrize(
    ("isa", "expected"),
    [
        (set(), Repacking.NOTHING),
        ({Isa.NEON}, Repacking.NOTHING),
        ({Isa.NEON, Isa.DOTPROD, Isa.I8MM}, Repacking.DOTPROD),
        ({Isa.AVX2, Isa.FMA}, Repacking.AVX2),
        ({Isa.AVX2, Isa.AVX512F}, Repacking.AVX512),
    ],
)
def test_the_processor_decides_what_is_copied(isa: set[Isa], expected: Repacking) -> None:
    assert repacking_of(frozenset(isa)) is expected


@pytest.mark.parametrize("profile", profile_names())
def test_a_q4_0_needs_more_where_it_is_copied(profile: str) -> None:
    sizes = load_sizes()["qwen3-1.7b"].quants[Quant.Q4_0]
    found = sizes.loaded[repacking_of(load_profile(profile).isa)]
    assert found.mapped + found.repacked >= sizes.size
