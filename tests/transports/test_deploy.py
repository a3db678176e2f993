"""Deploying over every way to a device: the old release serves until the new one has passed, whatever happens."""

import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from edgepack.domain.bundle import SIGNATURE
from edgepack.domain.deployment import Deployment
from edgepack.domain.errors import DeviceError, UsageError, VerificationError
from edgepack.domain.progress import Silent
from edgepack.stages.deploy import deploy, roll_back
from tests.fakes.deployable import ANSWERS, SILENT, make_deployable
from tests.transports.labs import Lab, eventually


def deployed(lab: Lab, bundle: Path, *, selftest: bool = True, keep: int = 1) -> Deployment:
    return deploy(bundle, lab.device, place=str(lab.home / "to"), selftest=selftest, keep=keep, progress=Silent())


def current(lab: Lab) -> str:
    """The current release, of which every byte is right; "" where there is none."""
    link = lab.home / "to" / "current"
    if link.is_symlink():
        name = link.readlink().name
    elif link.is_dir():
        name = (link / "release").read_text().strip()
    else:
        return ""
    release = lab.home / "to" / "releases" / name
    lines = (release / "SHA256SUMS").read_text().splitlines()
    assert len(lines) > 5
    for line in lines:
        assert sha256((release / line[66:]).read_bytes()).hexdigest() == line[:64], line
    assert os.access(release / "run", os.X_OK)
    assert os.access(release / "runtime" / "llama", os.X_OK)
    return name


def releases(lab: Lab) -> list[str]:
    return sorted(path.name for path in (lab.home / "to" / "releases").iterdir())


@pytest.fixture(autouse=True)
def nothing_there(lab: Lab) -> None:
    shutil.rmtree(lab.home / "to", ignore_errors=True)


def test_a_second_bundle_moves_only_what_changed_and_the_first_comes_back(lab: Lab, tmp_path: Path) -> None:
    one = make_deployable(tmp_path / "one")
    two = make_deployable(tmp_path / "two", runtime=ANSWERS + b"# other\n")
    first = deployed(lab, one)
    assert (first.previous, first.switched) == ("", True)
    assert first.brought == first.size
    assert current(lab) == first.release
    second = deployed(lab, two)
    assert current(lab) == second.release
    assert second.previous == first.release
    changed = sum((two / name).stat().st_size for name in ("runtime/llama", "manifest.json", "SHA256SUMS"))
    assert second.brought == changed
    back = roll_back(lab.device, place=str(lab.home / "to"), progress=Silent())
    assert (back.release, back.left) == (first.release, second.release)
    assert current(lab) == first.release
    with pytest.raises(DeviceError, match="no release before the current one"):
        roll_back(lab.device, place=str(lab.home / "to"), progress=Silent())


def test_the_current_release_runs_from_its_fixed_place(lab: Lab, tmp_path: Path) -> None:
    deployed(lab, make_deployable(tmp_path))
    with lab.open() as device:
        done = device.run([str(lab.home / "to" / "current" / "run"), "hello"])
    assert (done.status, done.stdout) == (0, "an answer\n")


def test_a_signature_comes_along(lab: Lab, tmp_path: Path) -> None:
    bundle = make_deployable(tmp_path)
    (bundle / SIGNATURE).write_bytes(bytes(64))
    there = deployed(lab, bundle)
    assert (lab.home / "to" / "releases" / there.release / SIGNATURE).read_bytes() == bytes(64)


def test_a_bundle_that_fails_its_self_test_is_never_current(lab: Lab, tmp_path: Path) -> None:
    first = deployed(lab, make_deployable(tmp_path / "one"))
    with pytest.raises(VerificationError, match=r"the self-test failed: .*; the old release still serves"):
        deployed(lab, make_deployable(tmp_path / "two", runtime=SILENT))
    assert current(lab) == first.release
    assert releases(lab) == [first.release]
    # What only the bad one needed is gone too.
    assert sha256(SILENT).hexdigest() not in lab.files


def test_the_same_bundle_again_is_tested_and_nothing_is_sent(lab: Lab, tmp_path: Path) -> None:
    bundle = make_deployable(tmp_path)
    first = deployed(lab, bundle)
    again = deployed(lab, bundle)
    assert (again.release, again.brought, again.switched) == (first.release, 0, False)
    assert releases(lab) == [first.release]


def test_old_releases_go_with_the_files_that_no_other_needs(lab: Lab, tmp_path: Path) -> None:
    bundles = [make_deployable(tmp_path / f"{number}", seed=number) for number in range(3)]
    names = [deployed(lab, bundle).release for bundle in bundles]
    assert releases(lab) == names[1:]
    weights = [sha256(next((bundle / "model").iterdir()).read_bytes()).hexdigest() for bundle in bundles]
    assert [digest in lab.files for digest in weights] == [False, True, True]


def test_what_a_cut_deploy_left_is_swept(lab: Lab, tmp_path: Path) -> None:
    first = deployed(lab, make_deployable(tmp_path / "one"))
    place = lab.home / "to"
    for left in ("releases/.new.7/model", "releases/000002-0123456789abcdef/model", ".current.d"):
        (place / left).mkdir(parents=True)
    (place / ".locks" / "999999.0123456789abcdef").touch()
    second = deployed(lab, make_deployable(tmp_path / "two", seed=2))
    assert releases(lab) == [first.release, second.release]
    assert sorted(path.name for path in place.iterdir()) == [".locks", "current", "releases"]
    assert eventually(lambda: not list((place / ".locks").iterdir()))


def test_two_at_once_do_not_meet(lab: Lab, tmp_path: Path) -> None:
    from edgepack.transports.releases import Releases

    bundle = make_deployable(tmp_path)
    with (
        lab.open() as device,
        Releases(device, str(lab.home / "to")).held(),
        pytest.raises(DeviceError, match="another deploy is at work there"),
    ):
        deployed(lab, bundle)
    deployed(lab, bundle)


def test_a_place_that_holds_something_else_is_left_alone(lab: Lab, tmp_path: Path) -> None:
    theirs = lab.home / "to" / "current"
    theirs.mkdir(parents=True)
    (theirs / "theirs").touch()
    with pytest.raises(UsageError, match="`current` there is something else"):
        deployed(lab, make_deployable(tmp_path))
    assert [path.name for path in theirs.iterdir()] == ["theirs"]
