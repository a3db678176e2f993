"""llama.cpp on a tiny GGUF: what it says of itself, its tokens, its text, and its times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgepack.domain.errors import BadInputError
from edgepack.domain.measurement import Phase, Sample, Workload
from edgepack.domain.memory import PIECE_BYTES
from edgepack.domain.quant import Quant
from edgepack.engines.llamacpp import (
    ChatMessage,
    Ending,
    chat_prompt,
    describe,
    generate,
    generate_each,
    identify,
    measure,
    opened,
    runtime,
    tokenize,
    tokens_of,
)
from edgepack.engines.llamacpp_chat import render
from tests.fakes.tiny_gguf import (
    BOS,
    BYTES,
    CONTEXT,
    SPECIAL,
    WORDS,
    write_tiny_gguf,
)

HELLO = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="a & <b>")]
QUICK = Workload(prompt_tokens=24, generated_tokens=6, repeats=3, least_seconds=0.0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose likeliest token is always the end."""
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "silent.gguf", always_ends=True)


def test_a_gguf_says_what_it_is(tiny: Path) -> None:
    """Name, architecture, context and quantization come from the metadata, parameters from the tensors."""
    found = describe(tiny)
    assert (found.name, found.architecture, found.context_length) == ("tiny", "llama", CONTEXT)
    assert found.quant is Quant.F16
    layer = 4 * 64 * 64 + 3 * 64 * 96 + 2 * 64
    assert (found.licence, found.files) == (None, 1)
    assert found.parameters == 2 * len(SPECIAL + BYTES + WORDS) * 64 + 2 * layer + 64


def test_a_vocabulary_of_pieces_has_small_tables(tiny: Path, vocabularies: Path) -> None:
    """Memory is planned with it: a list of merges takes as much again."""
    assert describe(tiny).vocabulary == len(SPECIAL + BYTES + WORDS) * PIECE_BYTES


def test_weights_are_identified_by_their_bytes(tiny: Path) -> None:
    """The sha256 and size are the file's; reading is told to whoever draws a bar."""
    heard: list[int] = []
    weights = identify(tiny, advance=heard.append)
    assert weights.size == tiny.stat().st_size == sum(heard)
    assert len(weights.sha256) == 64
    assert weights.name == "tiny"


def test_the_runtime_names_its_build() -> None:
    """Version, ggml's commit and the instruction sets are there."""
    found = runtime()
    assert found.name == "llama-cpp-python"
    assert found.version.count(".") == 2
    assert found.build.startswith("ggml ")
    assert "CPU" in found.system_info


def test_tokens_are_as_asked(tiny: Path) -> None:
    """Special tokens are added and read only on request; bytes stand in for letters nobody listed."""
    plain = tokenize(tiny, "é</s>")
    assert plain[1:3] == (len(SPECIAL) + 0xC3, len(SPECIAL) + 0xA9)
    assert 2 not in plain
    assert tokenize(tiny, "é</s>", parse_special=True)[-1] == 2
    assert tokenize(tiny, "a", add_special=True)[0] == BOS


def test_long_texts_have_room(tiny: Path) -> None:
    """One open model tokenizes many texts, the empty one and a long one."""
    with opened(tiny, vocabulary_only=True) as model:
        assert tokens_of(model, "") == ()
        assert len(tokens_of(model, "éa" * 5000)) > 10_000


def test_generation_is_deterministic(tiny: Path) -> None:
    """The same prompt gives the same text twice, whatever the number of threads, and another prompt another."""
    first = generate(tiny, "the cat", max_tokens=20, threads=1)
    assert first.text == generate(tiny, "the cat", max_tokens=20, threads=2).text
    assert first.text != generate(tiny, "xyz", max_tokens=20, threads=1).text


def test_counts_are_right(tiny: Path) -> None:
    """Prompt and generated tokens are counted, and the limit ends the text."""
    said = generate(tiny, "the cat", max_tokens=7, threads=1)
    assert said.tokens == 7
    assert said.ending is Ending.MAX_TOKENS
    assert said.prompt_tokens == len(tokenize(tiny, "the cat", add_special=True))
    assert len(said.text) == 7  # every word of this vocabulary that it says is one letter
    assert 0 < said.seconds_to_first <= said.seconds


def test_the_first_tokens_do_not_depend_on_the_limit(tiny: Path) -> None:
    """A longer generation begins with the shorter one."""
    short = generate(tiny, "the cat", max_tokens=5, threads=1).text
    assert generate(tiny, "the cat", max_tokens=30, threads=1).text.startswith(short)


def test_an_end_token_ends_it(silent: Path) -> None:
    """The end-of-generation token is neither text nor counted."""
    said = generate(silent, "the cat", max_tokens=20, threads=1)
    assert (said.text, said.tokens, said.ending) == ("", 0, Ending.END_TOKEN)


def test_a_stop_text_ends_it(tiny: Path) -> None:
    """The text ends before the stop text."""
    whole = generate(tiny, "the cat", max_tokens=20, threads=1).text
    stop = whole[4:6]
    said = generate(tiny, "the cat", max_tokens=20, threads=1, stop_text=stop)
    assert said.text == whole.partition(stop)[0]
    assert said.ending is Ending.STOP_TEXT
    assert said.tokens < 20


def test_the_context_is_not_overrun(tiny: Path) -> None:
    """A text ends where the model's context is full."""
    said = generate(tiny, "the cat", max_tokens=10 * CONTEXT, threads=1)
    assert said.ending is Ending.CONTEXT_FULL
    assert said.prompt_tokens + said.tokens == CONTEXT


def test_a_prompt_longer_than_the_context_is_refused(tiny: Path) -> None:
    """The error says both lengths."""
    with pytest.raises(BadInputError, match="tokens in a context of 256"):
        generate(tiny, "a" * 400, max_tokens=5, threads=1)


def test_the_beginning_of_text_comes_once(tiny: Path) -> None:
    """A prompt that a chat template already began with <s> gets no second one."""
    said = generate(tiny, "<s>a", max_tokens=3, threads=1)
    assert tokenize(tiny, "<s>a", add_special=True, parse_special=True)[:2] == (BOS, BOS)
    assert said.prompt_tokens == len(tokenize(tiny, "<s>a", parse_special=True))


def test_many_prompts_need_one_loading(tiny: Path) -> None:
    """Each prompt gets the text that it would get alone."""
    with opened(tiny) as model:
        texts = [said.text for said in generate_each(model, ["the cat", "xyz"], max_tokens=9, threads=1)]
    assert texts == [generate(tiny, prompt, max_tokens=9, threads=1).text for prompt in ("the cat", "xyz")]


def test_zero_tokens_can_be_asked_for(tiny: Path) -> None:
    """A generation of no tokens evaluates the prompt and says nothing."""
    said = generate(tiny, "a", max_tokens=0, threads=1)
    assert (said.text, said.tokens) == ("", 0)


def test_the_ggufs_own_template_makes_the_prompt(tiny: Path) -> None:
    """Roles, contents and the beginning-of-text token, up to where the assistant speaks; nothing is escaped."""
    assert chat_prompt(tiny, HELLO) == "<s>[system] Be brief.\n[user] a & <b>\n[assistant]"


def test_a_gguf_without_a_template_says_so(tmp_path: Path) -> None:
    """The error names the key that is missing."""
    bare = write_tiny_gguf(tmp_path / "bare.gguf", chat_template=None)
    with pytest.raises(BadInputError, match=r"bare\.gguf: tokenizer\.chat_template: the GGUF has none"):
        chat_prompt(bare, HELLO)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('no system role') }}", "no system role"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError"),
        ("{% for i in range(10**9) %}x{% endfor %}", "OverflowError"),
        ("{{ messages[0].content + 1 }}", "TypeError"),
    ],
)
def test_a_templates_refusal_or_mischief_is_an_error(template: str, said: str) -> None:
    """What a template raises, and what the sandbox forbids it, ends in BadInputError."""
    with pytest.raises(BadInputError, match=said):
        render(template, HELLO, where="x.gguf", bos="", eos="")


def test_templates_see_what_transformers_shows_them() -> None:
    """Blocks take their line with them, loops can break, JSON is not escaped, and there is a clock."""
    template = (
        "{% for m in messages %}\n    {% if loop.index0 == 1 %}\n    {% break %}\n    {% endif %}\n"
        "{{ m.content | tojson }}{{ eos_token }}{% endfor %}{{ strftime_now('%Y') | length }}"
    )
    assert render(template, HELLO[::-1], where="", bos="<s>", eos="</s>") == '"a & <b>"</s>4'


def test_every_sample_is_kept(tiny: Path) -> None:
    """A series holds as many samples as repeats, each told to the listener when it is taken."""
    heard: list[tuple[Phase, Sample]] = []
    found = measure(tiny, workload=QUICK, threads=1, on_sample=lambda phase, sample: heard.append((phase, sample)))
    assert [(series.name, len(series.samples)) for series in found] == [("pp24", 3), ("tg6", 3)]
    assert [sample for _, sample in heard] == [sample for series in found for sample in series.samples]
    assert all(sample.seconds > 0 and sample.busy is None for _, sample in heard)


def test_each_sample_begins_with_an_empty_cache(tiny: Path) -> None:
    """Samples of 200 tokens that together overrun the context of 256 run all the same."""
    for prompt, generated in ((200, 0), (0, 200)):
        workload = Workload(prompt_tokens=prompt, generated_tokens=generated, repeats=3, least_seconds=0)
        (series,) = measure(tiny, workload=workload, threads=1)
        assert len(series.samples) == 3


def test_a_batch_smaller_than_the_prompt_is_filled_in_turns(tiny: Path) -> None:
    """A prompt of 24 tokens goes through batches of 10."""
    workload = Workload(
        prompt_tokens=24, generated_tokens=0, repeats=1, least_seconds=0, batch=10, micro_batch=5, warm_up=False
    )
    (series,) = measure(tiny, workload=workload, threads=1)
    assert len(series.samples) == 1


def test_the_load_of_others_is_asked_after_each_sample(tiny: Path) -> None:
    """What the caller's meter says becomes each sample's; the first answer, before any sample, is dropped."""
    answers = iter([9.0, 0.1, 0.2, 0.3])
    (series,) = measure(
        tiny, threads=1, workload=Workload(prompt_tokens=8, generated_tokens=0, repeats=3, least_seconds=0),
        busy=lambda: next(answers),
    )  # fmt: skip
    assert [sample.busy for sample in series.samples] == [0.1, 0.2, 0.3]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no CPU affinity on this platform")
def test_pinning_ends_with_the_measurement(tiny: Path) -> None:
    """The caller's own affinity is as before."""
    before = os.sched_getaffinity(0)
    seen: list[set[int]] = []
    measure(
        tiny, workload=QUICK, threads=1, cpus=(min(before),),
        on_sample=lambda _phase, _sample: seen.append(os.sched_getaffinity(0)),
    )  # fmt: skip
    assert seen[0] == {min(before)}
    assert os.sched_getaffinity(0) == before


def test_an_interrupt_between_samples_goes_through(tiny: Path) -> None:
    """^C ends the measurement, and the model is free to be used again."""

    def interrupt(_phase: Phase, _sample: Sample) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(tiny, workload=QUICK, threads=1, on_sample=interrupt)
    assert generate(tiny, "a", max_tokens=1, threads=1).tokens == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says that there is no such file."""
    with pytest.raises(BadInputError, match=r"nowhere\.gguf: no such file"):
        describe(tmp_path / "nowhere.gguf")


@pytest.mark.parametrize("call", [describe, lambda path: generate(path, "a", max_tokens=1, threads=1)])
def test_a_text_file_is_no_gguf(tmp_path: Path, call: object) -> None:
    """The error repeats what llama.cpp said of it."""
    text = tmp_path / "notes.gguf"
    text.write_text("these are not weights" * 100)
    assert callable(call)
    with pytest.raises(BadInputError, match=r"notes\.gguf: llama\.cpp cannot load it: .*magic"):
        call(text)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_gguf_is_refused(tiny: Path, tmp_path: Path, share: float) -> None:
    """Wherever it was cut, it ends in an error that names the file."""
    whole = tiny.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadInputError, match=r"cut\.gguf: llama\.cpp cannot load it"):
        generate(cut, "a", max_tokens=1, threads=1)


def test_nothing_is_printed(tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """llama.cpp's own log reaches neither stdout nor stderr."""
    generate(tiny, "a", max_tokens=2, threads=1)
    (tmp_path / "bad.gguf").write_text("no")
    with pytest.raises(BadInputError):
        describe(tmp_path / "bad.gguf")
    assert capfd.readouterr() == ("", "")


def test_too_little_memory_is_told_from_bad_input(tiny: Path) -> None:
    """Under a limit of 4 GiB, a context of 14 GiB ends in NoSpaceError with llama.cpp's own figure."""
    program = f"""
import resource
from pathlib import Path
from edgepack.domain.errors import NoSpaceError
from edgepack.domain.measurement import Workload
from edgepack.engines.llamacpp import measure
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    measure(Path({str(tiny)!r}), workload=Workload(prompt_tokens=0, generated_tokens=30_000_000), threads=1)
except NoSpaceError as error:
    print(error.what)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "no context of 30000000 tokens" in done.stdout, done.stderr
    assert "14648.50 MB" in done.stdout
