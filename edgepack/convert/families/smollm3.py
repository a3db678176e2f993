"""SmolLM3: as LLaMA; every fourth layer has no rotary embedding, which llama.cpp knows by the architecture."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, layers
from edgepack.convert.config import Config
from edgepack.convert.family import Family
from edgepack.convert.hyperparameters import DECODER_KEYS, LLAMA_KEYS, NO_BOS_IN_SMALL_VOCABULARIES
from edgepack.convert.requirements import NO_ATTENTION_BIAS, SILU, only, rope_types
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.llama_json import llama_json
from edgepack.convert.vocabularies.sentencepiece import sentencepiece


def _every_fourth(config: Config) -> None:
    """Layers are counted from one."""
    only("no_rope_layers", [int(number % 4 != 0) for number in range(1, layers(config) + 1)])(config)
    only("no_rope_layer_interval", 4)(config)


SMOLLM3 = Family(
    architecture="smollm3",
    classes={
        "SmolLM3ForCausalLM": {
            "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 2000000.0,
            "vocab_size": 128256, "num_attention_heads": 16, "num_key_value_heads": 4, "tie_word_embeddings": True,
        },
    },
    keys=(*DECODER_KEYS, *LLAMA_KEYS),
    keys_after=(NO_BOS_IN_SMALL_VOCABULARIES,),
    requires=(SILU, NO_ATTENTION_BIAS, only("use_sliding_window", False), _every_fourth,
              rope_types("linear", "yarn", "dynamic")),
    vocabularies=(sentencepiece, llama_json, byte_level),
    rows=decoder(*attention(rotary=True, biased=False), *gated_feed_forward()),
)  # fmt: skip
