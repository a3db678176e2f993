"""An evaluation as JSON (edgepack.evaluation/1), every answer in it; files and terminals are not its business."""

from dataclasses import asdict
from datetime import UTC

from edgepack.domain.answering import answered_json
from edgepack.domain.evaluation import SCHEMA, Evaluation, Judged
from edgepack.domain.metrics import LEVEL, RESAMPLES


def evaluation_json(evaluation: Evaluation) -> dict[str, object]:
    """Plain values for `json.dumps`."""
    task = evaluation.task
    labels, rows = evaluation.confusion
    return {
        "schema": SCHEMA,
        "date": evaluation.date.astimezone(UTC).isoformat(),
        "weights": asdict(evaluation.weights),
        "task": {
            "name": task.name, "title": task.title, "kind": task.kind.value, "level": task.level,
            "digest": task.digest, "metric": task.metric.value, "shown": len(task.shown),
        },
        "runtime": asdict(evaluation.runtime),
        "threads": evaluation.threads,
        "examples": len(evaluation.judged),
        "kept": evaluation.kept,
        "metrics": {
            metric.value: {
                "value": found.value, "low": found.low, "high": found.high, "level": LEVEL, "resamples": RESAMPLES,
            }
            for metric, found in evaluation.metrics.items()
        },
        "classes": [
            {
                "label": label, "precision": counts.precision, "recall": counts.recall, "f1": counts.f1,
                "support": counts.support,
            }
            for label, counts in evaluation.classes.items()
        ],
        "confusion": {"labels": list(labels), "rows": [list(row) for row in rows]},
        "first_token_seconds": asdict(evaluation.first_token),
        "seconds": asdict(evaluation.seconds),
        "prompt_tokens": evaluation.prompt_tokens,
        "tokens": evaluation.tokens,
        "tokens_per_second": evaluation.decode,
        "memory": evaluation.memory,
        "energy": evaluation.energy and asdict(evaluation.energy),
        "targets": [asdict(target) for target in evaluation.targets],
        "answers": [_answer(judged) for judged in evaluation.judged],
    }  # fmt: skip


def _answer(judged: Judged) -> dict[str, object]:
    return {
        "fields": dict(judged.example.fields),
        "wanted": judged.example.answer,
        "score": judged.score,
        **answered_json(judged.answered),
    }
