"""SmolLM3: as LLaMA; every fourth layer has no rotary embedding, which llama.cpp knows by the architecture."""

from edgepack.convert.blocks import attention, decoder, gated_feed_forward, llama3_rope_factors
from edgepack.convert.family import Family
from edgepack.convert.hyperparameters import DECODER_KEYS, LLAMA_KEYS, NO_BOS_IN_SMALL_VOCABULARIES
from edgepack.convert.vocabularies.byte_level import byte_level
from edgepack.convert.vocabularies.llama_json import llama_json
from edgepack.convert.vocabularies.sentencepiece import sentencepiece

SMOLLM3 = Family(
    architecture="smollm3",
    classes={
        "SmolLM3ForCausalLM": {
            "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 2000000.0,
            "vocab_size": 128256, "num_attention_heads": 16, "num_key_value_heads": 4,
        },
    },
    keys=(*DECODER_KEYS, *LLAMA_KEYS),
    keys_after=(NO_BOS_IN_SMALL_VOCABULARIES,),
    vocabularies=(sentencepiece, llama_json, byte_level),
    rows=decoder(*attention(rotary=True, biased=False), *gated_feed_forward()),
    generated=(llama3_rope_factors,),
)  # fmt: skip
