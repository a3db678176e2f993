"""A task: what a model is for, as a prompt, a form of answer, examples, a metric and targets; it asks no model."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import sha256
from string import Formatter

from edgepack.domain.entities import as_texts, schema_of
from edgepack.domain.needs import TaskKind


class Metric(StrEnum):
    """What a task's quality is."""

    ACCURACY = "accuracy"
    """Share of the examples with the right label."""
    MACRO_F1 = "macro-f1"
    """The mean over the labels of what each one's precision and recall make: rare labels count as much."""
    EXACT_MATCH = "exact-match"
    """Share of the answers that are right as a whole."""
    FIELD_F1 = "field-f1"
    """Of all fields of all answers, what precision and recall make."""
    ENTITY_F1 = "entity-f1"
    """Of all entities of all texts, what precision and recall make."""
    ROUGE_L = "rouge-l"
    """The longest common run of words, with gaps, between answer and reference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """One of a closed set, each scored; nothing is sampled."""

    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entities:
    """The entities of a text, each a span of one of these kinds."""

    kinds: tuple[str, ...]

    @property
    def schema(self) -> str:
        """Of the JSON that a model writes which has no tags for the text's words."""
        return schema_of(self.kinds)


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonSchema:
    """JSON of a schema, enforced while it is written."""

    schema: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Grammar:
    """Text of a GBNF grammar, enforced while it is written."""

    gbnf: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeText:
    """Whatever the model writes."""


Form = Labels | Entities | JsonSchema | Grammar | FreeText


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """What is asked, before the model's own chat template wraps it."""

    user: str
    """With `{field}` where an example's field goes; `{{` and `}}` are braces."""
    system: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One request and its right answer."""

    fields: Mapping[str, str]
    answer: str
    """A label, a text, or JSON without spaces; entities as `entities_json` writes them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """What is good enough. None: no such target."""

    quality: float | None
    """Of the metric, 0 to 1."""
    first_token: float | None
    """Seconds until an answer begins, for 95 of 100 requests."""
    decode: float | None
    """Tokens a second, half of the requests faster."""
    size: int | None
    """Bytes of the weights."""
    memory: int | None
    """Bytes that the model takes while it runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A task, whole; `shown` stand in every prompt, `train` in none, `held_out` are asked."""

    name: str
    title: str
    kind: TaskKind
    level: int
    prompt: Prompt
    form: Form
    max_tokens: int
    metric: Metric
    shown: tuple[Example, ...]
    held_out: tuple[Example, ...]
    targets: Targets
    train: tuple[Example, ...] = ()
    """What encoders learn from beside what is shown."""

    @property
    def digest(self) -> str:
        """The sha256 over all that an answer depends on, the one example apart."""
        said = [self.prompt.user, self.prompt.system, type(self.form).__name__, asdict(self.form), self.max_tokens]
        shown = [[dict(example.fields), example.answer] for example in self.shown]
        train = [[dict(example.fields), example.answer] for example in self.train]
        whole = [said, shown, train] if train else [said, shown]
        return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    @property
    def taught(self) -> tuple[Example, ...]:
        """All that an encoder may learn from; none of it is asked."""
        return (*self.train, *self.shown)

    def asks(self, example: Example) -> str:
        """The user's words of one example."""
        return self.prompt.user.format_map(example.fields)

    def words(self, example: Example) -> str:
        """The example's fields alone, in the order of the prompt: what an encoder reads, which nobody can ask."""
        names = dict.fromkeys(name for _, name, _, _ in Formatter().parse(self.prompt.user) if name is not None)
        return "\n".join(example.fields[name] for name in names)

    def turns(self, example: Example) -> list[tuple[str, str]]:
        """Role and words of all that is said before the answer: the system text, the shown examples, the question."""
        system = [("system", self.prompt.system)] if self.prompt.system else []
        shown = [turn for one in self.shown for turn in (("user", self.asks(one)), ("assistant", self._says(one)))]
        return [*system, *shown, ("user", self.asks(example))]

    def _says(self, example: Example) -> str:
        return as_texts(example.answer, self.form.kinds) if isinstance(self.form, Entities) else example.answer

    @property
    def as_served(self) -> "Task":
        """The same, as a server is asked it, which scores no labels: one is written, under a grammar of them all."""
        if not isinstance(self.form, Labels):
            return self
        rules = " | ".join(json.dumps(label, ensure_ascii=False) for label in self.form.labels)
        # A token is a byte or more, but for a blank that some vocabularies begin with.
        longest = max(len(label.encode()) for label in self.form.labels)
        return replace(self, form=Grammar(gbnf=f"root ::= {rules}"), max_tokens=longest + 2)


FORMS_OF: Mapping[Metric, tuple[type[Form], ...]] = {
    Metric.ACCURACY: (Labels,),
    Metric.MACRO_F1: (Labels,),
    Metric.EXACT_MATCH: (Labels, Entities, JsonSchema, Grammar, FreeText),
    Metric.ENTITY_F1: (Entities,),
    Metric.FIELD_F1: (JsonSchema, Grammar),
    Metric.ROUGE_L: (FreeText, Grammar),
}
"""The forms of answer that each metric can judge."""


def fields_of(template: str) -> frozenset[str]:
    """The names in a template's braces; ValueError where it holds more than plain names."""
    found = set()
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError(f"{{{name}}}: only plain names stand in braces; {{{{ and }}}} are braces themselves")
        found.add(name)
    return frozenset(found)
