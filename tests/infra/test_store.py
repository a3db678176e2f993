"""The store: one maker an entry, nothing half-made trusted, leftovers swept, damage named."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from edgepack.domain.errors import BadInputError, NoSpaceError, UsageError
from edgepack.domain.step import Step
from edgepack.infra.store import Entry, Store, home, require_space

STEP = Step(name="convert", inputs={"checkpoint": "ab" * 32}, parameters={"quant": "Q8_0"}, tool="edgepack-convert/1")

# Announces itself, then takes half a second to make the entry of STEP.
MAKER = """
import sys, time
from pathlib import Path
from edgepack.domain.step import Step
from edgepack.infra.store import Store
step = Step(name="convert", inputs={"checkpoint": "ab" * 32}, parameters={"quant": "Q8_0"}, tool="edgepack-convert/1")
def make(place):
    (place / "half").write_text("half")
    print("making", flush=True)
    time.sleep(float(sys.argv[2]))
    (place / "whole").write_text(str(place))
print(Store(Path(sys.argv[1])).get_or_make(step, make)[1], flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def fill(place: Path) -> None:
    (place / "whole").write_text("whole")


def maker(root: Path, seconds: float) -> Popen[str]:
    return Popen([sys.executable, "-c", MAKER, str(root), str(seconds)], stdout=PIPE, text=True)


def line_of(process: Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def entry_of(store: Store) -> Entry:
    return store.get_or_make(STEP, fill)[0]


def test_an_entry_is_made_once_and_found_again(store: Store) -> None:
    entry, made = store.get_or_make(STEP, fill)
    again, made_again = store.get_or_make(STEP, lambda place: pytest.fail("made twice"))
    assert (made, made_again) == (True, False)
    assert again == entry == store.find(STEP)
    assert (entry.path / "whole").read_text() == "whole"
    assert entry.key == STEP.key
    assert entry.table == STEP.table()


def test_any_other_input_parameter_or_tool_is_another_entry() -> None:
    others = [
        Step(name="other", inputs=STEP.inputs, parameters=STEP.parameters, tool=STEP.tool),
        Step(name=STEP.name, inputs={"checkpoint": "cd" * 32}, parameters=STEP.parameters, tool=STEP.tool),
        Step(name=STEP.name, inputs=STEP.inputs, parameters={"quant": "Q4_0"}, tool=STEP.tool),
        Step(name=STEP.name, inputs=STEP.inputs, parameters=STEP.parameters, tool="edgepack-convert/2"),
    ]
    assert len({STEP.key, *(other.key for other in others)}) == 5


def test_two_processes_at_once_make_one_entry(tmp_path: Path) -> None:
    """One says that it made it; the other waits and shares it."""
    Store(tmp_path)
    said = [process.communicate(timeout=60)[0] for process in [maker(tmp_path, 0.3), maker(tmp_path, 0.3)]]
    assert sorted(said) == ["False\n", "making\nTrue\n"]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_a_maker_that_fails_leaves_nothing(store: Store, tmp_path: Path, error: BaseException) -> None:
    def fail(place: Path) -> None:
        fill(place)
        raise error

    with pytest.raises(type(error)):
        store.get_or_make(STEP, fail)
    assert store.find(STEP) is None
    assert not list((tmp_path / "partial").iterdir())
    assert store.get_or_make(STEP, fill)[1]


def test_what_a_killed_maker_left_is_neither_trusted_nor_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    process = maker(tmp_path, 60)
    assert line_of(process) == "making"
    process.kill()
    process.communicate()
    assert [path.name for path in (tmp_path / "partial").glob("*/*")] == ["half"]
    assert store.find(STEP) is None
    assert store.get_or_make(STEP, fill)[1]
    assert not list((tmp_path / "partial").iterdir())


def test_sweep_removes_the_leftovers_of_dead_makers_but_not_of_a_living_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dead = tmp_path / "partial" / f"{'0' * 64}.12345678"
    dead.mkdir()
    (dead / "half").write_text("half")
    process = maker(tmp_path, 60)
    assert line_of(process) == "making"
    assert store.sweep() == 1
    assert not dead.exists()
    assert (tmp_path / "partial").exists()
    assert [path.name for path in (tmp_path / "partial").glob("*/*")] == ["half"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert store.sweep() == 1
    assert not list((tmp_path / "partial").iterdir())


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"step": "convert"}', "\ud800"])
def test_a_damaged_entry_is_named_and_swept(store: Store, content: str) -> None:
    """The hint says what helps: a sweep removes it, and it is made again."""
    entry = entry_of(store)
    (entry.path / "entry.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    for look in (lambda: store.find(STEP), lambda: store.get_or_make(STEP, fill), lambda: list(store.entries())):
        with pytest.raises(BadInputError, match=r"entry\.json: damaged") as raised:
            look()
        assert "edgepack cache prune" in raised.value.hint
    assert store.sweep() == 1
    assert store.get_or_make(STEP, fill)[1]


def test_an_entry_without_its_record_is_swept(store: Store) -> None:
    entry = entry_of(store)
    (entry.path / "entry.json").unlink()
    assert store.sweep() == 1
    assert not entry.path.exists()


def test_sweep_leaves_whole_entries(store: Store) -> None:
    entry = entry_of(store)
    assert store.sweep() == 0
    assert store.find(STEP) == entry


def test_remove_frees_what_the_entry_took(store: Store, tmp_path: Path) -> None:
    entry = entry_of(store)
    size = entry.size
    assert size > len("whole")
    assert store.remove(entry) == size
    assert store.find(STEP) is None
    assert not list((tmp_path / "partial").iterdir())
    assert store.remove(entry) == 0, "somebody else removed it before"


def test_finding_an_entry_notes_its_use(store: Store) -> None:
    entry = entry_of(store)
    os.utime(entry.path, (0, 0))
    assert entry.last_used == 0
    store.get_or_make(STEP, fill)
    assert time.time() - entry.last_used < 60


def test_home_is_tagged_as_a_cache(tmp_path: Path) -> None:
    assert home() == tmp_path / "home"
    tag = (tmp_path / "home" / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert [path.name for path in home().iterdir()] == ["CACHEDIR.TAG"]


def test_a_home_that_is_a_file_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        monkeypatch.setenv("EDGEPACK_HOME", str(tmp_path / place))
        with pytest.raises(UsageError, match="no place for a store"):
            home()


def test_work_that_cannot_fit_the_disk_is_refused(tmp_path: Path) -> None:
    require_space(tmp_path, 1, "a byte")
    with pytest.raises(NoSpaceError, match="everything needs"):
        require_space(tmp_path, 1 << 62, "everything")


def test_an_entry_says_what_made_it(store: Store) -> None:
    entry = entry_of(store)
    assert json.loads((entry.path / "entry.json").read_text()) == STEP.table()
    assert list(store.entries()) == [entry]
