"""A bundle as a RAUC bundle, signed by rauc itself: a squashfs for a slot of class `model`."""

from pathlib import Path

from edgepack.domain.bundle import Manifest
from edgepack.domain.packaging import Packaging
from edgepack.formats.outside import call
from edgepack.formats.squashfs import write_squashfs

_IMAGE = "model.squashfs"


def write_rauc(tree: Path, manifest: Manifest, packaging: Packaging, destination: Path, scratch: Path) -> None:
    """Write the new .raucb; `scratch` is an empty directory on the same disk."""
    assert packaging.key, "Packaging has seen it"
    assert packaging.certificate, "Packaging has seen it"
    place = scratch / "rauc"
    place.mkdir()
    write_squashfs(tree, place / _IMAGE)
    (place / "manifest.raucm").write_text(
        "[update]\n"
        f"compatible={packaging.compatible or manifest.facts.profile.name}\n"
        f"version={packaging.version}\n"
        f"description={manifest.facts.name}\n"
        "\n"
        "[bundle]\n"
        f"format={packaging.rauc}\n"
        "\n"
        "[image.model]\n"
        f"filename={_IMAGE}\n"
    )
    signing = [f"--cert={packaging.certificate.resolve()}", f"--key={packaging.key.resolve()}"]
    call(["rauc", *signing, "bundle", place, destination])
