"""edgepack model: lists and shows the models that edgepack knows by name."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.tables import aligned, footnoted
from edgepack.domain.catalogue import Catalogue, CatalogueModel, ModelConfig
from edgepack.domain.errors import BadInputError
from edgepack.infra.library import load_catalogue

_SIZES = {
    "num_hidden_layers": "{} layers",
    "hidden_size": "hidden {}",
    "intermediate_size": "ffn {}",
    "num_attention_heads": "{} heads",
    "num_key_value_heads": "{} kv heads",
    "head_dim": "{} a head",
    "vocab_size": "vocabulary {}",
    "tie_word_embeddings": "{}",
}
"""What config.json calls them, and how people say them."""
_CONSENT = {True: "yes", False: "no", None: "depends; read the licence"}


@click.group("model")
def command() -> None:
    """List or show the catalogue's models."""


@command.command("list")
@output_options
@click.pass_context
def list_models(context: click.Context) -> None:
    """List the models, from the smallest up."""
    models = load_catalogue().models
    output_of(context).result("model", {"models": [_data(model) for model in models]}, lambda: _listing(models))


@command.command("show")
@click.argument("model")
@output_options
@click.pass_context
def show_model(context: click.Context, model: str) -> None:
    """Show a model with its shape, licence and published scores: an id or a hub repository."""
    found = _found(load_catalogue(), model)
    output_of(context).result("model", {"model": _data(found)}, lambda: _sheet(found))


def _found(catalogue: Catalogue, text: str) -> CatalogueModel:
    if model := catalogue.find(text):
        return model
    near = catalogue.nearest(text)
    raise BadInputError(
        f"the catalogue has no model {text!r}",
        hint=f"{'did you mean ' + ' or '.join(near) + '? ' if near else ''}`edgepack model list` shows all",
    )


def _data(model: CatalogueModel) -> dict[str, object]:
    scores = [
        {"benchmark": score.benchmark, "score": score.score, "harness": score.harness.id,
         "setting": score.harness.setting, "source": score.harness.source}
        for score in model.scores
    ]  # fmt: skip
    return {**asdict(model), "scores": scores}


def _listing(models: tuple[CatalogueModel, ...]) -> str:
    header = ("ID", "PARAMETERS", "CONTEXT", "KIND", "ARCHITECTURE", "LICENCE", "RELEASED")
    rows = [
        (
            model.id,
            _billions(model.parameters),
            str(model.context),
            model.kind.value,
            model.architecture,
            (model.licence.spdx or model.licence.name) + (" (gated)" if model.licence.gated else ""),
            model.released,
        )
        for model in models
    ]
    return aligned(header, rows, right=frozenset({1, 2}))


def _sheet(model: CatalogueModel) -> str:
    return f"{model.id}: {model.hub_id}\n\n{footnoted([*_rows(model), *_score_rows(model)])}"


def _rows(model: CatalogueModel) -> Iterator[tuple[str, str, str | None]]:
    """What a person reads, line by line: label, text, source."""
    licence = model.licence
    yield "kind", model.kind, None
    yield "architecture", model.architecture, None
    yield "parameters", f"{_billions(model.parameters)} ({model.parameters:,})", model.parameters_source
    yield "context", f"{model.context} tokens", model.context_source
    yield from _config_rows(model.config)
    yield "licence", f"{licence.name}{f' ({licence.spdx})' if licence.spdx else ''}", licence.source
    if licence.url:
        yield "", licence.url, None
    yield "commercial use", _CONSENT[licence.commercial], licence.source
    if licence.excluded_regions:
        yield "not in", ", ".join(licence.excluded_regions), licence.source
    if licence.restrictions:
        yield "restrictions", licence.restrictions, licence.source
    yield "gated", "yes: accept the terms on the hub" if licence.gated else "no", licence.gated_source
    yield "languages", model.languages.text, model.languages.source
    yield "released", model.released, model.released_source
    if model.note:
        yield "note", model.note, None


def _config_rows(config: ModelConfig) -> Iterator[tuple[str, str, str | None]]:
    """The sizes as people say them, and what else stands in config.json, a line for each source."""
    for label, keys in (("shape", _SIZES.keys()), ("config", config.values.keys() - _SIZES.keys())):
        lines: dict[str, list[str]] = {}
        for key in sorted(keys & config.values.keys(), key=_order):
            lines.setdefault(config.sources[key], []).append(_said(key, config.values[key]))
        for source, texts in lines.items():
            yield label, ", ".join(texts), source


def _order(key: str) -> tuple[int, str]:
    return (list(_SIZES).index(key) if key in _SIZES else len(_SIZES), key)


def _said(key: str, value: object) -> str:
    if key == "tie_word_embeddings":
        return f"{'tied' if value else 'untied'} embeddings"
    return _SIZES[key].format(value) if key in _SIZES else f"{key} {json.dumps(value)}"


def _score_rows(model: CatalogueModel) -> Iterator[tuple[str, str, str | None]]:
    """One row for each harness: results of different ones are not compared."""
    for harness, scores in groupby(model.scores, key=lambda score: score.harness):
        results = ", ".join(f"{score.benchmark} {score.score:g}" for score in scores)
        yield "scores", f"{harness.id} ({harness.setting}): {results}", harness.source


def _billions(parameters: int) -> str:
    return f"{parameters / 1e9:.2f} B"
