"""A runnable GGUF of a few hundred kilobytes: LLaMA architecture, random weights, answers in letters a to z."""

from pathlib import Path

CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
_HIDDEN, _FFN, _LAYERS, _HEADS = 64, 128, 2, 2
CONTEXT = 256


def write_tiny_adapter(path: Path, *, seed: int = 2) -> Path:
    """A LoRA adapter for it, which makes it say something else."""
    import gguf
    import numpy as np

    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, 8.0)
    for layer in range(_LAYERS):
        for half, shape in (("a", (4, _HIDDEN)), ("b", (_HIDDEN, 4))):
            values = random.normal(0, 0.3, shape).astype(np.float32)
            writer.add_tensor(f"blk.{layer}.attn_output.weight.lora_{half}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tiny_gguf(path: Path, *, chat_template: str | None = CHAT_TEMPLATE, seed: int = 1) -> Path:
    """Write it, the same bytes for the same seed."""
    import gguf
    import numpy as np

    letters = [*"▁etaoinshrdlucmfwypvbgkjqxz"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    kinds = [2, 3, 3, *[6] * 256, *[1] * len(letters)]
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> "np.typing.NDArray[np.float32]":
        return random.normal(0, 0.3, shape).astype(np.float32)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_HIDDEN)
    writer.add_feed_forward_length(_FFN)
    writer.add_block_count(_LAYERS)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_HIDDEN // _HEADS)
    writer.add_file_type(0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * 259 + [-float(rank) for rank in range(len(letters))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    if chat_template:
        writer.add_chat_template(chat_template)
    writer.add_tensor("token_embd.weight", weights(len(tokens), _HIDDEN))
    # Only letters get a score, so whatever it says is text, and it never stops by itself.
    output = weights(len(tokens), _HIDDEN)
    output[:259] = 0
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", np.ones(_HIDDEN, np.float32))
    for layer in range(_LAYERS):
        for name, rows, columns in (
            ("attn_q", _HIDDEN, _HIDDEN), ("attn_k", _HIDDEN, _HIDDEN), ("attn_v", _HIDDEN, _HIDDEN),
            ("attn_output", _HIDDEN, _HIDDEN), ("ffn_gate", _FFN, _HIDDEN), ("ffn_up", _FFN, _HIDDEN),
            ("ffn_down", _HIDDEN, _FFN),
        ):  # fmt: skip
            writer.add_tensor(f"blk.{layer}.{name}.weight", weights(rows, columns))
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{norm}.weight", np.ones(_HIDDEN, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
