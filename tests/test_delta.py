"""Deltas between bundles: what they cost, both ways of applying them, and that no cut breaks anything."""

import hashlib
import json
import os
import random
import shutil
import signal
import tarfile
import time
from collections import Counter
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen
from subprocess import run as start

import jsonschema
import pytest

from edgepack.cli.main import run
from edgepack.domain.bundle import Format
from edgepack.domain.delta import parse_recipe
from edgepack.domain.device import LocalDevice
from edgepack.domain.errors import ExitCode, VerificationError
from edgepack.domain.progress import Silent
from edgepack.stages.deploy import deploy
from tests.conftest import ROOT
from tests.fakes.deployable import ANSWERS, SILENT, make_deployable
from tests.formats.bundles import fake_gguf, make_bundle
from tests.formats.tiny_model import write_tiny_adapter

SCHEMA = json.loads((ROOT / "docs" / "schemas" / "delta.schema.json").read_text())
SHELLS = {"sh": ["sh"], "dash": ["dash"], "busybox": ["busybox", "sh"]}
MIB = 1 << 20


def delta(old: Path, new: Path, *, out: Path) -> Path:
    assert run(["delta", str(old), str(new), "--out", str(out), "--quiet"]) == 0
    return out


def payload(bundle: Path) -> dict[str, str]:
    """Digests of all files but the evidence."""
    return {
        str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and "evidence" not in path.parts
    }


def deployed(bundle: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`place`, where the bundle serves now."""
    monkeypatch.setenv("EDGEPACK_HOME", str(place.parent / "device-store"))
    deploy(bundle, LocalDevice(), place=str(place), selftest=True, keep=1, progress=Silent())
    return place


def unpacked(file: Path, to: Path) -> Path:
    with tarfile.open(file) as archive:
        archive.extractall(to, filter="data")
    (top,) = to.iterdir()
    return top


def apply(top: Path, place: Path, *words: str, shell: str = "sh", **settings: str) -> CompletedProcess[str]:
    interpreter, *options = SHELLS[shell]
    if not shutil.which(interpreter):
        pytest.skip(f"needs {interpreter}")
    command = [interpreter, *options, str(top / "apply"), str(place), *words]
    return start(command, capture_output=True, text=True, env={**os.environ, **settings})


def current(place: Path) -> Path:
    return (place / "current").resolve()


# What it costs.


def test_a_changed_program_costs_no_more_than_its_size(tmp_path: Path) -> None:
    old = make_deployable(tmp_path / "old", runtime=ANSWERS + bytes(50_000))
    new = make_deployable(tmp_path / "new", runtime=ANSWERS + b"x" * 60_000)
    assert delta(old, new, out=tmp_path / "d").stat().st_size < 60_000 + 40_000  # heads, recipe and script


def test_a_changed_prompt_costs_kilobytes(tmp_path: Path) -> None:
    weights, state = fake_gguf(tmp_path / "blob", size=4 * MIB), tmp_path / "state.bin"
    state.write_bytes(random.Random(3).randbytes(5000))
    old = make_bundle(tmp_path / "old", weights=weights, state=state).path
    state.write_bytes(random.Random(4).randbytes(5000))
    new = make_bundle(tmp_path / "new", weights=weights, state=state).path
    assert payload(old) != payload(new)
    assert delta(old, new, out=tmp_path / "d").stat().st_size <= 64 << 10


def test_a_changed_adapter_costs_no_more_than_its_size(tmp_path: Path) -> None:
    weights, adapter = fake_gguf(tmp_path / "blob", size=MIB), write_tiny_adapter(tmp_path / "lora.gguf")
    old = make_bundle(tmp_path / "old", weights=weights, adapter=adapter).path
    content = bytearray(adapter.read_bytes())
    content[-100:] = bytes(100)
    adapter.write_bytes(content)
    new = make_bundle(tmp_path / "new", weights=weights, adapter=adapter).path
    brought = delta(old, new, out=tmp_path / "d").stat().st_size
    assert brought <= adapter.stat().st_size + (40 << 10)


def test_weights_that_moved_behind_longer_metadata_are_not_brought_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = random.Random(5).randbytes(8 * MIB)
    bundles = []
    for name, metadata in (("old", b"short"), ("new", b"a chat template that grew" * 40)):
        weights = tmp_path / f"{name}.blob"
        weights.write_bytes(b"GGUF\x03\0\0\0" + metadata + tensors)
        bundles.append(make_bundle(tmp_path / name, weights=weights).path)
    assert run(["delta", *map(str, bundles), "--out", str(tmp_path / "d"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, SCHEMA)
    assert said["size"] == (tmp_path / "d").stat().st_size
    assert said["brought"] < 400 << 10
    assert said["bundle_size"] > 8 * MIB


# Both ways to apply it.


@pytest.mark.parametrize("form", [Format.DIR, Format.TAR])
def test_applied_here_it_is_the_new_bundle_and_nothing_is_overwritten(tmp_path: Path, form: Format) -> None:
    old = make_bundle(tmp_path / "old", form, weights=fake_gguf(tmp_path / "a", size=3 * MIB)).path
    new = make_bundle(tmp_path / "new", form, weights=fake_gguf(tmp_path / "b", size=2 * MIB, seed=9)).path
    file = delta(old, new, out=tmp_path / "d")
    out = tmp_path / "made"
    assert run(["apply", str(file), str(old), "--out", str(out), "--quiet"]) == 0
    assert form is Format.TAR or payload(out) == payload(new)
    assert run(["verify", str(out), "--no-run", "--quiet"]) == 0
    assert run(["apply", str(file), str(old), "--out", str(out), "--quiet"]) == ExitCode.USAGE
    assert run(["apply", str(file), str(new), "--out", str(tmp_path / "no"), "--quiet"]) == ExitCode.BAD_INPUT
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_device_makes_the_new_release_tests_it_switches_and_goes_back(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_deployable(tmp_path / "old", size=3 * MIB)
    new = make_deployable(tmp_path / "new", size=3 * MIB, runtime=ANSWERS + b"# newer\n")
    place = deployed(old, tmp_path / "place", monkeypatch)
    before = current(place)
    top = unpacked(delta(old, new, out=tmp_path / "d"), tmp_path / "unpacked")
    done = apply(top, place, shell=shell)
    assert done.returncode == 0, done.stderr
    assert payload(current(place)) == payload(new)
    assert (current(place) / f"model/{weights_name(new)}").stat().st_nlink > 1, "what stays is linked, not copied"
    again = apply(top, place, shell=shell)
    assert (again.returncode, "is that bundle already" in again.stderr) == (0, True)
    assert apply(top, place, "--rollback", shell=shell).returncode == 0
    assert current(place) == before
    assert payload(before) == payload(old)


def weights_name(bundle: Path) -> str:
    (weights,) = (bundle / "model").iterdir()
    return weights.name


def test_a_release_that_fails_its_self_test_never_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = make_deployable(tmp_path / "old"), make_deployable(tmp_path / "new", runtime=SILENT)
    place = deployed(old, tmp_path / "place", monkeypatch)
    before = current(place)
    done = apply(unpacked(delta(old, new, out=tmp_path / "d"), tmp_path / "unpacked"), place)
    assert done.returncode == 7
    assert "the old one still serves" in done.stderr
    assert (current(place), releases(place)) == (before, [before.name])


def test_a_delta_of_another_bundle_or_a_spoilt_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make_deployable(tmp_path / "old"), make_deployable(tmp_path / "new", seed=2)
    other = make_deployable(tmp_path / "other", seed=3)
    place = deployed(old, tmp_path / "place", monkeypatch)
    before = current(place)
    wrong = unpacked(delta(other, new, out=tmp_path / "w"), tmp_path / "wrong")
    assert apply(wrong, place).returncode == 4
    file = delta(old, new, out=tmp_path / "d")
    top = unpacked(file, tmp_path / "unpacked")
    data = bytearray((top / "data").read_bytes())
    data[len(data) // 2] ^= 1
    (top / "data").write_bytes(data)
    assert apply(top, place).returncode == 7
    assert (current(place), releases(place)) == (before, [before.name])
    assert apply(top, tmp_path / "nowhere").returncode == 6
    assert apply(top, place, "--sideways").returncode == 2


def releases(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "releases").iterdir())


def test_spoilt_deltas_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    old, new = make_deployable(tmp_path / "old"), make_deployable(tmp_path / "new", seed=2)
    file = delta(old, new, out=tmp_path / "d")
    content = file.read_bytes()
    dice = random.Random(7)
    codes = Counter[int]()
    for number in range(120):
        spoilt = bytearray(content)
        if number % 3:
            spoilt[dice.randrange(len(spoilt))] ^= 1 << dice.randrange(8)
        else:
            del spoilt[dice.randrange(len(spoilt)) :]
        file.write_bytes(spoilt)
        code = run(["apply", str(file), str(old), "--out", str(tmp_path / "made"), "--quiet"])
        codes[code] += 1
        if code == 0:  # the script, which is not read here, or the archive's own times
            assert payload(tmp_path / "made") == payload(new)
            shutil.rmtree(tmp_path / "made")
        assert not (tmp_path / "made").exists()
    assert set(codes) <= {0, ExitCode.BAD_INPUT, ExitCode.VERIFICATION}
    assert codes[ExitCode.VERIFICATION] > 40


@pytest.mark.parametrize(
    "line",
    ["file 644 {0} 5 ../out", "file 644 {0} 5 /out", "same ../../etc/passwd", "copy 0 5 ../x", "data 0 99999999999"],
)
def test_a_recipe_that_leaves_its_bundle_is_refused(tmp_path: Path, line: str) -> None:
    head = f"edgepack.delta 1\nold {'0' * 64}\nnew {'1' * 64}\n"
    own = f"file 644 {'2' * 64} 5 fine\n" if not line.startswith("file") else ""
    with pytest.raises(VerificationError):
        parse_recipe(head + own + line.format("3" * 64) + "\n", subject="x")


@pytest.mark.slow
def test_fifty_kills_leave_the_old_release_or_the_new_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make_deployable(tmp_path / "old", size=24 * MIB)
    new = make_deployable(tmp_path / "new", seed=2, size=24 * MIB)
    place = deployed(old, tmp_path / "place", monkeypatch)
    there = unpacked(delta(old, new, out=tmp_path / "there"), tmp_path / "unpacked-there")
    back = unpacked(delta(new, old, out=tmp_path / "back"), tmp_path / "unpacked-back")
    began = time.monotonic()
    assert apply(there, place).returncode == 0
    whole = time.monotonic() - began
    dice, seen = random.Random(11), Counter[str]()
    wanted = {json.dumps(payload(old)): "old", json.dumps(payload(new)): "new"}
    for _ in range(50):
        which = wanted[json.dumps(payload(current(place)))]
        top = back if which == "new" else there
        with Popen(["sh", top / "apply", place], stdout=DEVNULL, stderr=DEVNULL, start_new_session=True) as applying:
            time.sleep(dice.uniform(0, whole * 1.1))
            os.killpg(applying.pid, signal.SIGKILL)
        found = wanted[json.dumps(payload(current(place)))]
        assert start([current(place) / "run", "hello"], capture_output=True).returncode == 0
        seen["switched" if found != which else "stayed"] += 1
        # Old releases would fill the disk: deploy prunes them, and here nobody deploys.
        for name in releases(place):
            if name != current(place).name and not name.startswith("."):
                shutil.rmtree(place / "releases" / name)
    assert apply(back if wanted[json.dumps(payload(current(place)))] == "new" else there, place).returncode == 0
    print(f"\n50 kills over {whole:.2f} s each: {dict(seen)}")
    assert seen.total() == 50
    assert seen["stayed"]
