"""Devices for a whole session of tests; a test that names a `lab` or a `device` runs over every one of them."""

from collections.abc import Iterator

import pytest

from edgepack.transports.protocol import Transport
from tests.fakes.sshd import Unavailable
from tests.transports.labs import Lab, Labs, eventually, slow


@pytest.fixture(scope="session")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labs]:
    with Labs(tmp_path_factory.mktemp) as labs:
        yield labs


# A shell and its programs of each kind in every run of the tests; the other ways to them with the slow ones.
WAYS = ["local", "ssh-busybox", "adb", slow("ssh"), slow("adb-terminal"), slow("ssh-aarch64"), slow("adb-aarch64")]


@pytest.fixture(params=WAYS)
def lab(request: pytest.FixtureRequest, labs: Labs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """One device, nothing on it; after the test no process of it runs, and no run has left anything."""
    try:
        lab = labs.get(request.param)
    except Unavailable as why:
        pytest.skip(str(why))
    for name, value in lab.host.items():
        monkeypatch.setenv(name, value)
    yield lab
    assert eventually(lambda: not lab.processes()), lab.processes()
    assert lab.runs == []


@pytest.fixture
def device(lab: Lab, labs: Labs) -> Transport:
    """The lab's device, connected to; the connection is that of the tests before."""
    return labs.opened(lab.name)
