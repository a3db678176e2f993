"""A task's examples asked at an address; every answer is kept at once, so that an interrupted run goes on."""

import json
from pathlib import Path

from edgepack.domain.address import Address
from edgepack.domain.answering import Answered
from edgepack.domain.evaluation import Judged, judge
from edgepack.domain.progress import Progress
from edgepack.domain.task import Entities, FreeText, Grammar, JsonSchema, Labels, Task
from edgepack.infra.answers import Answers, digest
from edgepack.infra.chat_api import connected


def ask_address(
    address: Address, task: Task, *, home: Path, progress: Progress, limit: int | None = None, fresh: bool = False
) -> tuple[Judged, ...]:
    """Ask the first `limit` of the held-out examples. Raises NetworkError where an answer does not come."""
    examples = task.held_out[:limit]
    answers = Answers(home, str(address), task.digest)
    if fresh:
        answers.forget()
    known = answers.all()
    progress.step(f"ask {address} {len(examples)} examples of {task.name}")
    limits = {"max_tokens": task.max_tokens, **_form(task)}
    with connected(address) as api, progress.bar("answers", len(examples), "answer") as bar:
        for example in examples:
            prompt = json.dumps(task.turns(example))
            if digest(prompt) not in known:
                known[digest(prompt)] = answered = api.answer(task.turns(example), limits)
                answers.keep(prompt, answered)
            bar.advance(1)
    return tuple(judge(task, example, _of(known, task.turns(example))) for example in examples)


def _of(known: dict[str, Answered], turns: list[tuple[str, str]]) -> Answered:
    return known[digest(json.dumps(turns))]


def _form(task: Task) -> dict[str, object]:
    """What a server takes for the form of an answer; a grammar, llama.cpp's alone."""
    match task.form:
        case JsonSchema(schema=schema) | Entities(schema=schema):
            inner = {"name": "answer", "strict": True, "schema": json.loads(schema)}
            return {"response_format": {"type": "json_schema", "json_schema": inner}}
        case Grammar(gbnf=gbnf):
            return {"grammar": gbnf}
        case FreeText() | Labels():
            return {}
