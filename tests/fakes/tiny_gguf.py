"""A llama of two layers with seeded random weights and a byte vocabulary: small enough to write in each test."""

from pathlib import Path
from typing import Any

BOS, EOS = 1, 2
CONTEXT = 256
HIDDEN, LAYERS, HEADS, FEED_FORWARD = 64, 2, 2, 96
SPECIAL = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁", *"abcdefghijklmnopqrstuvwxyz", "▁the", "▁cat"]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message.role }}] {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)


def write_tiny_gguf(
    path: Path,
    *,
    seed: int = 1,
    chat_template: str | None = CHAT_TEMPLATE,
    always_ends: bool = False,
    tensors_a_file: int = 0,
    causal: bool = True,
    adds_eos: bool = False,
) -> Path:
    """Write one; with `always_ends` the likeliest next token is always the end-of-generation token.

    With `tensors_a_file` it is split: NAME-00001-of-0000N.gguf and so on lie where `path` would.
    """
    import gguf
    import numpy as np

    random = np.random.default_rng(seed)
    tokens = SPECIAL + BYTES + WORDS

    def weights(*shape: int) -> Any:
        return (random.standard_normal(shape) * 0.3).astype(np.float32)

    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=tensors_a_file)
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_file_type(1)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * (len(SPECIAL) + len(BYTES)) + [-float(i) for i in range(len(WORDS))])
    writer.add_token_types([2, 3, 3, *[6] * len(BYTES), *[1] * len(WORDS)])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    if adds_eos:
        writer.add_add_eos_token(True)
    if not causal:
        writer.add_causal_attention(False)
    if chat_template:
        writer.add_chat_template(chat_template)
    output = weights(len(tokens), HIDDEN)
    # A normalised state has the same length whatever the text: the end wins or never comes by its row's bias-like
    # first column, which the final norm sends a constant into.
    output[:, 0] = 0
    output[: len(SPECIAL) + len(BYTES), 0] = -40
    output[EOS, 0] = 40 if always_ends else -40
    norm = np.ones(HIDDEN, np.float32)
    embedding = weights(len(tokens), HIDDEN)
    embedding[:, 0] = 8
    writer.add_tensor("token_embd.weight", embedding)
    for layer in range(LAYERS):
        for name, shape in {
            "attn_q": (HIDDEN, HIDDEN), "attn_k": (HIDDEN, HIDDEN), "attn_v": (HIDDEN, HIDDEN),
            "attn_output": (HIDDEN, HIDDEN), "ffn_gate": (FEED_FORWARD, HIDDEN),
            "ffn_up": (FEED_FORWARD, HIDDEN), "ffn_down": (HIDDEN, FEED_FORWARD),
        }.items():  # fmt: skip
            matrix = weights(*shape)
            if name in ("attn_output", "ffn_down"):
                matrix[0] = 0  # what runs in the first column stays constant and positive
            writer.add_tensor(f"blk.{layer}.{name}.weight", matrix.astype(np.float16))
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", norm)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", norm)
    writer.add_tensor("output_norm.weight", norm)
    writer.add_tensor("output.weight", output)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
