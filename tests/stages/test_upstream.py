"""Upstream's converter as a step: which interpreter runs it, what it gets to see, how it ends. No torch needed.

In the place of the Python with torch stands a shell script that notes what it sees and gives a GGUF made before.
"""

import os
import threading
import time
from pathlib import Path

import pytest

from edgepack.cli.main import run
from edgepack.convert.onepass import open_conversion, write_gguf
from edgepack.domain.errors import ExitCode
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from tests.fakes.demo_copy import copy_demo, edit_json

FAKE = """#!/bin/sh
for word; do
    if [ "$word" = -c ]; then
        echo '{"torch": "2", "transformers": "4", "sentencepiece": "0.2"}'
        exit
    fi
done
while [ "$1" != --outfile ]; do inputs=$1; shift; done
out=$2
{ echo "$@"; ls "$inputs"; env; } > @NOTES@
@ENDING@
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """What the fake saw: its last words, the files of its input, its environment."""
    return tmp_path / "notes"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A checkpoint without a family, with things beside it that are no data."""
    directory = copy_demo(tmp_path / "strange")
    edit_json(directory, "config.json", architectures=["StrangeForCausalLM"])
    (directory / "tokenization_strange.py").write_text("raise SystemExit")
    (directory / "pytorch_model.bin").write_bytes(b"pickle")
    return directory


@pytest.fixture(autouse=True)
def _scripts(llama_cpp: Path) -> None:
    """The pinned scripts must be here, though the fake does not read them."""


def interpreter(place: Path, notes: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    """Let EDGEPACK_UPSTREAM_PYTHON name a fake that ends like that."""
    fake = place / "python-with-torch"
    fake.write_text(FAKE.replace("@NOTES@", f"'{notes}'").replace("@ENDING@", ending))
    fake.chmod(0o755)
    monkeypatch.setenv("EDGEPACK_UPSTREAM_PYTHON", str(fake))


def convert(model: Path, out: Path, *more: str) -> int:
    return run(["convert", str(model), "--converter", "upstream", "--out", str(out), "--quant", "Q8_0", *more])


def left(home: Path) -> list[Path]:
    return [*(home / "partial").glob("*"), *(home / "store").glob("*/*")]


def test_what_the_script_gives_is_quantized_and_kept(
    model: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second quantization does not run the script again."""
    full = tmp_path / "made-before.gguf"
    write_gguf(open_conversion(copy_demo(tmp_path / "x"), "x"), Quant.BF16, full, threads=1, progress=Silent())
    interpreter(tmp_path, notes, monkeypatch, f'cp "{full}" "$out"')
    assert convert(model, tmp_path / "a.gguf") == ExitCode.DONE
    notes.unlink()
    assert convert(model, tmp_path / "b.gguf", "--quant", "Q4_0") == ExitCode.DONE
    assert not notes.exists()
    write_gguf(open_conversion(tmp_path / "x", "x"), Quant.Q4_0, tmp_path / "c", threads=1, progress=Silent())
    assert (tmp_path / "b.gguf").read_bytes() == (tmp_path / "c").read_bytes()


def test_the_script_sees_data_and_nothing_else(
    model: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No code, no pickle; offline, with no cache, no settings and no secrets of the caller's."""
    for name in ("PYTHONPATH", "HF_TOKEN", "TRANSFORMERS_CACHE", "NO_LOCAL_GGUF"):
        monkeypatch.setenv(name, "mine")
    interpreter(tmp_path, notes, monkeypatch, "exit 1")
    assert convert(model, tmp_path / "a.gguf") == ExitCode.BAD_INPUT
    said = notes.read_text()
    assert said.startswith("--outfile ")
    assert "--outtype bf16" in said.splitlines()[0]
    for seen in ("config.json", "model.safetensors", "tokenizer.model", "HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1"):
        assert seen in said.splitlines()
    for unseen in ("tokenization_strange", "pytorch_model", "PYTHONPATH", "HF_TOKEN", "=mine"):
        assert unseen not in said
    (hub,) = (line for line in said.splitlines() if line.startswith("HF_HOME="))
    assert not Path(hub.partition("=")[2]).exists()


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        ("echo 'ValueError: no such thing' >&2; exit 1", ExitCode.BAD_INPUT, "refuses it: ValueError: no such thing"),
        ("echo 'ModuleNotFoundError: No module' >&2; exit 1", ExitCode.USAGE, "ModuleNotFoundError: No module"),
        ("kill -9 $$", ExitCode.NO_SPACE, "was killed"),
        ("exit 0", ExitCode.BAD_INPUT, "refuses it"),
        ('printf GGUF > "$out"', ExitCode.BAD_INPUT, "not a whole GGUF"),
    ],
)
def test_a_script_that_fails_leaves_its_words_and_nothing_else(
    ending: str, code: ExitCode, words: str, model: Path, notes: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    interpreter(tmp_path, notes, monkeypatch, ending)
    assert convert(model, tmp_path / "a.gguf") == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "a.gguf").exists()
    assert not list((tmp_path / "home" / "partial").glob("*"))


def test_an_interruption_ends_the_script_and_leaves_nothing(
    model: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    interpreter(tmp_path, notes, monkeypatch, f'echo half > "$out"; echo $$ > "{pid}"; exec sleep 600')

    def interrupt() -> None:
        while not pid.is_file() or not pid.read_text().strip():
            time.sleep(0.01)
        os.kill(os.getpid(), 2)

    waiter = threading.Thread(target=interrupt)
    waiter.start()
    assert convert(model, tmp_path / "a.gguf") == ExitCode.INTERRUPTED
    waiter.join()
    assert not Path("/proc", pid.read_text().strip()).exists()
    assert not left(tmp_path / "home")


def test_without_torch_it_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where an interpreter is named, that one counts."""
    bare = tmp_path / "bare"
    bare.write_text('#!/bin/sh\necho \'{"numpy": "2"}\'\n')
    bare.chmod(0o755)
    monkeypatch.setenv("EDGEPACK_UPSTREAM_PYTHON", str(bare))
    assert convert(model, tmp_path / "a.gguf") == ExitCode.USAGE
    said = capsys.readouterr().err
    assert f"EDGEPACK_UPSTREAM_PYTHON={bare} has no torch and no transformers and no sentencepiece" in said
    assert "pip install 'edgepack[upstream]'" in said
    assert not left(tmp_path / "home")


@pytest.mark.parametrize("content", [None, "", "#!/bin/sh\nexit 1\n"])
def test_an_interpreter_that_does_not_run_is_named(
    content: str | None, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    place = tmp_path / "nothing"
    if content is not None:
        place.write_text(content)
        place.chmod(0o755 if content else 0o644)
    monkeypatch.setenv("EDGEPACK_UPSTREAM_PYTHON", str(place))
    assert convert(model, tmp_path / "a.gguf") == ExitCode.USAGE
    assert f"{place}: no Python that runs" in capsys.readouterr().err


def test_an_architecture_without_a_family_says_how_to_convert_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", str(model), "--quant", "Q8_0", "--out", str(tmp_path / "a")]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "architecture 'StrangeForCausalLM' is not converted" in said
    assert "pip install 'edgepack[upstream]' and --converter upstream" in said
