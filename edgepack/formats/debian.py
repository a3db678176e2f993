"""A bundle as a Debian package, put together by dpkg-deb: files below /usr/lib/edgepack, a unit, its own user."""

import gzip
import os
import re
from functools import partial
from hashlib import file_digest, md5
from pathlib import Path

from edgepack.domain.bundle import LICENCES, Manifest
from edgepack.domain.packaging import PREFIX, Packaging, debian_architecture, debian_name
from edgepack.formats.extraction import settle
from edgepack.formats.outside import call
from edgepack.formats.payload import WRITTEN_AT

_DATA = Path(__file__).resolve().parent.parent / "data" / "package"
_SCRIPTS = ("postinst", "prerm", "postrm")
_DATED = "Sat, 01 Jan 2000 00:00:00 +0000"
"""The changelog's only entry, by the time that all bundles have."""


def write_debian(tree: Path, manifest: Manifest, packaging: Packaging, destination: Path, scratch: Path) -> None:
    """Write the directory as a new package; `scratch` is an empty directory on the same disk.

    The bundle's files are linked, not copied, where the disk can.
    """
    root, name = scratch / "root", debian_name(manifest)
    place = f"{PREFIX}/{manifest.facts.name}"
    _link_tree(tree, root / place)
    words = {"NAME": manifest.facts.name, "PACKAGE": name, "PLACE": f"/{place}", "MODEL": manifest.facts.model.name}
    _write(root / f"lib/systemd/system/{name}.service", _filled("service", words))
    _write(root / f"etc/default/{name}", _filled("default", words))
    _write(root / f"usr/share/lintian/overrides/{name}", _filled("overrides", words))
    documents = root / f"usr/share/doc/{name}"
    _write(documents / "copyright", _copyright(tree, manifest, packaging))
    log = f"{name} ({packaging.version}) stable; urgency=medium\n\n  * Bundle {manifest.facts.name}.\n\n"
    log += f" -- {packaging.maintainer}  {_DATED}\n"
    (documents / "changelog.gz").write_bytes(gzip.compress(log.encode(), mtime=0))
    (documents / "changelog.gz").chmod(0o644)
    _write(root / "DEBIAN/conffiles", f"/etc/default/{name}\n")
    for script in _SCRIPTS:
        _write(root / "DEBIAN" / script, _filled(script, words), mode=0o755)
    _write(root / "DEBIAN/md5sums", _md5sums(root))
    _write(root / "DEBIAN/control", _control(root, manifest, packaging))
    settle(root)
    dated = {**os.environ, "SOURCE_DATE_EPOCH": str(WRITTEN_AT)}
    # Weights do not compress, and everything else is small beside them.
    call(
        ["dpkg-deb", "--root-owner-group", "--no-uniform-compression", "-Znone", "--build", root, destination],
        environment=dated,
    )


def _filled(template: str, words: dict[str, str]) -> str:
    text = (_DATA / template).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda place: words[place[1]], text)


def _control(root: Path, manifest: Manifest, packaging: Packaging) -> str:
    model = manifest.facts.model
    kib = sum(-(-path.lstat().st_size // 1024) for path in root.rglob("*") if "DEBIAN" not in path.parts)
    return (
        f"Package: {debian_name(manifest)}\n"
        f"Version: {packaging.version}\n"
        f"Architecture: {debian_architecture(manifest)}\n"
        f"Maintainer: {packaging.maintainer}\n"
        f"Installed-Size: {kib}\n"
        "Depends: adduser\n"
        "Section: misc\n"
        "Priority: optional\n"
        f"Description: language model {model.name} for {manifest.facts.profile.name}\n"
        f" A model with {model.parameters / 1e6:,.1f} million parameters, the programs that run it on this\n"
        " processor, a self-test and checksums over every byte, made by edgepack.\n"
    )


def _copyright(tree: Path, manifest: Manifest, packaging: Packaging) -> str:
    """What the bundle says of its licences, and where their texts lie; in the form that Debian's tools read."""
    place = f"/{PREFIX}/{manifest.facts.name}/{LICENCES}"
    model = manifest.facts.model
    files = sorted(path.name for path in (tree / LICENCES).glob("*")) if (tree / LICENCES).is_dir() else []
    lines = [
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/",
        f"Upstream-Name: {model.name}",
        f"Source: {model.origin}",
        f"Comment: put together by edgepack for {packaging.maintainer}",
        "",
        "Files: *",
        f"Copyright: the authors of {model.name}, and of the programs that run it",
        f"License: {model.licence.spdx or 'other'}",
        f" The model's licence: {model.licence.name or model.licence.spdx or 'not stated'}.",
        " The texts of all licences are in",
        *(f" {place}/{name}" for name in files),
        "",
    ]
    return "\n".join(lines)


def _md5sums(root: Path) -> str:
    files = sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in ("DEBIAN", "etc")
    )
    return "".join(f"{_md5(path)}  {path.relative_to(root)}\n" for path in files)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        # What dpkg's own list is made of; SHA256SUMS is what is relied on.
        return file_digest(file, partial(md5, usedforsecurity=False)).hexdigest()


def _link_tree(tree: Path, to: Path) -> None:
    for path in sorted(tree.rglob("*")):
        new = to / path.relative_to(tree)
        if path.is_dir():
            new.mkdir(parents=True, exist_ok=True)
        else:
            new.parent.mkdir(parents=True, exist_ok=True)
            new.hardlink_to(path)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
