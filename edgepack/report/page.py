"""A report's facts as one HTML page that needs nothing else: no network, no script, no font, no picture beside it."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from edgepack.domain.report import Report
from edgepack.report import opening
from edgepack.report.figures import figures
from edgepack.report.section_choice import choice_section
from edgepack.report.section_quality import latency_section, quality_section
from edgepack.report.section_speed import memory_section, predicted_section, speed_section
from edgepack.report.section_trust import gates_section, provenance_section, routing_section, weights_section
from edgepack.report.view import Code, Facts, Page, Section, kind
from edgepack.report.words import harmless


def page_html(report: Report) -> str:
    """The page: the same bytes for the same facts."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("edgepack.report", "."), autoescape=True, undefined=StrictUndefined,
        finalize=_harmless, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["kind"] = kind
    # Ours, word for word, and its digest is what the page lets the browser apply.
    style = Markup(_style())  # noqa: S704
    return environment.get_template("page.html.j2").render(page=page(report), style=style, policy=policy(_style()))


def _harmless(value: object) -> object:
    """What the template writes: numbers and our own markup as they are, other text without what is not printed."""
    from markupsafe import Markup

    return harmless(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def policy(style: str) -> str:
    """A content security policy under which the page can load nothing and run nothing."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def page(report: Report) -> Page:
    return Page(
        title=opening.title(report),
        above=opening.above(report),
        lead=opening.lead(report),
        verdict=opening.verdict(report),
        figures=figures(report),
        sections=tuple(section for section in _sections(report) if section),
        foot=f"Written by edgepack {report.edgepack} from records alone: the same records give the same page.",
    )


def _sections(report: Report) -> list[Section | None]:
    one, bundle = report.evaluation, report.bundle
    plan = bundle.manifest.facts.plan if bundle else None
    return [
        choice_section(report),
        quality_section(one, report.targets) if one else None,
        latency_section(one) if one else None,
        routing_section(report.routing) if report.routing else None,
        speed_section(report.measurement, report.tuning, elsewhere=report.elsewhere) if report.measurement else None,
        predicted_section(report),
        memory_section(plan, report.measurement, bundle.budget if bundle else None) if plan else None,
        gates_section(report.gates) if report.gates else None,
        provenance_section(bundle) if bundle else weights_section(report.evaluations) if report.evaluations else None,
        _missing(report) if bundle else None,
    ]


_EVALUATE = "edgepack eval WEIGHTS --task T --out EVALUATION.json && edgepack report BUNDLE EVALUATION.json"


def _missing(report: Report) -> Section | None:
    """What a bundle's report could also tell, and which command would make it."""
    gaps = (
        (report.evaluation, "Quality, latency, confusion", _EVALUATE),
        (report.trials, "What else was tried", "edgepack build --profile P --task T --min-quality Q"),
        (report.measurement, "Speed", "edgepack build --profile P --device ssh://…"),
        (predicted_section(report), "Predicted against measured", "edgepack build --profile P --device ssh://…"),
        (report.gates, "Gates", "edgepack build --profile P --model CHECKPOINT"),
    )
    rows = tuple((name, Code(text=command)) for there, name, command in gaps if there is None)
    if not rows:
        return None
    return Section(
        name="missing", title="Not in this bundle", lead="What would fill the page.", blocks=(Facts(rows=rows),)
    )


@cache
def _style() -> str:
    return files("edgepack.report").joinpath("style.css").read_text(encoding="utf-8")
