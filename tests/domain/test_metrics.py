"""Metrics are what scikit-learn and rouge-score compute, on a thousand random cases each."""

import json
import warnings
from random import Random

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sklearn import metrics as reference

from edgepack.domain import metrics
from edgepack.domain.metrics import Counts, by_class, confusion, estimate, exact, fields, macro_f1, quantile, rouge_l

CASES = 1000
WORDS = ["the", "a", "Lamp", "lamp,", "is", "on", "off", "22", "°C", "naïve", "don't", "kitchen-light", "…", "_x_"]


def labelled(random: Random) -> tuple[list[str], list[str]]:
    """Right and given labels: few or many, skewed, some of which occur on one side only."""
    labels = [f"label {number}" for number in range(random.randint(1, 9))]
    count = random.randint(1, 60)
    wanted = random.choices(labels, [1 / (place + 1) for place in range(len(labels))], k=count)
    said = [label if random.random() < 0.6 else random.choice(labels) for label in wanted]
    return wanted, said


def test_classification_is_scikit_learns() -> None:
    """Accuracy, precision, recall, F1, support, macro-F1 and the confusion matrix."""
    random = Random(1)
    for _ in range(CASES):
        wanted, said = labelled(random)
        labels, rows = confusion(wanted, said)
        assert metrics.accuracy(wanted, said) == pytest.approx(reference.accuracy_score(wanted, said))
        assert macro_f1(wanted, said) == pytest.approx(
            reference.f1_score(wanted, said, average="macro", zero_division=0)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = reference.precision_recall_fscore_support(wanted, said, labels=labels, zero_division=0)
            their_rows = reference.confusion_matrix(wanted, said, labels=list(labels))
        ours = [(one.precision, one.recall, one.f1, one.support) for one in by_class(wanted, said).values()]
        np.testing.assert_allclose(np.array(ours).T, np.array(theirs))
        assert their_rows.tolist() == [list(row) for row in rows]


def test_field_f1_is_scikit_learns_over_sets_of_fields() -> None:
    """The micro average over which fields an answer has: flat objects, as multilabel indicators."""
    random = Random(2)
    for _ in range(CASES):
        pairs = [(flat(random), flat(random)) for _ in range(random.randint(1, 12))]
        names = sorted({field for pair in pairs for side in pair for field in side.items()})
        ours = metrics.field_f1([fields(json.dumps(one), json.dumps(other)) for one, other in pairs])
        if not names:
            continue
        wanted, said = (
            np.array([[int(name in pair[side].items()) for name in names] for pair in pairs]) for side in (0, 1)
        )
        theirs = reference.f1_score(wanted, said, average="micro", zero_division=0)
        assert ours == pytest.approx(theirs)


def flat(random: Random) -> dict[str, str]:
    """Never empty: an empty object counts as a field itself."""
    return {key: random.choice("xyz") for key in random.sample("abcdef", random.randint(1, 6))}


def test_rouge_l_is_rouge_scores() -> None:
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    random = Random(3)
    for _ in range(CASES):
        one, other = (" ".join(random.choices(WORDS, k=random.randint(0, 25))) for _ in range(2))
        assert rouge_l(one, other) == pytest.approx(scorer.score(one, other)["rougeL"].fmeasure)


def test_quantiles_are_numpys() -> None:
    random = Random(4)
    for _ in range(CASES):
        values = sorted(random.random() for _ in range(random.randint(1, 30)))
        share = random.random()
        assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)))


@pytest.mark.parametrize(
    ("wanted", "said", "equal"),
    [
        ('{"a":1,"b":2}', '{ "b": 2, "a": 1.0 }', True),
        ('{"a":1}', '{"a":true}', False),
        ('{"a":1}', '{"a":"1"}', False),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('{"a":1}', '{"a":1', False),
        ("yes", " yes\n", True),
        ("yes", "Yes", False),
    ],
)
def test_json_is_compared_as_values(wanted: str, said: str, equal: bool) -> None:
    """Order of keys and blanks do not count; types, and order in arrays, do."""
    assert exact(wanted, said) is equal


def test_fields_are_paths_and_values() -> None:
    """Right, wrong and missing fields; what is not JSON says nothing right."""
    assert fields('{"a":{"b":1,"c":2}}', '{"a":{"b":1,"c":3},"d":4}') == Counts(right=1, extra=2, missed=1)
    assert fields('{"a":[1,2]}', '{"a":[2,1]}') == Counts(right=2, extra=0, missed=0)
    assert fields('{"a":1}', "a: 1") == Counts(right=0, extra=0, missed=1)


def test_an_interval_is_seeded_and_covers() -> None:
    """The same twice; about 95 of 100 intervals hold the true share that their sample was drawn from."""
    random = Random(5)
    held = 0
    for _ in range(200):
        sample = [float(random.random() < 0.7) for _ in range(80)]
        found = estimate(sample, metrics.mean)
        held += found.low <= 0.7 <= found.high
        assert found.low <= found.value <= found.high
    assert 180 <= held <= 199
    assert estimate([0.0, 1.0, 1.0], metrics.mean) == estimate([0.0, 1.0, 1.0], metrics.mean)


def test_of_nothing_everything_is_zero() -> None:
    assert (metrics.accuracy([], []), macro_f1([], []), metrics.field_f1([])) == (0.0, 0.0, 0.0)
    assert estimate([], metrics.mean).value == 0.0
