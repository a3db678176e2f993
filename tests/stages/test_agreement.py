"""A GGUF beside its checkpoint under another engine: mistakes of a converter are seen at every precision."""

import shutil
import sys
from pathlib import Path

import pytest

from edgepack.domain.agreement import Agreement, agreement_gate, waits
from edgepack.domain.gates import Gate
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import identify
from edgepack.stages.agreement import second_opinion, unable
from tests.fakes.decoders import DECODERS, decoder_checkpoint, decoder_gguf
from tests.fakes.demo_copy import DEMO, edit_json
from tests.fakes.mistakes import MISTAKES

_TEXT = "The kitchen lamp is on. Dim the lamp to 30 percent, then set a timer of ten minutes for the oven! " * 12
_QUANTS = (Quant.F16, Quant.Q8_0, Quant.Q4_0)


def _checkpoint(name: str, directory: Path, vocabularies: Path) -> Path:
    return DEMO if name == "demo-1m" else decoder_checkpoint(name, directory, vocabularies, spread=0.08)


def _asked(gguf: Path, checkpoint: Path, honest: dict[Quant, Path], quant: Quant, scratch: Path) -> Gate:
    return second_opinion(
        identify(gguf), checkpoint, full=honest[Quant.F16], twin=None if quant is Quant.F16 else honest[quant],
        text=_TEXT, scratch=scratch, threads=1, progress=Silent(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "quants"),
    [
        ("demo-1m", _QUANTS),
        *((name, _QUANTS[:1]) for name in DECODERS),
        *(pytest.param(name, _QUANTS, marks=pytest.mark.slow, id=f"{name}-all") for name in DECODERS),
    ],
)  # fmt: skip
def test_mistakes_are_seen_and_rounding_is_let_pass(
    name: str, quants: tuple[Quant, ...], vocabularies: Path, tmp_path: Path
) -> None:
    """Every family, at full precision, 8 bits and 4: a wrong order of rows, base, kind of places, or head."""
    checkpoint = _checkpoint(name, tmp_path / "honest", vocabularies)
    assert unable(checkpoint) is None
    honest = {quant: decoder_gguf(checkpoint, quant, tmp_path / f"{quant}.gguf") for quant in quants}
    for quant in quants:
        gate = _asked(honest[quant], checkpoint, honest, quant, tmp_path)
        assert gate.passed, gate
        print(name, quant, gate.figures)
    for mistake, make in MISTAKES.items():
        wrong = tmp_path / mistake
        shutil.copytree(checkpoint, wrong)
        make(wrong)
        for quant in quants:
            gguf = decoder_gguf(wrong, quant, tmp_path / f"{mistake}-{quant}.gguf")
            # Somebody else's file: full precision and twin are made here, of the honest checkpoint.
            full = gguf if quant is Quant.F16 else honest[Quant.F16]
            gate = _asked(gguf, checkpoint, {**honest, Quant.F16: full}, quant, tmp_path)
            print(name, mistake, quant, gate.figures)
            assert not gate.passed, (mistake, quant, gate)
        # Our own mistake: what is made here is wrong at every precision, and it shows at full precision.
        theirs = {quant: tmp_path / f"{mistake}-{quant}.gguf" for quant in quants}
        asked = _asked(theirs[quants[-1]], checkpoint, theirs, quants[-1], tmp_path)
        assert "full precision" in asked.different[0]
    assert not list(tmp_path.glob("reference*"))


def test_another_vocabulary_is_a_difference(vocabularies: Path, tmp_path: Path) -> None:
    checkpoint = decoder_checkpoint("llama", tmp_path / "other", vocabularies)
    gguf = decoder_gguf(DEMO, Quant.F16, tmp_path / "demo.gguf")
    gate = second_opinion(
        identify(gguf), checkpoint, full=gguf, twin=None, text=_TEXT, scratch=tmp_path, threads=1, progress=Silent()
    )
    assert not gate.passed
    assert "of 700" in gate.different[0] or "768 tokens" in gate.different[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM is none of Llama"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rotary places of type 'yarn'"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"num_hidden_layers": 1}, "tensor model.layers.1.input_layernorm.weight"),
    ],
)
def test_what_the_graph_does_not_compute_is_not_judged(change: dict[str, object], said: str, tmp_path: Path) -> None:
    shutil.copytree(DEMO, tmp_path / "demo")
    edit_json(tmp_path / "demo", "config.json", **change)
    assert said in str(unable(tmp_path / "demo"))


def test_without_onnxruntime_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert unable(DEMO) == "onnxruntime is not installed (pip install 'edgepack[onnx]')"


def test_what_is_no_number_is_over_every_limit() -> None:
    nothing = Agreement(places=1, cosine=1, worst_cosine=1, divergence=float("nan"), same_top=1)
    assert len(agreement_gate(nothing, nothing, nothing).different) == 2


def test_a_disk_without_room_is_no_failure_and_asks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gguf = decoder_gguf(DEMO, Quant.F16, tmp_path / "demo.gguf")
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: full)
    gate = _asked(gguf, DEMO, {Quant.F16: gguf}, Quant.F16, tmp_path)
    assert gate.passed
    assert waits(gate)
    assert "not run now: " in gate.notes[0]
    assert "MB free" in gate.notes[0]
