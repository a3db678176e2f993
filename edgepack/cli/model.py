"""edgepack model: lists and shows the models that edgepack knows by name."""

from collections.abc import Iterator
from dataclasses import asdict

import click

from edgepack.cli.options import output_of, output_options
from edgepack.cli.tables import aligned, footnoted
from edgepack.domain.catalogue import Catalogue, CatalogueModel
from edgepack.domain.errors import BadInputError
from edgepack.infra.library import load_catalogue


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
    return asdict(model)


def _listing(models: tuple[CatalogueModel, ...]) -> str:
    header = ("ID", "PARAMETERS", "CONTEXT", "KIND", "ARCHITECTURE", "LICENCE", "RELEASED")
    rows = [
        (
            model.id,
            _billions(model.parameters),
            str(model.context),
            model.kind.value,
            model.architecture.value,
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
    shape, licence = model.shape, model.licence
    yield "kind", model.kind, None
    yield "architecture", model.architecture, None
    yield "parameters", f"{_billions(model.parameters)} ({model.parameters:,})", model.parameters_source
    yield "context", f"{model.context} tokens", model.context_source
    yield (
        "shape",
        f"{shape.layers} layers, hidden {shape.hidden}, ffn {shape.ffn}, {shape.heads} heads,"
        f" {shape.kv_heads} kv heads of {shape.head_dim}, vocabulary {shape.vocabulary},"
        f" {'tied' if shape.tied else 'untied'} embeddings",
        model.shape_source,
    )
    yield "licence", f"{licence.name}{f' ({licence.spdx})' if licence.spdx else ''}", licence.source
    if licence.url:
        yield "", licence.url, None
    if licence.restrictions:
        yield "restrictions", licence.restrictions, licence.source
    yield "gated", "yes: accept the terms on the hub" if licence.gated else "no", licence.gated_source
    yield "languages", model.languages.text, model.languages.source
    yield "released", model.released, model.released_source
    if model.note:
        yield "note", model.note, None


def _score_rows(model: CatalogueModel) -> Iterator[tuple[str, str, str | None]]:
    """One row for each setting and source: results of different ones are not compared."""
    groups: dict[tuple[str, str], list[str]] = {}
    for score in model.scores:
        groups.setdefault((score.setting, score.source), []).append(f"{score.benchmark} {score.score:g}")
    for (setting, source), results in groups.items():
        yield "scores", f"{setting}: {', '.join(results)}", source


def _billions(parameters: int) -> str:
    return f"{parameters / 1e9:.2f} B"
