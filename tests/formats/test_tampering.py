"""A signed bundle, tampered with in many ways: each is refused, and nothing is written outside of what was asked."""

import gzip
import hashlib
import io
import json
import random
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from edgepack.cli.main import run
from edgepack.domain.bundle import Format
from edgepack.formats.opening import open_bundle
from edgepack.formats.sums import parse_sums, sums_text
from tests.formats.bundles import FACTS, fake_gguf, make_bundle

REFUSED = (4, 7)
POSITIONS = 20
"""Bytes tried in each file: the first, the last, and some between, each with a bit flipped, removed, or doubled."""
Mutation = tuple[str, Callable[[Path], None]]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two keys: the maker's and somebody else's."""
    directory = tmp_path_factory.mktemp("keys")
    paths = {}
    for name in ("maker", "other"):
        private = Ed25519PrivateKey.generate()
        paths[name] = directory / name
        paths[name].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        paths[f"{name}.pub"] = directory / f"{name}.pub"
        paths[f"{name}.pub"].write_bytes(public)
    return paths


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Path]) -> Path:
    """A signed directory, and the same as a tar beside it."""
    directory = tmp_path_factory.mktemp("made")
    weights = fake_gguf(directory / "blob", size=3000)
    tar = make_bundle(directory, Format.TAR, weights=weights).path
    bundle = make_bundle(directory, weights=weights).path
    for path in (tar, bundle):
        assert run(["sign", str(path), "--key", str(keys["maker"]), "--quiet"]) == 0
    return bundle


def test_every_change_of_a_directory_is_refused(tmp_path: Path, made: Path, keys: dict[str, Path]) -> None:
    tried = Counter(
        refused(made, tmp_path, keys["maker.pub"], mutation) for mutation in directory_mutations(made, keys["other"])
    )
    print(f"{tried.total()} ways of changing a directory: {dict(tried)}")
    assert tried.total() >= 400
    assert set(tried) <= set(REFUSED)


def test_every_change_of_a_tar_is_refused(tmp_path: Path, made: Path, keys: dict[str, Path]) -> None:
    tar = made.with_name(f"{made.name}.tar")
    tried = Counter(refused(tar, tmp_path, keys["maker.pub"], mutation) for mutation in tar_mutations(tar))
    print(f"{tried.total()} ways of changing a tar: {dict(tried)}")
    assert tried.total() >= 200
    assert set(tried) <= set(REFUSED)


def refused(bundle: Path, tmp_path: Path, key: Path, mutation: Mutation) -> int:
    """The exit code of `verify` for a mutated copy; 0 stands for a mutation that was accepted, which fails here."""
    name, change = mutation
    inside = tmp_path / "inside"
    copy = inside / bundle.name
    inside.mkdir()
    shutil.copytree(bundle, copy) if bundle.is_dir() else shutil.copyfile(bundle, copy)
    change(copy)
    code = run(["verify", str(copy), "--no-run", "--quiet", "--key", str(key)])
    assert code in REFUSED, f"{name}: {code}"
    shutil.rmtree(inside)
    assert list(tmp_path.iterdir()) == [], f"{name}: something was written outside"
    return code


def directory_mutations(bundle: Path, other_key: Path) -> Iterator[Mutation]:
    for path in sorted(path for path in bundle.rglob("*") if path.is_file()):
        name = str(path.relative_to(bundle))
        for at in positions(path.stat().st_size):
            yield f"{name}: bit at {at}", lambda copy, name=name, at=at: flip(copy / name, at)
        yield f"{name}: shorter", lambda copy, name=name: resize(copy / name, -1)
        yield f"{name}: longer", lambda copy, name=name: resize(copy / name, 1)
        yield f"{name}: gone", lambda copy, name=name: (copy / name).unlink()
        yield f"{name}: a link", lambda copy, name=name: link(copy / name)
        yield f"{name}: a directory", lambda copy, name=name: ((copy / name).unlink(), (copy / name).mkdir())
        yield f"{name}: upper case", lambda copy, name=name: swap_case(copy / name)
    for name in ("extra", "model/extra.gguf", ".hidden", "runtime/llama", "LICENSES/..."):
        yield f"an extra {name}", lambda copy, name=name: write(copy / name, b"x")
    yield "an empty directory", lambda copy: (copy / "state").mkdir()
    yield "a link to /etc", lambda copy: (copy / "etc").symlink_to("/etc")
    yield from manifest_mutations(bundle)
    yield "another key's signature", lambda copy: resign(copy, other_key)


def manifest_mutations(bundle: Path) -> Iterator[Mutation]:
    """Every value of the manifest changed or gone, its own digest put right and the bundle signed by nobody anew."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    for place in places(manifest):
        for what in ("swapped", "gone"):
            yield f"manifest {place} {what}", lambda copy, place=place, what=what: edit(copy, place, what)


def places(value: object, above: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The path of every value in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*above, key)
        yield from places(below, (*above, key))


def edit(copy: Path, place: tuple[object, ...], what: str) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    holder = manifest
    for key in place[:-1]:
        holder = holder[key]
    if what == "gone":
        del holder[place[-1]]
    else:
        old = holder[place[-1]]
        holder[place[-1]] = (
            old[::-1] + "x" if isinstance(old, str) else old + 1 if type(old) in (int, float) else {"a": 1}
        )
    (copy / "manifest.json").write_text(json.dumps(manifest, indent=2))
    sums = parse_sums((copy / "SHA256SUMS").read_text(), subject="")
    sums["manifest.json"] = hashlib.sha256((copy / "manifest.json").read_bytes()).hexdigest()
    (copy / "SHA256SUMS").write_text(sums_text(sums))


def resign(copy: Path, key: Path) -> None:
    assert run(["sign", str(copy), "--key", str(key), "--quiet"]) == 0


def tar_mutations(tar: Path) -> Iterator[Mutation]:
    reader = open_bundle(tar)
    for member in reader.members:
        header = member.offset - 512
        # Name, mode, size, checksum, kind, link, magic, prefix: every field of a header, and the bytes behind it.
        for at in (0, 20, 101, 105, 126, 134, 148, 150, 156, 157, 257, 263, 345):
            yield f"{member.path}: header byte {at}", lambda copy, at=header + at: flip(copy, at)
        for at in positions(member.size)[:4]:
            yield f"{member.path}: byte {at}", lambda copy, at=member.offset + at: flip(copy, at)
    reader.close()
    size = tar.stat().st_size
    for share in range(1, 20):
        yield f"cut at {share}/20", lambda copy, share=share: cut(copy, size * share // 20)
    for name, kind in HOSTILE:
        yield f"hostile {name!r} {kind!r}", lambda copy, name=name, kind=kind: append(copy, name, kind)
    yield "a member twice", lambda copy: append(copy, f"{FACTS.name}/run", tarfile.REGTYPE)
    yield "two tops", lambda copy: append(copy, "another/run", tarfile.REGTYPE)
    yield "a declared size of 8 TiB", lambda copy: append(copy, f"{FACTS.name}/bomb", tarfile.REGTYPE, size=8 << 40)
    yield "a second archive behind it", lambda copy: copy.write_bytes(copy.read_bytes() * 2)
    yield "a compressed one", compress


TOP = FACTS.name
HOSTILE = [
    *((name, tarfile.REGTYPE) for name in ("../out", "/out", f"{TOP}/../../out", "a//b", f"{TOP}/a\\b", ".", "")),
    *((name, tarfile.REGTYPE) for name in (f"{TOP}/run/x", f"{TOP}/RUN", f"{TOP}/a\nb")),
    *((f"{TOP}/evil", kind) for kind in (
        tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE
    )),
]  # fmt: skip


def append(copy: Path, name: str, kind: bytes, *, size: int = 0) -> None:
    """A member more, at the end; `size` is what it claims."""
    information = tarfile.TarInfo(name)
    information.type, information.linkname, information.size = kind, "../../out", size
    if kind == tarfile.REGTYPE and not size:
        information.size = 5
    data = copy.read_bytes().rstrip(b"\0")
    data += bytes(-len(data) % 512)
    body = io.BytesIO(b"hello" + bytes(507) if information.size == 5 else b"")
    copy.write_bytes(data + information.tobuf(tarfile.GNU_FORMAT) + body.getvalue() + bytes(1024))


def compress(copy: Path) -> None:
    """As gzip packs it: a gigabyte of zeros would be a megabyte, and is not looked at."""
    copy.write_bytes(gzip.compress(copy.read_bytes()))


def positions(size: int) -> list[int]:
    """First, last and some between, the same each time."""
    between = random.Random(size).sample(range(size), min(size, POSITIONS - 2))
    return sorted({0, size - 1, *between})


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << (at % 7)
    path.write_bytes(content)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def resize(path: Path, by: int) -> None:
    """A byte less, or one more."""
    content = path.read_bytes()
    path.write_bytes(content + b"\n" if by > 0 else content[:-1])


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def swap_case(path: Path) -> None:
    path.rename(path.with_name(path.name.swapcase()))


def link(path: Path) -> None:
    """The same bytes, through a link to a file outside of the bundle."""
    outside = path.parent.parent / f"{path.name}.outside"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)
