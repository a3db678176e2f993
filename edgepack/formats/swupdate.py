"""A bundle as a SWUpdate image: a description signed with openssl, and the bundle's tar, in one cpio."""

import os
from pathlib import Path

from edgepack.domain.bundle import Manifest
from edgepack.domain.packaging import PREFIX, Packaging
from edgepack.domain.progress import Bar
from edgepack.formats.outside import call
from edgepack.formats.payload import WRITTEN_AT
from edgepack.formats.tar import write_members
from edgepack.infra.digests import sha256_of

_ANY = "#RE:.*"
"""Every revision of the board; what calls itself how is the device's own business."""
_DESCRIPTION, _SIGNATURE, _ARCHIVE = "sw-description", "sw-description.sig", "model.tar"


def write_swupdate(
    tree: Path, manifest: Manifest, packaging: Packaging, destination: Path, scratch: Path, bar: Bar
) -> None:
    """Write the new .swu; `scratch` is an empty directory on the same disk. The bar hears every byte."""
    assert packaging.key, "Packaging has seen it"
    assert packaging.certificate, "Packaging has seen it"
    place = scratch / "swu"
    place.mkdir()
    name = manifest.facts.name
    files = {f"{name}/{path.relative_to(tree)}": path for path in sorted(tree.rglob("*")) if path.is_file()}
    write_members(files, place / _ARCHIVE, bar)
    (place / _DESCRIPTION).write_text(_description(name, packaging, sha256_of(place / _ARCHIVE)))
    call([
        "openssl", "cms", "-sign", "-in", place / _DESCRIPTION, "-out", place / _SIGNATURE, "-binary", "-nosmimecap",
        "-noattr", "-outform", "DER", "-signer", packaging.certificate, "-inkey", packaging.key,
    ])  # fmt: skip
    members = (_DESCRIPTION, _SIGNATURE, _ARCHIVE)
    for member in members:
        (place / member).chmod(0o644)
        os.utime(place / member, (WRITTEN_AT, WRITTEN_AT))
    # The description must come first, and the signature after it.
    call(
        ["cpio", "--quiet", "--create", "--format=crc", "--owner=+0:+0", "--reproducible", "-F", destination],
        cwd=place, text_in="".join(f"{member}\n" for member in members),
    )  # fmt: skip


def _description(name: str, packaging: Packaging, digest: str) -> str:
    """In libconfig's words, as SWUpdate reads them by default."""
    return (
        "software =\n"
        "{\n"
        f'    version = "{packaging.version}";\n'
        f'    description = "{name}";\n'
        f'    hardware-compatibility: [ "{packaging.compatible or _ANY}" ];\n'
        "    files: (\n"
        "        {\n"
        f'            filename = "{_ARCHIVE}";\n'
        '            type = "archive";\n'
        f'            path = "/{PREFIX}";\n'
        "            preserve-attributes = true;\n"
        '            properties: { create-destination = "true"; };\n'
        f'            sha256 = "{digest}";\n'
        "        }\n"
        "    );\n"
        "}\n"
    )
