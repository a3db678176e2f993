"""A tagger that was really trained: a seeded BERT's states and a head fitted on them; sentences to learn from."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from edgepack.convert.onnx.encoder import open_encoder as open_conversion
from edgepack.convert.onnx.encoder import write_onnx
from edgepack.domain.quant import OnnxQuant
from edgepack.engines.onnxruntime_library import encoded, open_encoder, run
from tests.fakes.checkpoints import make_checkpoint, write_safetensors
from tests.oracle.onnx_encoders import RECIPES

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
_WIDTH = 96
_PERSONS = ("Anna Weber", "Bob", "Maria del Carmen", "Tom O'Neil", "Ingrid", "Kofi Mensah")
_PLACES = ("Oslo", "New York", "Saint-Denis", "Kenya", "Rio de Janeiro", "Porto")
_WAYS = ("{p} lives in {l}.", "In {l}, {p} met {q}.", "{p} and {q} left {l}", "Does {p} know {l}?", "Nobody came.")


@dataclass(frozen=True, kw_only=True)
class Sentence:
    text: str
    entities: dict[str, list[str]]


def sentences(seed: int, count: int) -> Iterator[Sentence]:
    random = np.random.default_rng(seed)
    for _ in range(count):
        (p, q), place = random.choice(_PERSONS, 2, replace=False), random.choice(_PLACES)
        way = str(random.choice(_WAYS))
        persons = [str(name) for mark, name in (("{p}", p), ("{q}", q)) if mark in way]
        yield Sentence(
            text=way.format(p=p, q=q, l=place),
            entities={"PER": persons, "LOC": [str(place)] if "{l}" in way else []},
        )


def trained_tagger(
    directory: Path, vocabularies: Path, taught: list[tuple[str, list[tuple[int, int]], list[str]]]
) -> Path:
    """A checkpoint; `taught` are texts, their words, and the words' tags."""
    (recipe,) = (recipe for recipe in RECIPES if recipe.name == "bert-tanh-tokens")
    names = [f"H{number}" for number in range(_WIDTH)]
    seen = make_checkpoint(
        replace(recipe, config={**recipe.config, **_named(names)}), directory / "states", vocabularies
    )
    _put_head(seen, np.eye(_WIDTH, dtype=np.float32), np.zeros(_WIDTH, np.float32), names)
    write_onnx(open_conversion(seen, "states"), OnnxQuant.F32, directory / "states.onnx")
    encoder = open_encoder(directory / "states.onnx", threads=1)
    states, wanted = [], []
    for text, words, tags in taught:
        encoding = encoded(encoder, text, 1)
        given = run(encoder, encoding)
        for (start, _), tag in zip(words, tags, strict=True):
            states.append(given[encoding.char_to_token(start)])
            wanted.append(TAGS.index(tag))
    fitted = LogisticRegression(C=10, max_iter=3000).fit(np.stack(states), wanted)
    _put_head(seen, fitted.coef_.astype(np.float32), fitted.intercept_.astype(np.float32), TAGS)
    return seen


def _named(names: "list[str] | tuple[str, ...]") -> dict[str, object]:
    return {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }


def _put_head(
    checkpoint: Path,
    matrix: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    names: "list[str] | tuple[str, ...]",
) -> None:
    config = checkpoint / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **_named(names)}))
    weights = checkpoint / "model.safetensors"
    data = weights.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    values = {
        name: data[8 + length + one["data_offsets"][0] : 8 + length + one["data_offsets"][1]]
        for name, one in header.items()
    }
    stored = {name: (one["dtype"], tuple(one["shape"])) for name, one in header.items()}
    for name, array in (("classifier.weight", matrix), ("classifier.bias", bias)):
        stored[name], values[name] = ("F32", array.shape), array.tobytes()
    write_safetensors(weights, stored, values.__getitem__)
