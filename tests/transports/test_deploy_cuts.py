"""Deploys cut, and edgepack killed, at seeded moments: the device serves the old release or the new one, whole."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import pytest

from edgepack.domain.errors import DeviceError
from tests.fakes.deployable import make_deployable
from tests.transports.labs import Lab, eventually
from tests.transports.test_cuts import CUTS, after, moments, seconds_of
from tests.transports.test_deploy import current, deployed

pytestmark = pytest.mark.slow

SIZE = 3_000_007
WAYS = pytest.mark.parametrize("lab", ["ssh-busybox", "ssh-aarch64", "adb", "adb-aarch64"], indirect=True)


def bundle(place: Path, seed: int) -> Path:
    return make_deployable(place / str(seed), seed=seed, size=SIZE)


def begun(lab: Lab, place: Path) -> tuple[str, float]:
    """A release that serves, and the seconds that the next one takes."""
    shutil.rmtree(lab.home / "to", ignore_errors=True)
    deployed(lab, bundle(place, 100))
    seconds = seconds_of(lambda: deployed(lab, bundle(place, 101)))
    return current(lab), seconds


def settled(lab: Lab, old: str, new: Path) -> tuple[str, bool]:
    """Old or new, and nothing running, after what was cut; the next deploy completes. Whether it was new already."""
    assert eventually(lambda: not lab.processes()), lab.processes()
    assert lab.runs == []
    between = current(lab)
    done = deployed(lab, new)
    assert between in (old, done.release)
    assert current(lab) == done.release
    return done.release, between != old


@WAYS
def test_a_deploy_is_cut(lab: Lab, tmp_path: Path) -> None:
    old, seconds = begun(lab, tmp_path)
    told = new = 0
    for number, moment in enumerate(moments(seconds)):
        made = bundle(tmp_path, number)
        with after(moment, lab.cut):
            try:
                deployed(lab, made)
            except DeviceError:
                told += 1
        old, was_new = settled(lab, old, made)
        new += was_new
    print(f"{lab.name}: {CUTS} cuts over {seconds:.1f} s: {CUTS - new} old, {new} new; {told} told, the rest went on")
    assert told > 0


@WAYS
def test_edgepack_is_killed_while_it_deploys(lab: Lab, tmp_path: Path) -> None:
    old, seconds = begun(lab, tmp_path)
    at_work = new = 0
    for number, moment in enumerate(moments(seconds + 0.5)):
        made = bundle(tmp_path, number)
        words = ["deploy", str(made), "--device", str(lab.device), "--to", str(lab.home / "to"), "--quiet"]
        process = Popen(
            [sys.executable, "-m", "edgepack", *words], env=os.environ, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
            start_new_session=True,
        )  # fmt: skip
        time.sleep(moment)
        at_work += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        old, was_new = settled(lab, old, made)
        new += was_new
    print(f"{lab.name}: {CUTS} kills over {seconds:.1f} s: {CUTS - new} old, {new} new; {at_work} at work")
    assert at_work >= CUTS // 2, "the kills missed the deploy"
