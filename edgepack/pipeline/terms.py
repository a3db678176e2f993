"""What a policy says to the terms of all that goes into a bundle, before anything is converted."""

from collections.abc import Iterator

from edgepack.domain.errors import VerificationError
from edgepack.domain.licences import Licence, LicencePolicy, named_licence
from edgepack.domain.progress import Progress
from edgepack.infra.library import load_catalogue
from edgepack.pipeline.order import Material, Planned


def check_terms(planned: Planned, policy: LicencePolicy, progress: Progress) -> None:
    """Raise VerificationError for terms that the policy refuses; say aloud what any product should know."""
    for name, licence in _terms(planned):
        if objection := policy.objection(licence):
            raise VerificationError(
                f"{name}: {objection}",
                hint="choose another (edgepack pick --licence-policy …), or allow these terms (docs/licences.md)",
            )
        for caution in licence.cautions:
            progress.warn(f"{name}: {caution}")


def _terms(planned: Planned) -> Iterator[tuple[str, Licence]]:
    yield planned.material.name, _licence(planned.material)
    if planned.adapter:
        yield planned.adapter.name, named_licence(planned.adapter.licence)
    if planned.large:
        yield planned.large.adopted.name, _licence(planned.large.adopted)


def _licence(material: Material) -> Licence:
    """The catalogue's, which people have read; else what the model's own card says."""
    listed = load_catalogue().find(material.origin.removeprefix("hub:"))
    return listed.licence if listed else named_licence(material.licence)
