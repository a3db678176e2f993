"""What is compared beyond the quantizations' names: importance matrices and tensor types set by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgepack.domain.quant import Quant, TensorType
from tests.fakes.checkpoints import Recipe
from tests.fakes.matrices import seeded_sums, write_gguf_matrix, write_legacy_matrix

REGULAR = Recipe(
    name="tuned-regular", vocabulary="few-pieces", dtype="BF16", spread=0.05,
    config={
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256, "intermediate_size": 512,
        "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
    },
)  # fmt: skip
# Rows that 32 divides but 256 does not, and rows that not even 32 divides; a tied head; float16.
AWKWARD = Recipe(
    name="tuned-awkward", vocabulary="few-pieces", dtype="F16", spread=0.05,
    config={
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 288, "intermediate_size": 400,
        "num_hidden_layers": 9, "num_attention_heads": 9, "num_key_value_heads": 3, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 2048, "torch_dtype": "float16", "tie_word_embeddings": True,
    },
)  # fmt: skip

DATA = Path(__file__).parents[2] / "edgepack" / "data"
DEMO = Recipe(name="demo-1m", vocabulary="", dtype="BF16", config={})
PIECE = "piece.txt"
"""The text's name, which stands in the matrix."""
MATRIX = Path(__file__).parents[1] / "data" / "oracle-imatrix" / "demo-1m.imatrix.gguf"


def write_piece(path: Path) -> None:
    """Some chunks of the calibration text, with the newline at the end that llama-imatrix drops."""
    path.write_text((DATA / "calibration.txt").read_text(encoding="utf-8")[:4000] + "\n", encoding="utf-8")


def _every_type() -> tuple[str, ...]:
    """Each type on a tensor of its own; then rules that an earlier one hides, and patterns in capitals."""
    parts = ("attn_q", "attn_k", "ffn_up", "ffn_gate", "ffn_down")
    places = [rf"blk\.{layer}\.{part}\." for layer in range(8) for part in parts]
    named = [f"{place}={type.name}" for place, type in zip(places, TensorType, strict=False)]
    return (*named, r"BLK\.[67].*ATTN_V=q8_0", r"blk\.7\.attn_v=q4_0", r"^output\.=bf16", r"token_embd=Q5_1")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to quantize one recipe: llama-quantize's options and ours."""

    name: str
    recipe: Recipe
    quants: tuple[Quant, ...]
    overrides: tuple[str, ...] = ()
    matrix: Callable[..., None] | None = None
    """Writes the matrix file, whose name is `matrix_name`."""
    left_out: tuple[str, ...] = ()
    """Tensors of which the matrix knows nothing."""

    @property
    def matrix_name(self) -> str:
        return "some.imatrix.gguf" if self.matrix is write_gguf_matrix else "some.imatrix.dat"

    def write_matrix(self, place: Path, columns: Mapping[str, int]) -> Path | None:
        """The matrix for tensors of so many columns, if the case has one."""
        if self.matrix is None:
            return None
        known = {name: count for name, count in columns.items() if name not in self.left_out}
        path = place / self.matrix_name
        self.matrix(path, seeded_sums({**known, "blk.99.of_another_model.weight": 32}))
        return path


_UNWEIGHED = ("token_embd.weight", "blk.1.attn_q.weight", "blk.0.ffn_down.weight")

CASES: tuple[Case, ...] = (
    Case(
        name="regular-gguf", recipe=REGULAR, quants=tuple(Quant), matrix=write_gguf_matrix,
        left_out=("token_embd.weight", "output.weight"),
    ),
    Case(name="awkward-dat", recipe=AWKWARD, quants=tuple(Quant), matrix=write_legacy_matrix, left_out=_UNWEIGHED),
    # Here the head has importances too: llama-imatrix --process-output
    Case(
        name="regular-dat", recipe=REGULAR, quants=(Quant.Q4_0, Quant.Q3_K_M, Quant.IQ4_XS),
        matrix=write_legacy_matrix, left_out=_UNWEIGHED,
    ),
    Case(
        name="regular-every-type", recipe=REGULAR, quants=(Quant.Q4_K_M, Quant.F16), overrides=_every_type(),
        matrix=write_gguf_matrix,
    ),
    Case(
        name="regular-types", recipe=REGULAR, quants=(Quant.Q4_K_M, Quant.Q4_0),
        overrides=("attn_(q|k)=q8_0", "ffn_down=iq3_s", r"blk\.[0-3]\.ffn_up=tq2_0"),
    ),
    Case(
        name="awkward-types", recipe=AWKWARD, quants=(Quant.Q5_K_M, Quant.Q8_0),
        overrides=("attn_v=q2_k", "ffn_up=iq3_xxs", "attn_q=iq2_s", "ffn_down=q6_k", "token_embd=q4_k"),
        matrix=write_gguf_matrix, left_out=_UNWEIGHED[1:],
    ),
)  # fmt: skip
