"""A model asked by a task: labels scored, texts written greedily or under a grammar; it judges no answer."""

import ctypes
import math
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from itertools import takewhile
from time import perf_counter

import numpy as np

from edgepack.domain.answering import Answered
from edgepack.domain.errors import BadInputError
from edgepack.domain.task import Entities, Example, Form, FreeText, Grammar, JsonSchema, Labels, Task
from edgepack.engines.llamacpp import piece, prompt_tokens
from edgepack.engines.llamacpp_chat import ChatMessage, chat_prompt_of, has_chat_template
from edgepack.engines.llamacpp_grammar import Constraint, Logits, constrained, grammar_of_schema
from edgepack.engines.llamacpp_library import OpenModel, context, decode, refuse_encoder, refused

_BATCH = 2048
_TOGETHER = 31
"""Labels that are scored in one pass."""
_LEAST = 256
"""Tokens of a context: llama.cpp aborts where a batch, which is no longer, has fewer than there are texts."""
_DIGITS = 6
"""Of what is noted of a token; logits are float32."""
# Some templates write the date; answers shall not depend on the day.
_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def task_prompt(model: OpenModel, task: Task, example: Example) -> str:
    """One example as the model's chat template wraps it, after the task's system text and the shown examples.

    A model without a template gets paragraphs.
    """
    messages = [ChatMessage(role=role, content=content) for role, content in task.turns(example)]
    if has_chat_template(model):
        return chat_prompt_of(model, messages, now=_DAY)
    return "\n\n".join(message.content for message in messages) + "\n\n"


def answer_each(
    model: OpenModel, task: Task, prompts: Sequence[str], *, threads: int, cpus: tuple[int, ...] | None = None
) -> Iterator[Answered]:
    """The model's answer to each prompt, in the form that the task asks for.

    Raises BadInputError for an encoder, for a prompt that leaves no room in the model's context, and for a grammar
    or schema that llama.cpp cannot read; NoSpaceError when memory does not hold the context.
    """
    refuse_encoder(model)
    if not prompts:
        return
    form = task.form
    if isinstance(form, Labels):
        yield from _score_each(model, form.labels, prompts, threads, cpus)
        return
    gbnf = _gbnf(form)
    read = [prompt_tokens(model, prompt) for prompt in prompts]
    room = _room(model, [len(tokens) + task.max_tokens for tokens in read])
    with context(model, tokens=room, threads=threads, cpus=cpus) as handle:
        for tokens in read:
            with constrained(model, gbnf) if gbnf else nullcontext() as constraint:
                yield _write(model, handle, tokens, constraint, task.max_tokens)


def _gbnf(form: Form) -> str | None:
    match form:
        case JsonSchema(schema=schema) | Entities(schema=schema):
            return grammar_of_schema(schema)
        case Grammar(gbnf=gbnf):
            return gbnf
        case FreeText() | Labels():
            return None


def _room(model: OpenModel, needed: Sequence[int]) -> int:
    most, limit = max(needed, default=1), int(model.native.llama_model_n_ctx_train(model.handle))
    if most > limit:
        raise BadInputError(
            f"{model.path}: a prompt with its answer takes {most} tokens, and the model's context is {limit}",
            hint="show fewer examples, shorten the prompt or lower answer.max_tokens",
        )
    return most


def _write(
    model: OpenModel, handle: int, prompt: Sequence[int], constraint: Constraint | None, most: int
) -> Answered:
    native = model.native
    began = perf_counter()
    _read(model, handle, prompt)
    first = perf_counter() - began
    noted, count, whole = _Noted(), 0, False
    token = (ctypes.c_int32 * 1)()
    while True:
        logits = _logits(model, handle, -1)
        chosen = constraint.choose(logits) if constraint else int(logits.argmax())
        if chosen is None or native.llama_vocab_is_eog(model.vocabulary, chosen):
            whole = True
            break
        if count == most:
            break
        noted.add(logits, chosen, piece(model, chosen))
        if constraint:
            constraint.accept(chosen)
        count += 1
        token[0] = chosen
        decode(native, handle, token, 1)
    seconds = perf_counter() - began
    return Answered(
        text=noted.text, whole=whole, confidence=math.exp(noted.total / max(count, 1)), prompt_tokens=len(prompt),
        tokens=count, first_token=first, seconds=seconds, log_probabilities=tuple(noted.log_probabilities),
        margins=tuple(noted.margins),
    )  # fmt: skip


class _Noted:
    """A text in the making, and how sure the model is of each of its tokens."""

    def __init__(self) -> None:
        self.text, self.total = "", 0.0
        self.log_probabilities: list[float] = []
        self.margins: list[float] = []
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")

    def add(self, logits: Logits, token: int, said: bytes) -> None:
        log_probability = _log_probability(logits, token)
        self.total += log_probability
        self.text += self._decoder.decode(said)
        if self._decoder.getstate()[0]:
            return  # in the middle of a character
        other = max(logits[:token].max(initial=-np.inf), logits[token + 1 :].max(initial=-np.inf))
        self.log_probabilities.append(round(log_probability, _DIGITS))
        self.margins.append(round(float(logits[token] - other), _DIGITS))


def _score_each(
    model: OpenModel,
    labels: Sequence[str],
    prompts: Sequence[str],
    threads: int,
    cpus: tuple[int, ...] | None,
) -> Iterator[Answered]:
    """The label that the model would most likely answer with, and end there: a label that another begins with has
    no advantage."""
    all_texts = [[_labelled(model, prompt, label) for label in labels] for prompt in prompts]
    longest = _room(model, [max(map(len, texts)) for texts in all_texts])
    room = max(longest + max(map(_beside, all_texts)), _LEAST)
    together = min(len(labels), _TOGETHER, max(1, _BATCH // max(map(_longest_rest, all_texts))))
    with context(
        model, tokens=room, threads=threads, cpus=cpus, batch=_BATCH, sequences=together + 1, one_cache=True
    ) as handle:
        for texts in all_texts:
            yield _score(model, handle, labels, texts, together)


def _labelled(model: OpenModel, prompt: str, label: str) -> tuple[int, ...]:
    """Tokenized as a whole: where prompt and label meet, a token may reach into both."""
    native, vocabulary = model.native, model.vocabulary
    turn = native.llama_vocab_eot(vocabulary)
    end = turn if turn >= 0 else native.llama_vocab_eos(vocabulary)
    return (*prompt_tokens(model, prompt + label), *((end,) if end >= 0 else ()))


def _beside(texts: Sequence[Sequence[int]]) -> int:
    """Tokens of the labels that lie in the cache beside each other."""
    shared = _shared(texts)
    return sum(sorted(len(text) - shared for text in texts)[-_TOGETHER:])


def _longest_rest(texts: Sequence[Sequence[int]]) -> int:
    return max(map(len, texts)) - _shared(texts)


def _shared(texts: Sequence[Sequence[int]]) -> int:
    """How many tokens all begin with, one of each left to be scored."""
    same = len(list(takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))))
    return min(same, min(map(len, texts)) - 1)


def _score(
    model: OpenModel, handle: int, labels: Sequence[str], texts: Sequence[Sequence[int]], together: int
) -> Answered:
    began = perf_counter()
    shared = _shared(texts)
    _read(model, handle, texts[0][:shared])
    first = perf_counter() - began
    logits = _logits(model, handle, -1).copy()
    scores = [_log_probability(logits, text[shared]) for text in texts]
    for start in range(0, len(texts), together):
        rests = [text[shared:] for text in texts[start : start + together]]
        for place, more in enumerate(_rest_scores(model, handle, rests, shared), start=start):
            scores[place] += more
    best = int(np.argmax(scores))
    shares = np.exp(np.array(scores) - scores[best])
    return Answered(
        text=labels[best], whole=True, confidence=float(1 / shares.sum()), prompt_tokens=shared,
        tokens=sum(len(text) - shared for text in texts), first_token=first, seconds=perf_counter() - began,
    )  # fmt: skip


def _rest_scores(model: OpenModel, handle: int, rests: Sequence[Sequence[int]], begin: int) -> Iterator[float]:
    """Of each text, the log-probability of all tokens but the first, read beside each other in one pass."""
    native = model.native
    memory = native.llama_get_memory(handle)
    rows = [
        (token, begin + step, number) for number, rest in enumerate(rests, 1) for step, token in enumerate(rest[:-1])
    ]
    for number in range(1, len(rests) + 1):
        native.llama_memory_seq_cp(memory, 0, number, -1, -1)
    batch = native.llama_batch_init(max(len(rows), 1), 0, 1)
    try:
        batch.n_tokens = len(rows)
        for place, (token, position, number) in enumerate(rows):
            batch.token[place], batch.pos[place], batch.logits[place] = token, position, 1
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, number
        if rows and (status := native.llama_decode(handle, batch)) != 0:
            raise refused(status, len(rows))
        place = 0
        for rest in rests:
            total = 0.0
            for token in rest[1:]:
                total += _log_probability(_logits(model, handle, place), token)
                place += 1
            yield total
    finally:
        native.llama_batch_free(batch)
        for number in range(1, len(rests) + 1):
            native.llama_memory_seq_rm(memory, number, -1, -1)


def _read(model: OpenModel, handle: int, tokens: Sequence[int]) -> None:
    """A prompt, in a memory that holds nothing else."""
    native = model.native
    native.llama_memory_clear(native.llama_get_memory(handle), False)
    for start in range(0, len(tokens), _BATCH):
        part = tokens[start : start + _BATCH]
        decode(native, handle, (ctypes.c_int32 * len(part))(*part), len(part))
    native.llama_synchronize(handle)


def _logits(model: OpenModel, handle: int, place: int) -> Logits:
    size = model.native.llama_vocab_n_tokens(model.vocabulary)
    return np.ctypeslib.as_array(model.native.llama_get_logits_ith(handle, place), (size,))


def _log_probability(logits: Logits, token: int) -> float:
    top = logits.max()
    return float(logits[token] - top) - math.log(float(np.exp(logits - top).sum()))
