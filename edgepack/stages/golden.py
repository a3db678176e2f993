"""What the model makes of the golden text and says to the sample prompt on this machine, before it is deployed."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from edgepack.domain.encoder import EncoderDescription
from edgepack.domain.errors import BadInputError
from edgepack.domain.gates import Gate, golden_gate
from edgepack.domain.golden import GoldenOutputs
from edgepack.domain.progress import Progress
from edgepack.domain.weights import Weights

_ANSWER_TOKENS = 24
# Some templates write the date; the answer shall not depend on it.
_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def golden(weights: Path, text: str, *, adapter: Path | None, threads: int, progress: Progress) -> str:
    """The lines of `evidence/golden.txt`: a comment, and a mean loss in nats for each chunk and those before it."""
    from edgepack.engines.llamacpp import runtime
    from edgepack.engines.llamacpp_losses import mean_losses

    progress.step("reading the golden text")
    losses = mean_losses(weights, text, adapter=adapter, threads=threads)
    ran = runtime()
    made = f"# {ran.name} {ran.version}, {ran.build}\n"
    return made + "".join(f"{loss:.6f}\n" for loss in losses)


def golden_answer(weights: Path, prompt: str, *, adapter: Path | None, threads: int) -> Gate:
    """Whether the first tokens of a greedy answer are text.

    Raises BadInputError for weights that do not run.
    """
    from edgepack.engines.llamacpp import ChatMessage, generate_each, opened
    from edgepack.engines.llamacpp_chat import chat_prompt_of

    with opened(weights, adapter=adapter) as model:
        try:
            asked, chat = chat_prompt_of(model, [ChatMessage(role="user", content=prompt)], now=_DAY), True
        except BadInputError:  # no chat template, or one that such words alone do not please
            asked, chat = prompt, False
        (said,) = generate_each(model, [asked], max_tokens=_ANSWER_TOKENS, threads=threads)
    return golden_gate(prompt, said.text, tokens=said.tokens, chat=chat)


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenSeen:
    """What an encoder gives for the texts that it takes, and what it says of itself."""

    said: EncoderDescription
    tokenizer: str
    texts: tuple[str, ...]
    outputs: GoldenOutputs


def golden_outputs(weights: Weights, *, threads: int, progress: Progress) -> GoldenSeen:
    """Raises BadInputError for an encoder that does not run."""
    from edgepack.engines.onnxruntime_golden import given_for, tokenizer_of
    from edgepack.engines.onnxruntime_library import describe, runtime

    progress.step("asking the encoder the golden texts")
    texts = json.loads(files("edgepack").joinpath("data", "golden-texts.json").read_text(encoding="utf-8"))
    given, ran = given_for(weights.path, texts, threads=threads), runtime()
    return GoldenSeen(
        said=describe(weights.path), tokenizer=tokenizer_of(weights.path), texts=given.texts,
        outputs=GoldenOutputs(runtime=f"{ran.name} {ran.version}", outputs=given.outputs),
    )  # fmt: skip
