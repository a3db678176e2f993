"""What published benchmarks test, and which of it a kind of task asks for; it knows no model and no score."""

from enum import StrEnum

from edgepack.domain.needs import TaskKind


class Skill(StrEnum):
    """What a benchmark tests."""

    INSTRUCTIONS = "instructions"
    """To do what is asked, in the form that is asked for; to hold a conversation."""
    KNOWLEDGE = "knowledge"
    """To know what things are: the school's subjects, and common sense."""
    REASONING = "reasoning"
    """To arrive at an answer by steps: maths, puzzles, science."""
    CODE = "code"
    GROUNDED = "grounded"
    """To answer out of a text that is given, and a long one."""
    TOOLS = "tools"
    """To fill in what a program reads: calls of functions."""
    LANGUAGES = "languages"
    """Any of it in other languages than English."""
    EMBEDDING = "embedding"
    """To place texts of like meaning near each other."""


# By the beginning of a benchmark's name in small letters and digits: "MMLU-Pro (CoT)" is "mmluprocot". The longest
# beginning counts. GPQA stands with reasoning: its questions are made so that knowing is not enough.
_TESTS: dict[str, Skill | None] = {
    "agieval": Skill.REASONING,
    "aime": Skill.REASONING,
    "alpacaeval": Skill.INSTRUCTIONS,
    "amc": Skill.REASONING,
    "arc": Skill.KNOWLEDGE,
    "arenahard": Skill.INSTRUCTIONS,
    # A mean over everything says nothing of one skill.
    "average": None,
    "avg": None,
    "bbh": Skill.REASONING,
    "bfcl": Skill.TOOLS,
    "bigcodebench": Skill.CODE,
    "boolq": Skill.GROUNDED,
    "ceval": Skill.LANGUAGES,
    "classification": Skill.EMBEDDING,
    "clustering": Skill.EMBEDDING,
    "cmmlu": Skill.LANGUAGES,
    "cmteb": Skill.EMBEDDING,
    "cruxeval": Skill.CODE,
    "drop": Skill.GROUNDED,
    "globalmmlu": Skill.LANGUAGES,
    "gpqa": Skill.REASONING,
    "gsm8k": Skill.REASONING,
    "hellaswag": Skill.KNOWLEDGE,
    "helmet": Skill.GROUNDED,
    "hmmt": Skill.REASONING,
    "humaneval": Skill.CODE,
    "ifbench": Skill.INSTRUCTIONS,
    "ifeval": Skill.INSTRUCTIONS,
    "include": Skill.LANGUAGES,
    "kmmlu": Skill.LANGUAGES,
    "kolongbench": Skill.LANGUAGES,
    "ksm": Skill.LANGUAGES,
    # A mixture of all skills.
    "livebench": None,
    "livecodebench": Skill.CODE,
    "longbench": Skill.GROUNDED,
    "math": Skill.REASONING,
    "math500es": Skill.LANGUAGES,
    "mbpp": Skill.CODE,
    "mgsm": Skill.LANGUAGES,
    "mmlu": Skill.KNOWLEDGE,
    "mmlude": Skill.LANGUAGES,
    "mmlues": Skill.LANGUAGES,
    "mmlufr": Skill.LANGUAGES,
    "mmluhi": Skill.LANGUAGES,
    "mmluit": Skill.LANGUAGES,
    "mmlupt": Skill.LANGUAGES,
    "mmluth": Skill.LANGUAGES,
    "mmmlu": Skill.LANGUAGES,
    "mtbench": Skill.INSTRUCTIONS,
    "mteb": Skill.EMBEDDING,
    "multiif": Skill.INSTRUCTIONS,
    "multilingual": Skill.LANGUAGES,
    "multiple": Skill.CODE,
    "musr": Skill.REASONING,
    "openrewrite": Skill.INSTRUCTIONS,
    "pairclass": Skill.EMBEDDING,
    "piqa": Skill.KNOWLEDGE,
    "rerank": Skill.EMBEDDING,
    "retrieval": Skill.EMBEDDING,
    "ruler": Skill.GROUNDED,
    "simpleqa": Skill.KNOWLEDGE,
    "sts": Skill.EMBEDDING,
    "taubench": Skill.TOOLS,
    "tldr": Skill.GROUNDED,
    # The less a small model knows, the fewer falsehoods it repeats: it ranks them upside down.
    "truthfulqa": None,
    "winogrande": Skill.KNOWLEDGE,
    "wmt": Skill.LANGUAGES,
}

# What each kind stands or falls with. A label or a field must come in the form asked for, and be understood; what
# stands in a given text need not be known. Chat is asked about everything.
_ASKED: dict[TaskKind, tuple[Skill, ...]] = {
    TaskKind.CLASSIFY: (Skill.INSTRUCTIONS, Skill.KNOWLEDGE),
    TaskKind.EXTRACT: (Skill.INSTRUCTIONS, Skill.GROUNDED, Skill.TOOLS),
    TaskKind.REWRITE: (Skill.INSTRUCTIONS,),
    TaskKind.ANSWER: (Skill.INSTRUCTIONS, Skill.GROUNDED),
    TaskKind.CHAT: (Skill.INSTRUCTIONS, Skill.KNOWLEDGE),
    TaskKind.SUMMARISE: (Skill.INSTRUCTIONS, Skill.GROUNDED),
    TaskKind.RAG: (Skill.INSTRUCTIONS, Skill.GROUNDED),
    TaskKind.REASON: (Skill.REASONING,),
    TaskKind.CODE: (Skill.CODE,),
    TaskKind.RESEARCH: (Skill.REASONING, Skill.KNOWLEDGE, Skill.GROUNDED),
}
# Where an answer may take its time; elsewhere a model that thinks first keeps a small device busy for minutes.
_PATIENT = frozenset({TaskKind.REASON, TaskKind.RESEARCH})


def skill_of(benchmark: str) -> Skill | None:
    """What a benchmark tests; None for one that tells no skill apart. Raises KeyError for one that nobody listed."""
    name = "".join(letter for letter in benchmark.casefold() if letter.isalnum())
    return _TESTS[max((known for known in _TESTS if name.startswith(known)), key=len, default=name)]


def skills_for(kind: TaskKind) -> tuple[Skill, ...]:
    """The skills that a kind of task stands or falls with; each counts as much."""
    return _ASKED[kind]


def may_think(kind: TaskKind) -> bool:
    """Whether results count for which the models thought before they answered."""
    return kind in _PATIENT
