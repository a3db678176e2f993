"""Configs of which llama.cpp would make another model than the checkpoint's class does, or none."""

from pathlib import Path

import pytest

from edgepack.convert.config import Config
from edgepack.convert.table import family_of
from edgepack.domain.errors import BadInputError
from tests.oracle.recipes import RECIPES

_CONFIGS = {recipe.name: {"vocab_size": 700, **recipe.config} for recipe in RECIPES}


def complete(recipe: str, **changes: object) -> None:
    """Read a recipe's config, changed, as a conversion would, and make its keys."""
    config = Config(path=Path("config.json"), table={**_CONFIGS[recipe], **changes})
    family = family_of(config)
    whole = family.complete(config)
    for key in family.keys:
        key.value(whole)


@pytest.mark.parametrize("recipe", _CONFIGS)
def test_what_is_converted_is_not_refused(recipe: str) -> None:
    complete(recipe)


@pytest.mark.parametrize(
    ("recipe", "key", "value"),
    [
        ("granite-3-seeded", "head_dim", 64),
        ("granite-3-seeded", "hidden_act", "gelu"),
        ("granite-3-seeded", "rope_scaling", {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}),
        ("granite-4.0-seeded", "intermediate_size", 512),
        ("granite-4.0-seeded", "position_embedding_type", "nope"),
        ("granite-4.0-seeded", "position_embedding_type", None),
        ("granite-4.0-seeded", "attention_multiplier", None),
        ("granite-4.0-seeded", "mamba_d_conv", None),
        ("granite-4.0-seeded", "mamba_expand", 4),
        ("olmo-2-seeded", "attention_bias", True),
        ("olmo-2-seeded", "head_dim", 64),
        ("olmo-2-seeded", "rope_scaling", {"rope_type": "llama3", "factor": 8.0}),
        ("smollm3-seeded", "attention_bias", True),
        ("smollm3-seeded", "no_rope_layer_interval", 2),
        ("smollm3-seeded", "no_rope_layers", [1, 1, 0, 1, 1]),
        ("smollm3-seeded", "no_rope_layers", "none"),
        ("smollm3-seeded", "rope_scaling", {"rope_type": "llama3", "factor": 8.0}),
        ("smollm3-seeded", "use_sliding_window", True),
        ("stablelm-2-seeded", "head_dim", 64),
        ("stablelm-2-seeded", "partial_rotary_factor", 0.1),
        ("stablelm-2-seeded", "partial_rotary_factor", 1.5),
        ("stablelm-2-seeded", "qk_layernorm", True),
        ("stablelm-2-seeded", "rope_scaling", {"rope_type": "linear", "factor": 2.0}),
        ("stablelm-2-seeded", "rope_theta", 1000000),
    ],
)
def test_what_llamacpp_cannot_do_is_refused(recipe: str, key: str, value: object) -> None:
    """The error names the key."""
    with pytest.raises(BadInputError, match="rope_type" if key == "rope_scaling" else key):
        complete(recipe, **{key: value})


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"layer_types": ["attention", "mamba", "attention"]}, "mamba layers"),
        ({"layer_types": None}, "mamba layers"),
        ({"num_local_experts": 62, "num_experts_per_tok": 6}, "experts"),
        ({"num_experts_per_tok": 6}, "experts"),
    ],
)
def test_hybrids_are_refused_by_their_parts(changes: dict[str, object], part: str) -> None:
    """A Granite 4 with state spaces or experts is not the one that is converted, and the error says which."""
    with pytest.raises(BadInputError, match=f"a hybrid with {part} is not converted"):
        complete("granite-4.0-seeded", **changes)
