"""Which model is the better for a kind of task, by published scores: it knows ranks within harnesses, never values.

Two models are compared only where the same people measured both in one way; what counts is who was ahead, not by how
much. Models that met in no harness are linked through those that both met (Bradley and Terry's model of paired
comparisons). A model that nobody measured beside the others is unknown.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from edgepack.domain.catalogue import CatalogueModel, Score
from edgepack.domain.needs import TaskKind
from edgepack.domain.skills import Skill, may_think, skill_of, skills_for

# Who measures his own model beside another's chooses the prompts: such a comparison counts half.
_OWN_TABLE = 0.5
# A model that only its own makers measured: what they claim it is ahead or behind by counts half.
_UNCONFIRMED = 0.5
# A draw against a middling model, this small, keeps one that won everything from being infinitely good.
_DOUBT = 0.5
# Who met one other model alone may be anything beyond it.
_LEAST_RIVALS = 2
_ROUNDS = 200
_STILL = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """How good a model is beside the others, and by whose results."""

    score: float | None
    """The share of the other rated models that it is expected to be ahead of; None where nobody knows."""
    rivals: int
    """Models that it was measured beside."""
    independent: bool
    """Whether anybody but its own maker measured it."""
    harnesses: tuple[str, ...]
    benchmarks: tuple[str, ...]
    sources: tuple[str, ...]


UNKNOWN = Quality(score=None, rivals=0, independent=False, harnesses=(), benchmarks=(), sources=())


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Two models in one harness: the share of benchmarks in which the first was ahead, and what that is worth."""

    first: str
    second: str
    harness: str
    ahead: float
    weight: float


def quality(models: Sequence[CatalogueModel], kind: TaskKind, *, multilingual: bool = False) -> dict[str, Quality]:
    """The quality of each model by its id. Give it all that are known: whoever is left out links nobody."""
    skills = (*skills_for(kind), *((Skill.LANGUAGES,) if multilingual else ()))
    scores = {model.id: _counting(model, skills, thinking=may_think(kind)) for model in models}
    # Sums of floats depend on their order, results must not.
    met = list(_meetings(sorted(models, key=lambda model: model.id), scores, skills))
    group = _largest_group(met)
    strengths = _strengths([meeting for meeting in met if meeting.first in group])
    return {model.id: _quality(model, scores[model.id], met, strengths) for model in models}


_Results = Mapping[str, Mapping[str, Score]]
"""By harness and benchmark."""


def _counting(model: CatalogueModel, skills: tuple[Skill, ...], *, thinking: bool) -> _Results:
    """The scores that speak for these skills."""
    found: dict[str, dict[str, Score]] = defaultdict(dict)
    for score in model.scores:
        harness = score.harness
        if harness.ranks and (thinking or not harness.thinking) and _skill(score.benchmark) in skills:
            found[harness.id][score.benchmark] = score
    return found


@cache
def _skill(benchmark: str) -> Skill | None:
    return skill_of(benchmark)


def _meetings(
    models: Sequence[CatalogueModel], scores: Mapping[str, _Results], skills: tuple[Skill, ...]
) -> Iterator[_Meeting]:
    for first, second in combinations(models, 2):
        for harness in sorted(scores[first.id].keys() & scores[second.id].keys()):
            mine, theirs = scores[first.id][harness], scores[second.id][harness]
            ahead = _share_ahead(mine, theirs, skills)
            if ahead is not None:
                maker = next(iter(mine.values())).harness.maker
                own = (_made_by(first, maker), _made_by(second, maker))
                yield _Meeting(first.id, second.id, harness, ahead, _OWN_TABLE if own[0] != own[1] else 1.0)


def _made_by(model: CatalogueModel, maker: str | None) -> bool:
    return maker is not None and model.hub_id.split("/")[0] == maker


def _share_ahead(mine: Mapping[str, Score], theirs: Mapping[str, Score], skills: tuple[Skill, ...]) -> float | None:
    """Over the benchmarks that both have; each skill counts as much, however many benchmarks test it."""
    won: dict[Skill, list[float]] = defaultdict(list)
    for benchmark in mine.keys() & theirs.keys():
        skill = _skill(benchmark)
        if skill is not None:
            difference = mine[benchmark].score - theirs[benchmark].score
            won[skill].append(0.5 if difference == 0 else float(difference > 0))
    shares = [sum(won[skill]) / len(won[skill]) for skill in skills if won[skill]]
    return sum(shares) / len(shares) if shares else None


def _largest_group(meetings: Sequence[_Meeting]) -> frozenset[str]:
    """The most models that are linked with each other; of two such groups the one with the first name."""
    neighbours: dict[str, set[str]] = defaultdict(set)
    for meeting in meetings:
        neighbours[meeting.first].add(meeting.second)
        neighbours[meeting.second].add(meeting.first)
    best: set[str] = set()
    left = set(neighbours)
    for start in sorted(neighbours):
        if start in left:
            group = _reached(start, neighbours)
            left -= group
            best = max(best, group, key=len)
    return frozenset(best)


def _reached(start: str, neighbours: Mapping[str, set[str]]) -> set[str]:
    group, waiting = {start}, [start]
    while waiting:
        new = neighbours[waiting.pop()] - group
        group |= new
        waiting += new
    return group


def _strengths(meetings: Sequence[_Meeting]) -> dict[str, float]:
    """Bradley and Terry's strengths by Zermelo's iteration: i is ahead of j with probability i / (i + j)."""
    won: dict[str, float] = defaultdict(lambda: _DOUBT / 2)
    met: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for meeting in meetings:
        won[meeting.first] += meeting.weight * meeting.ahead
        won[meeting.second] += meeting.weight * (1 - meeting.ahead)
        met[meeting.first][meeting.second] += meeting.weight
        met[meeting.second][meeting.first] += meeting.weight
    strengths = dict.fromkeys(sorted(met), 1.0)
    for _ in range(_ROUNDS):
        moved = 0.0
        for name, mine in strengths.items():
            pull = _DOUBT / (mine + 1.0) + sum(
                weight / (mine + strengths[other]) for other, weight in met[name].items()
            )
            strengths[name] = won[name] / pull
            moved = max(moved, abs(strengths[name] / mine - 1))
        if moved < _STILL:
            break
    return strengths


def _quality(
    model: CatalogueModel, scores: _Results, met: Sequence[_Meeting], strengths: Mapping[str, float]
) -> Quality:
    name = model.id
    mine = [meeting for meeting in met if name in (meeting.first, meeting.second)]
    rivals = {rival for meeting in mine for rival in (meeting.first, meeting.second)} - {name}
    if name not in strengths or len(rivals) < _LEAST_RIVALS:
        return UNKNOWN
    others = [strength for other, strength in strengths.items() if other != name]
    used = [score for harness in sorted({meeting.harness for meeting in mine}) for score in scores[harness].values()]
    independent = any(not _made_by(model, score.harness.maker) for score in used)
    score = sum(strengths[name] / (strengths[name] + strength) for strength in others) / len(others)
    return Quality(
        score=score if independent else 0.5 + (score - 0.5) * _UNCONFIRMED,
        rivals=len(rivals),
        independent=independent,
        harnesses=tuple(dict.fromkeys(score.harness.id for score in used)),
        benchmarks=tuple(dict.fromkeys(score.benchmark for score in used)),
        sources=tuple(dict.fromkeys(score.harness.source for score in used)),
    )
