"""run, bench and selftest in every shell that is here: they find their place, a runtime, and the right words."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgepack.domain.bundle import SCRIPTS
from tests.formats.bundles import FACTS, make_bundle, with_prompt
from tests.formats.tiny_model import write_tiny_adapter, write_tiny_gguf

SHELLS = {
    name: words
    for name, words in {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}.items()
    if shutil.which(words[0])
}
SH = next(iter(SHELLS))
TOOLS = ["awk", "cat", "dirname", "find", "getconf", "grep", "nproc", "readlink", "sed", "sha256sum", "sleep", "tr"]

# Answers with what it was asked, so that the way there and back is seen.
FAKE_SERVER = f"""#!{sys.executable}
import http.server, json, sys
words = sys.argv[1:]
if "--port" not in words or words[words.index("--host") + 1] != "127.0.0.1":
    sys.exit(9)
prefix = words[words.index("--api-prefix") + 1] if "--api-prefix" in words else ""
if not prefix:
    print(json.dumps(words))
    sys.exit(0)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200 if self.path == prefix + "/health" else 404, {{}})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {{"role": "assistant", "content": asked["messages"][0]["content"]}}
        right = self.path == prefix + "/v1/chat/completions" and asked["temperature"] == 0
        self.answer(200 if right else 404, {{"choices": [{{"index": 0, "message": message}}], "model": "x"}})
    def answer(self, status, values):
        body = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
http.server.HTTPServer(("127.0.0.1", int(words[words.index("--port") + 1])), Handler).serve_forever()
"""
FAKE_PROGRAM = '#!/bin/sh\nfor word; do printf "<%s>" "$word"; done\necho\necho its own words >&2\n'


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose model runs, in a directory with spaces."""
    directory = tmp_path_factory.mktemp("with some spaces")
    weights = write_tiny_gguf(directory / "tiny.gguf")
    return make_bundle(directory, weights=weights, facts=with_prompt('It\'s "it" & $HOME?')).path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the few tools that a small system has, and nothing that runs models."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (directory / tool).symlink_to(found)
    return directory


def program(path: Path, name: str, text: str) -> Path:
    (path / name).write_text(text)
    (path / name).chmod(0o755)
    return path / name


def call(
    shell: str, script: Path, *words: str, path: Path, text_in: str = "", **settings: str
) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": str(path), "HOME": "/nonexistent", "EDGEPACK_THREADS": "1", "EDGEPACK_CTX": "128"}
    environment |= {"EDGEPACK_MAX_TOKENS": "8", "EDGEPACK_PYTHON": "no-python"} | settings
    interpreter, *options = SHELLS[shell]
    return subprocess.run(
        [str(shutil.which(interpreter)), *options, str(script), *words],
        env=environment, input=text_in, capture_output=True, text=True, check=False, timeout=120, cwd="/",
    )  # fmt: skip


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with an adapter."""
    directory = tmp_path_factory.mktemp("with an adapter")
    weights, adapter = write_tiny_gguf(directory / "tiny.gguf"), write_tiny_adapter(directory / "lora.gguf")
    return make_bundle(directory, weights=weights, adapter=adapter, facts=with_prompt("Say hello.")).path


shells = pytest.mark.parametrize("shell", list(SHELLS))


def test_one_answer_comes_from_the_bindings(bundle: Path, path: Path) -> None:
    done = call(SH, bundle / "run", "Say hello.", path=path, EDGEPACK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isalpha()
    assert f"run: the Python bindings of {sys.executable}, 1 threads" in done.stderr


def test_the_bindings_answer_line_by_line(bundle: Path, path: Path) -> None:
    done = call(SH, bundle / "run", path=path, text_in="one\n\ntwo\n", EDGEPACK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_a_model_without_a_chat_template_goes_on_with_the_text(tmp_path: Path, path: Path) -> None:
    weights = write_tiny_gguf(tmp_path / "tiny.gguf", chat_template=None)
    made = make_bundle(tmp_path, weights=weights)
    done = call(SH, made.path / "run", "one", path=path, EDGEPACK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_an_adapter_is_loaded_by_the_bindings(bundle: Path, adapted: Path, path: Path) -> None:
    """With it the model says something else, and bench measures both."""
    said = [
        call(SH, made / "run", "Say hello.", path=path, EDGEPACK_PYTHON=sys.executable) for made in (bundle, adapted)
    ]
    assert [done.returncode for done in said] == [0, 0], said[1].stderr
    assert said[0].stdout != said[1].stdout
    assert call(SH, adapted / "selftest", path=path, EDGEPACK_PYTHON=sys.executable).stdout == said[1].stdout
    measured = call(SH, adapted / "bench", path=path, EDGEPACK_CTX="32", EDGEPACK_PYTHON=sys.executable)
    assert (measured.returncode, len(measured.stdout.splitlines())) == (0, 2), measured.stderr


@shells
@pytest.mark.parametrize("words", [("x",), ()])
def test_an_adapter_is_given_to_programs_as_one_word(
    shell: str, words: tuple[str, ...], adapted: Path, path: Path
) -> None:
    program(path, "llama-completion", FAKE_PROGRAM)
    done = call(shell, adapted / "run", *words, path=path)
    assert done.returncode == 0
    assert f"<--lora><{adapted}/model/adapter.gguf><-c>" in done.stdout


@shells
def test_a_server_gets_the_adapter_too(shell: str, adapted: Path, path: Path) -> None:
    program(path, "llama-server", FAKE_SERVER)
    words = json.loads(call(shell, adapted / "run", path=path).stdout)
    assert words[words.index("--lora") + 1] == f"{adapted}/model/adapter.gguf"


def test_llama_bench_takes_no_adapter_which_is_said(adapted: Path, path: Path) -> None:
    program(path, "llama-bench", FAKE_PROGRAM)
    done = call(SH, adapted / "bench", path=path)
    assert "--lora" not in done.stdout
    assert "measured without it" in done.stderr


def test_a_path_that_llama_cpp_would_take_for_two_is_refused(adapted: Path, path: Path, tmp_path: Path) -> None:
    shutil.copytree(adapted, tmp_path / "one,two")
    done = call(SH, tmp_path / "one,two" / "run", "x", path=path)
    assert done.returncode == 2
    assert "comma" in done.stderr


PROMPT = "She said \"hi\" \\ \\n back,\n\ttab, ünïcödé 🙂 %s $HOME `id` 'x'  end"


@shells
@pytest.mark.parametrize("client", ["curl", "wget"])
def test_a_server_is_asked_and_ended(shell: str, client: str, bundle: Path, path: Path) -> None:
    found = shutil.which(client)
    if not found:
        pytest.skip(f"no {client} here")
    (path / client).symlink_to(found)
    server = program(path, "a server", FAKE_SERVER)
    done = call(shell, bundle / "run", PROMPT, path=path, LLAMA_SERVER=str(server))
    assert done.returncode == 0, done.stderr
    assert done.stdout == PROMPT + "\n"
    assert f"{server} asked with {client}" in done.stderr


def test_a_server_that_does_not_start_is_an_error(bundle: Path, path: Path) -> None:
    (path / "curl").symlink_to(shutil.which("curl") or pytest.skip("no curl here"))
    server = program(path, "llama-server", "#!/bin/sh\nexit 1\n")
    done = call(SH, bundle / "run", "x", path=path)
    assert done.returncode == 6
    assert f"error: {server} ended before it answered\n  next: " in done.stderr


def test_without_a_prompt_a_server_starts_on_this_machine_only(bundle: Path, path: Path) -> None:
    program(path, "llama-server", FAKE_SERVER)
    done = call(SH, bundle / "run", path=path, EDGEPACK_PORT="8123")
    words = json.loads(done.stdout)
    assert words[words.index("-m") + 1] == str(bundle / "model" / f"{FACTS.name}.gguf")
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--port") + 1] == "8123"
    assert words[words.index("-c") + 1] == "128"


@shells
def test_llama_completion_gets_the_prompt_as_one_word_and_its_own_words_stay_away(
    shell: str, bundle: Path, path: Path
) -> None:
    found = program(path, "llama-completion", FAKE_PROGRAM)
    done = call(shell, bundle / "run", PROMPT, path=path)
    assert done.returncode == 0
    assert f"<-p><{PROMPT}>" in done.stdout
    assert "<-c><128>" in done.stdout
    assert done.stderr == f"run: {found}, 1 threads\n"


def test_a_program_that_fails_says_why(bundle: Path, path: Path) -> None:
    program(path, "llama-completion", "#!/bin/sh\necho broken model >&2\nexit 3\n")
    done = call(SH, bundle / "run", "x", path=path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "broken model" in done.stderr


def test_the_bundles_own_runtime_comes_first(bundle: Path, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "runtime").mkdir()
    own = program(copy / "runtime", "llama-completion", FAKE_PROGRAM)
    program(path, "llama-completion", "#!/bin/sh\nexit 9\n")
    done = call(SH, copy / "run", "x", path=path)
    assert done.stderr == f"run: {own}, 1 threads\n"


@shells
@pytest.mark.parametrize("script", ["run", "bench"])
def test_without_a_runtime_it_ends_with_6_and_two_lines(shell: str, script: str, bundle: Path, path: Path) -> None:
    done = call(shell, bundle / script, path=path)
    assert done.returncode == 6
    assert [line.split(":")[0].strip() for line in done.stderr.splitlines()] == ["error", "next"]


@shells
def test_it_finds_itself_through_links(shell: str, bundle: Path, path: Path, tmp_path: Path) -> None:
    program(path, "llama-completion", FAKE_PROGRAM)
    (tmp_path / "first").symlink_to(os.path.relpath(bundle / "run", tmp_path))
    (tmp_path / "second").symlink_to("first")
    done = call(shell, tmp_path / "second", "x", path=path)
    assert f"<-m><{bundle}/model/{FACTS.name}.gguf>" in done.stdout


def test_threads_are_the_profiles_but_no_more_than_there_are_cores(bundle: Path, path: Path) -> None:
    program(path, "llama-completion", FAKE_PROGRAM)
    for cores, threads in ((2, 2), (64, 4)):
        (path / "nproc").unlink()
        program(path, "nproc", f"#!/bin/sh\necho {cores}\n")
        done = call(SH, bundle / "run", "x", path=path, EDGEPACK_THREADS="")
        assert f"<-t><{threads}>" in done.stdout


@pytest.mark.parametrize("name", ["EDGEPACK_THREADS", "EDGEPACK_CTX", "EDGEPACK_PORT", "EDGEPACK_MAX_TOKENS"])
@pytest.mark.parametrize("value", ["x", "0", "-1", "1; id"])
def test_settings_that_are_no_numbers_are_usage_errors(name: str, value: str, bundle: Path, path: Path) -> None:
    done = call(SH, bundle / "run", "x", path=path, **{name: value})
    assert done.returncode == 2
    assert name in done.stderr


def test_a_prompt_without_quotes_is_a_usage_error(bundle: Path, path: Path) -> None:
    assert call(SH, bundle / "run", "turn", "on", path=path).returncode == 2


@shells
def test_the_selftest_passes_on_a_good_bundle(shell: str, bundle: Path, path: Path) -> None:
    done = call(shell, bundle / "selftest", path=path, EDGEPACK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isalpha()
    assert done.stderr.endswith("selftest: all right\n")


@shells
def test_the_selftest_asks_the_sample_prompt_to_the_letter(shell: str, bundle: Path, path: Path) -> None:
    program(path, "llama-completion", FAKE_PROGRAM)
    done = call(shell, bundle / "selftest", path=path)
    assert '<-p><It\'s "it" & $HOME?>' in done.stdout


@shells
def test_the_selftest_names_a_changed_file_and_ends_with_7(
    shell: str, bundle: Path, path: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "copy")
    with (tmp_path / "copy/bench").open("a") as file:
        file.write("\n")
    done = call(shell, tmp_path / "copy/selftest", path=path)
    assert done.returncode == 7
    assert "bench: FAILED" in done.stderr
    assert "run: OK" not in done.stderr


def test_the_selftest_ends_with_7_where_the_model_says_nothing(bundle: Path, path: Path) -> None:
    program(path, "llama-completion", "#!/bin/sh\necho\n")
    assert call(SH, bundle / "selftest", path=path).returncode == 7


def test_the_selftest_ends_with_6_where_nothing_runs_the_model(bundle: Path, path: Path) -> None:
    assert call(SH, bundle / "selftest", path=path).returncode == 6


def test_the_selftest_without_the_answer_needs_no_runtime(bundle: Path, path: Path) -> None:
    assert call(SH, bundle / "selftest", path=path, EDGEPACK_NO_RUN="1").returncode == 0


def test_the_selftest_ends_with_8_where_memory_does_not_suffice(tmp_path: Path, path: Path) -> None:
    from dataclasses import replace

    from edgepack.domain.bundle import PredictedMemory

    facts = replace(FACTS, plan=PredictedMemory(parts=(("weights", 1 << 60),)))
    done = call(SH, make_bundle(tmp_path, facts=facts).path / "selftest", path=path)
    assert done.returncode == 8


def test_bench_prints_tokens_a_second(bundle: Path, path: Path) -> None:
    done = call(SH, bundle / "bench", path=path, EDGEPACK_CTX="32", EDGEPACK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("pp16 ")
    assert second.startswith("tg8 ")
    assert "tokens/s" in first


def test_bench_takes_llama_bench_where_there_is_one(bundle: Path, path: Path) -> None:
    program(path, "llama-bench", FAKE_PROGRAM)
    done = call(SH, bundle / "bench", path=path)
    assert "<-t><1><-p><64><-n><32>" in done.stdout


# One program that holds all, as a bundle's runtime/ has it: it says what it was called with.
FAKE_LLAMA = """#!/bin/sh
case " $* " in *" --help "*) echo "--no-slots --timeout N --cors-origins O --cache-ram N"; exit 0 ;; esac
for word; do printf "<%s>" "$word"; done
echo "key=${LLAMA_API_KEY:-}"
"""
# Two requests in a real llama-server's own words, and then it waits to be ended.
FAKE_TALKER = r"""#!/bin/sh
case " $* " in *" --help "*) exit 0 ;; esac
trap 'echo ended >&2; exit 0' TERM
cat >&2 <<'END'
0.00.576.076 I slot launch_slot_: id  0 | task 0 | processing task, is_child = 0
0.00.581.120 I slot print_timing: id  0 | task 0 | prompt eval time =       2.16 ms /    13 tokens
0.00.581.159 I slot print_timing: id  0 | task 0 |        eval time =       2.85 ms /    11 tokens
0.00.581.230 I slot      release: id  0 | task 0 | stop processing: n_tokens = 23, truncated = 0
0.00.646.263 W srv    operator(): got exception: {"error":{"code":400,"message":"no \"such\" thing"}}
END
touch "$STARTED"
while :; do sleep 0.1; done
"""


@pytest.fixture
def whole(bundle: Path, tmp_path: Path) -> Path:
    """A bundle with one program for everything."""
    copy = tmp_path / "whole"
    shutil.copytree(bundle, copy)
    (copy / "runtime").mkdir()
    program(copy / "runtime", "llama", FAKE_LLAMA)
    return copy


@shells
def test_one_program_that_holds_all_is_told_which_it_shall_be(shell: str, whole: Path, path: Path) -> None:
    program(path, "llama-completion", "#!/bin/sh\nexit 9\n")
    assert call(shell, whole / "run", "x", path=path).stdout.startswith("<completion><-m>")
    assert call(shell, whole / "run", path=path).stdout.startswith("<server><-m>")
    assert call(shell, whole / "bench", path=path).stdout.startswith("<bench><-m>")


def test_a_program_on_the_path_that_is_only_called_llama_is_not_run(bundle: Path, path: Path) -> None:
    program(path, "llama", "#!/bin/sh\nexit 1\n")
    assert call(SH, bundle / "run", "x", path=path).returncode == 6


@shells
def test_the_server_is_bounded_and_keeps_its_key_off_the_command_line(shell: str, whole: Path, path: Path) -> None:
    done = call(shell, whole / "run", path=path, EDGEPACK_API_KEY="hidden", EDGEPACK_HOST="0.0.0.0")
    words = "<--no-slots><--cors-origins><localhost><--timeout><60><--cache-ram><0><--host><0.0.0.0><--port><8080>"
    assert done.stdout.endswith(f"{words}key=hidden\n")
    assert "no key is set" not in done.stderr
    assert "no key is set" in call(shell, whole / "run", path=path, EDGEPACK_HOST="0.0.0.0").stderr


def test_a_file_of_keys_must_hold_one(whole: Path, path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# none\n")
    assert call(SH, whole / "run", path=path, EDGEPACK_API_KEY_FILE=str(keys)).returncode == 2
    keys.write_text("# one\nhidden\n")
    done = call(SH, whole / "run", path=path, EDGEPACK_API_KEY_FILE=str(keys))
    assert f"<--api-key-file><{keys}>" in done.stdout


@shells
@pytest.mark.parametrize("restart", ["", "1"])
def test_the_log_has_a_json_line_a_request_and_the_end_is_clean(
    shell: str, restart: str, whole: Path, path: Path, tmp_path: Path
) -> None:
    for tool in ("date", "mkfifo", "mktemp", "rm", "sleep", "touch"):
        if not (path / tool).exists():
            (path / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))
    program(whole / "runtime", "llama", FAKE_TALKER)
    log, started = tmp_path / "log", tmp_path / "started"
    interpreter, *options = SHELLS[shell]
    running = subprocess.Popen(
        [str(shutil.which(interpreter)), *options, str(whole / "run")], stderr=subprocess.PIPE, text=True,
        env={"PATH": str(path), "TMPDIR": str(tmp_path), "STARTED": str(started), "EDGEPACK_LOG": "json",
             "EDGEPACK_LOG_FILE": str(log), "EDGEPACK_RESTART": restart},
    )  # fmt: skip
    while not started.exists() or (log.read_text() if log.exists() else "").count("\n") < 2:
        assert running.poll() is None
        time.sleep(0.02)
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 0
    served, refused = map(json.loads, log.read_text().splitlines())
    assert served.pop("time")
    assert served == {"task": 0, "prompt_tokens": 13, "prompt_ms": 2.16, "tokens": 11, "ms": 2.85, "truncated": 0}
    assert refused["refused"]["error"]["message"] == 'no "such" thing'
    assert sorted(found.name for found in tmp_path.iterdir() if found.name.startswith("tmp.")) == []


@shells
def test_a_server_that_crashes_starts_again(shell: str, whole: Path, path: Path, tmp_path: Path) -> None:
    for tool in ("date", "sleep"):
        if not (path / tool).exists():
            (path / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool} here"))
    crashing = f"""#!/bin/sh
case " $* " in *" --help "*) exit 0 ;; esac
trap '' TERM
echo x >>'{tmp_path}/starts'
if [ "$(grep -c x '{tmp_path}/starts')" -gt 1 ]; then kill -TERM $PPID; fi
exit 139
"""
    program(whole / "runtime", "llama", crashing)
    done = call(shell, whole / "run", path=path, EDGEPACK_RESTART="1")
    assert (tmp_path / "starts").read_text() == "x\nx\n"
    assert "the server ended with 139; it starts again in 1 s" in done.stderr
    assert done.returncode in (0, 139)  # ended before or after the second crash was seen


@shells
def test_bench_gives_llama_benchs_json_on_request(shell: str, whole: Path, path: Path) -> None:
    assert call(shell, whole / "bench", "--json", path=path).stdout.rstrip().endswith("<-o><jsonl>key=")
    assert "<-o><jsonl>" in call(shell, whole / "bench", path=path, EDGEPACK_JSON="1").stdout
    assert "<-o>" not in call(shell, whole / "bench", path=path).stdout
    assert call(shell, whole / "bench", "--jsn", path=path).returncode == 2


# llama-perplexity's own lines, shifted by what LOSS says.
FAKE_PERPLEXITY = """#!/bin/sh
echo "       0  29583.6653  10.${LOSS}  0.924932"
echo "      32  18694.7658  9.835999  0.646218"
"""


@shells
@pytest.mark.parametrize(("loss", "code"), [("294978", 0), ("164978", 7)])
def test_the_selftest_compares_probabilities_with_the_build_machines(
    shell: str, loss: str, code: int, bundle: Path, path: Path, tmp_path: Path
) -> None:
    """Losses that differ by a thousandth of a nat are rounding; more than a tenth is a broken kernel."""
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "evidence/golden.txt").write_text("# somebody\n10.296000\n9.835000\n")
    program(path, "llama-perplexity", FAKE_PERPLEXITY)
    program(path, "llama-completion", FAKE_PROGRAM)
    done = call(shell, copy / "selftest", path=path, LOSS=loss)
    assert done.returncode == code, done.stderr
    assert ("does not compute here what it did" in done.stderr) == (code == 7)


def test_the_selftest_says_where_probabilities_cannot_be_compared(bundle: Path, path: Path) -> None:
    program(path, "llama-completion", FAKE_PROGRAM)
    assert "not compared: no evidence/golden.txt" in call(SH, bundle / "selftest", path=path).stderr


def test_a_runtime_that_reads_nothing_is_wrong(bundle: Path, path: Path, tmp_path: Path) -> None:
    """Where llama-perplexity dies, as of an illegal instruction, no line is no agreement."""
    shutil.copytree(bundle, tmp_path / "copy")
    (tmp_path / "copy/evidence/golden.txt").write_text("10.296000\n")
    program(path, "llama-perplexity", "#!/bin/sh\nkill -ILL $$\n")
    assert call(SH, tmp_path / "copy/selftest", path=path).returncode == 7


# Takes a state as llama-server does; what it was asked goes into a file.
FAKE_RESTORER = f"""#!{sys.executable}
import os, sys
if "--version" in sys.argv:
    print("version: 0.5.0-dev (build 1, commit " + os.environ["COMMIT"] + ")")
    sys.exit(0)
if "--help" in sys.argv:
    sys.exit(0)
{FAKE_SERVER.partition(chr(10))[2]}"""


@pytest.fixture(scope="module")
def stateful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a system prompt and what stands for its state."""
    directory = tmp_path_factory.mktemp("with a state")
    weights = write_tiny_gguf(directory / "tiny.gguf")
    (directory / "prefix").write_bytes(b"state")
    return make_bundle(directory, weights=weights, state=directory / "prefix", facts=with_prompt("Say hello.")).path


@shells
@pytest.mark.parametrize(("broken", "commit", "context", "why"), [
    ("", "abcdef0", "128", "it is of llama.cpp 0c1e570, and "),
    ("", "0c1e570", "64", "its 100 tokens need a context of more than 64"),
    ("state/prefix.bin", "0c1e570", "128", "state/prefix.bin is damaged"),
    ("model/tiny-q4_0-rpi5-8gb.gguf", "0c1e570", "128", "the weights are not those that it was computed with"),
])  # fmt: skip
def test_a_state_that_does_not_fit_is_left_out_with_the_reason(
    shell: str, broken: str, commit: str, context: str, why: str, stateful: Path, path: Path, tmp_path: Path
) -> None:
    (path / "curl").symlink_to(shutil.which("curl") or pytest.skip("no curl here"))
    shutil.copytree(stateful, tmp_path / "copy")
    if broken:
        with (tmp_path / "copy" / broken).open("ab") as file:
            file.write(b"x")
    program(path, "llama-server", FAKE_RESTORER)
    done = call(shell, tmp_path / "copy/run", path=path, COMMIT=commit, EDGEPACK_CTX=context)
    assert f"run: without the prompt state: {why}" in done.stderr
    assert "--slot-save-path" not in done.stdout


def test_a_program_is_given_the_system_prompt(stateful: Path, path: Path) -> None:
    program(path, "llama-completion", FAKE_PROGRAM)
    done = call(SH, stateful / "run", "x", path=path)
    assert f"<-sysf><{stateful}/state/system.txt>" in done.stdout


def test_the_bindings_are_given_the_system_prompt(stateful: Path, path: Path) -> None:
    done = call(SH, stateful / "run", "Say hello.", path=path, EDGEPACK_PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isalpha()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("which", ["bundle", "adapted", "stateful"])
def test_shellcheck_has_nothing_to_say(script: str, which: str, request: pytest.FixtureRequest) -> None:
    bundle: Path = request.getfixturevalue(which)
    if not shutil.which("shellcheck"):
        pytest.skip("no shellcheck here")
    done = subprocess.run(
        ["shellcheck", "-s", "sh", str(bundle / script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_nothing_is_left_unfilled(script: str, bundle: Path) -> None:
    text = (bundle / script).read_text()
    assert text.startswith("#!/bin/sh\n")
    assert "@" not in text.replace('"$@"', "").replace("--data-binary @-", "")
