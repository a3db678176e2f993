"""A bundle with two models behind one address: the same confidence as here, the larger one where it is low, and what
remains when that one is gone.

EDGEPACK_TEST_RUNTIME is a static `llama` of the pinned source for this machine.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from edgepack.cli.main import run as edgepack
from edgepack.domain.address import KEY, Address
from edgepack.domain.confidence import Calibration, Signal, signals_after
from edgepack.domain.progress import Silent
from edgepack.domain.routing_json import FoundRoute
from edgepack.domain.source import GgufSource
from edgepack.domain.task import JsonSchema
from edgepack.engines.llamacpp import identify, opened
from edgepack.engines.llamacpp_asking import answer_each, task_prompt
from edgepack.infra.tasks import load_task
from edgepack.pipeline import Order, build
from edgepack.pipeline.order import RouteOrder
from tests.conftest import USERS_STORE
from tests.fakes.chat_server import chat_server
from tests.fakes.serving import Served, served

openai = pytest.importorskip("openai")

pytestmark = pytest.mark.slow
CALIBRATION = Calibration(intercept=-0.4, weights={Signal.PRODUCT: 1.6, Signal.WEAKEST: 0.3, Signal.MARGIN: 0.1})
THRESHOLD = 0.6
TASK = load_task("smart-home-intents")
EXAMPLES = TASK.held_out[:60]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A bundle with a route, and the two models in it."""

    bundle: Path
    small: Path
    large: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Both demo models, and a store that has the compiler."""
    if not os.environ.get("EDGEPACK_TEST_RUNTIME"):
        pytest.skip("no runtime: set EDGEPACK_TEST_RUNTIME to a `llama`")
    place = tmp_path_factory.mktemp("routed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(place / "home"))
        for model, quant in (("demo-1m", "Q4_0"), ("demo-5m", "Q8_0")):
            words = ["convert", model, "--quant", quant, "--out", str(place / f"{model}.gguf"), "--quiet"]
            assert edgepack(words) == 0
        (place / "home/vendor").symlink_to(USERS_STORE / "vendor")
        for kept in USERS_STORE.glob("store/*/*/router"):  # minutes of compiling, where it is done already
            shutil.copytree(kept.parent, place / "home" / kept.parent.relative_to(USERS_STORE))
        yield place


def made(place: Path, name: str, large: Path | Address) -> Path:
    small = place / "demo-1m.gguf"
    found = FoundRoute(
        calibration=CALIBRATION, threshold=THRESHOLD, small=identify(small).sha256, text="{}\n",
        large=large if isinstance(large, Address) else identify(large).sha256,
    )  # fmt: skip
    order = Order(
        profile="host", source=GgufSource(path=small), measure=False, out=place / name, offline=True,
        runtime=Path(os.environ["EDGEPACK_TEST_RUNTIME"]).parent,
        route=RouteOrder(found=found, large=None if isinstance(large, Address) else large),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(place / "home"))
        return build(order, Silent()).bundle.path


@pytest.fixture(scope="module")
def pair(place: Path) -> Pair:
    large = place / "demo-5m.gguf"
    return Pair(bundle=made(place, "bundle", large), small=place / "demo-1m.gguf", large=large)


@pytest.fixture(scope="module")
def server(pair: Pair) -> Iterator[Served]:
    with served(pair.bundle, EDGEPACK_API_KEY="a key", EDGEPACK_EMBEDDINGS="1") as running:
        yield running


def client_of(running: Served) -> Any:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="a key", max_retries=0)


def ask(client: Any, text: str, **more: Any) -> Any:
    """The answer with its headers."""
    assert isinstance(TASK.form, JsonSchema)
    schema = {"name": "intent", "strict": True, "schema": json.loads(TASK.form.schema)}
    return client.chat.completions.with_raw_response.create(
        model="any", messages=[{"role": "user", "content": text}], temperature=0, max_tokens=TASK.max_tokens,
        response_format={"type": "json_schema", "json_schema": schema}, **more,
    )  # fmt: skip


def expected(weights: Path) -> list[tuple[str, list[float]]]:
    """Each example's answer, and the confidence after each of its tokens."""
    with opened(weights) as model:
        prompts = [task_prompt(model, TASK, example) for example in EXAMPLES]
        answers = list(answer_each(model, TASK, prompts, threads=1))
    return [(one.text, [CALIBRATION.confidence(signals) for signals in signals_after(one)]) for one in answers]


def test_both_sides_are_equally_sure_and_the_unsure_goes_up(pair: Pair, server: Served) -> None:
    """Of the same answers the same confidence as in Python; below the threshold the larger model's answer comes."""
    client, ups = client_of(server), 0
    larger = expected(pair.large)
    for example, (small, confidences), (large, _) in zip(EXAMPLES, expected(pair.small), larger, strict=True):
        raw = ask(client, TASK.asks(example))
        said = raw.parse().choices[0].message.content
        here = next((one for one in confidences if one < THRESHOLD), confidences[-1])
        there = float(raw.headers["X-Edgepack-Confidence"])
        if min(abs(one - THRESHOLD) for one in confidences) < 0.02:
            continue  # which side of it, rounding may decide
        assert there == pytest.approx(here, abs=0.02)
        goes_up = confidences[-1] < THRESHOLD
        assert raw.headers["X-Edgepack-Model"] == ("large" if goes_up else "small")
        assert json.loads(said) == json.loads(large if goes_up else small)
        ups += goes_up
    assert 5 < ups < 40


@pytest.mark.parametrize("model", ["small", "large"])
def test_a_stream_says_what_the_whole_says(server: Served, model: str) -> None:
    """In pieces, ended as OpenAI ends them; usage and tokens' probabilities where asked for, and not elsewhere."""
    client = client_of(server)
    text = next(
        TASK.asks(one) for one in EXAMPLES if ask(client, TASK.asks(one)).headers["X-Edgepack-Model"] == model
    )
    whole = ask(client, text).parse()
    raw = ask(client, text, stream=True, stream_options={"include_usage": True})
    assert raw.headers["X-Edgepack-Model"] == model
    parts = list(raw.parse())
    pieces = [part.choices[0].delta.content or "" for part in parts if part.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 2
    assert parts[-1].usage.completion_tokens == whole.usage.completion_tokens > 2
    assert [part.choices[0].finish_reason for part in parts if part.choices][-1] == "stop"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.choices[0].logprobs is None
    assert not any(getattr(part.choices[0], "logprobs", None) for part in parts if part.choices)
    assert not any(part.usage for part in ask(client, text, stream=True).parse())
    told = ask(client, text, logprobs=True, top_logprobs=3).parse().choices[0].logprobs.content
    assert "".join(token.token for token in told) == whole.choices[0].message.content
    assert len(told[0].top_logprobs) == 3


def test_many_at_once_get_their_own_answers(server: Served) -> None:
    """As one after the other; those whose client has gone cost nobody anything."""
    client = client_of(server)
    texts = [TASK.asks(one) for one in EXAMPLES[:24]]

    def said(text: str) -> tuple[str, str]:
        raw = ask(client, text)
        return raw.headers["X-Edgepack-Model"], raw.parse().choices[0].message.content

    alone = [said(text) for text in texts]
    host, port = server.url.removeprefix("http://").split(":")
    body = b'{"messages": [{"role": "user", "content": "dim the lamp"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer a key\r\n"
    for _ in range(8):
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(said, texts)) == alone


def test_everything_else_is_the_small_models(server: Served) -> None:
    client = client_of(server)
    assert client.embeddings.create(model="any", input=["dim the lamp"]).data[0].embedding
    assert len(client.models.list().data) == 1
    said = client.completions.create(model="any", prompt="dim the lamp", max_tokens=4, stream=True)
    assert len(list(said)) >= 2
    with urlopen(f"{server.url}/health") as answer:
        assert json.load(answer) == {"status": "ok"}


def status(server: Served, body: bytes, *, key: str = "a key", path: str = "/v1/chat/completions") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        with urlopen(Request(f"{server.url}{path}", body, headers), timeout=60) as answer:
            return int(answer.status), json.load(answer)
    except HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


DEEP = b'{"messages":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", DEEP, b'{"messages": 3}', b"{}"], ids=range(8)
)
def test_what_makes_no_sense_is_the_clients_fault(server: Served, body: bytes) -> None:
    """4xx with a reason, and the next one is answered."""
    code, said = status(server, body)
    assert 400 <= code < 500
    assert said["error"]["message"]
    assert ask(client_of(server), "dim the kitchen lamp to 30").status_code == 200


def test_a_key_is_asked_for_and_shown_to_nobody(server: Served) -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": "dim the lamp"}]}).encode()
    assert status(server, asked, key="another")[0] == 401
    for process in (server.process.pid, *servers(server)):
        assert b"a key" not in Path(f"/proc/{process}/cmdline").read_bytes()


def test_a_body_that_is_too_large_is_refused(server: Served) -> None:
    """Before it is read into memory that a small device lacks."""
    asked = b'{"messages": [{"role": "user", "content": "' + b"x" * (5 << 20) + b'"}]}'
    done = subprocess.run(
        ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-H", "Expect:", "--data-binary", "@-",
         f"{server.url}/v1/chat/completions"], input=asked, capture_output=True,
    )  # fmt: skip
    assert done.stdout == b"413"


def servers(running: Served) -> list[int]:
    """The small model's, then the large one's."""
    router = running.process.pid
    children = Path(f"/proc/{router}/task/{router}/children").read_text().split()
    words = {int(one): Path(f"/proc/{one}/cmdline").read_bytes() for one in children}
    return sorted((one for one in words if b".sock" in words[one]), key=lambda one: b"/large.gguf" in words[one])


def test_without_the_larger_model_the_small_one_answers(pair: Pair, tmp_path: Path) -> None:
    """Killed: its requests get the small one's whole answer, and a header says why. The small one's end is all's."""
    unsure = [
        (example, text)
        for example, (text, confidences) in zip(EXAMPLES, expected(pair.small), strict=True)
        if confidences[-1] < THRESHOLD - 0.1
    ]
    log = tmp_path / "log"
    with served(pair.bundle, EDGEPACK_LOG="json", EDGEPACK_LOG_FILE=str(log)) as running:
        client = client_of(running)
        assert ask(client, TASK.asks(unsure[0][0])).headers["X-Edgepack-Model"] == "large"
        small, large = servers(running)
        os.kill(large, 9)
        for example, text in unsure[:5]:
            raw = ask(client, TASK.asks(example))
            assert raw.headers["X-Edgepack-Model"] == "small"
            assert raw.headers["X-Edgepack-Fallback"]
            assert json.loads(raw.parse().choices[0].message.content) == json.loads(text)
        os.kill(small, 9)
        assert running.process.wait(30) == 1
    while (said := log.read_text()).count("\n") < 6:
        time.sleep(0.05)
    lines = [json.loads(line) for line in said.splitlines()]
    assert [line["model"] for line in lines] == ["large"] + ["small"] * 5
    assert all(line["fallback"] for line in lines[1:])


def test_the_end_is_clean(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM: 0, no process and no socket left; and after a kill the servers end too."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with served(pair.bundle) as running:
        both = servers(running)
        assert len(both) == 2
        assert list(tmp_path.glob("edgepack-*/*.sock"))
    assert running.process.returncode == 0
    assert not any(Path(f"/proc/{one}").exists() for one in both)
    assert not list(tmp_path.iterdir())
    with served(pair.bundle) as running:
        both = servers(running)
        running.process.kill()
        running.process.wait(30)
        while any(Path(f"/proc/{one}").exists() for one in both):
            time.sleep(0.05)


@pytest.mark.parametrize("shell", ["dash", "busybox sh", "bash"])
def test_one_question_is_routed_as_well(pair: Pair, shell: str) -> None:
    """run "text" gives the answer of whichever is asked; EDGEPACK_MODEL insists on one."""
    found = {}
    for model in ("", "small", "large"):
        done = subprocess.run(
            [*shell.split(), str(pair.bundle / "run"), "foucs scene, if you can"], capture_output=True,
            text=True, check=True, env={**os.environ, "EDGEPACK_MODEL": model, "EDGEPACK_RUNTIME": "server"},
        )  # fmt: skip
        found[model] = json.loads(done.stdout)["scene"]
    assert found[""] == found["large"] == "focus"
    assert found["small"] != "focus"


def test_the_device_tests_both(pair: Pair) -> None:
    done = subprocess.run([pair.bundle / "selftest"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "and from the larger one" in done.stderr


def test_an_address_gets_what_goes_up_and_its_own_key(place: Path) -> None:
    """Not the client's, which is the device's own; where it refuses, the small model answers."""
    with chat_server(lambda asked: json.dumps({"from": asked["model"]})) as remote:
        bundle = made(place, "remote", Address(url=remote.url, model="larger"))
        with served(bundle, EDGEPACK_API_KEY="a key", **{KEY: "their key"}) as running:
            client = client_of(running)
            raws = [ask(client, TASK.asks(one)) for one in EXAMPLES[:30]]
            up = [raw for raw in raws if raw.headers["X-Edgepack-Model"] == "large"]
            assert len(up) == len(remote.asked) > 3
            assert {raw.parse().choices[0].message.content for raw in up} == {'{"from": "larger"}'}
            assert {headers["Authorization"] for headers in remote.headers} == {"Bearer their key"}
            assert status(running, json.dumps({"messages": []}).encode(), key="none")[0] == 401
            assert len(servers(running)) == 1
            remote.status = 503
            again = [ask(client, TASK.asks(one)) for one in EXAMPLES[:30]]
            assert {raw.headers["X-Edgepack-Model"] for raw in again} == {"small"}
            assert [raw.headers.get("X-Edgepack-Fallback") for raw in again].count("503") == len(up)
        for path in bundle.rglob("*"):
            assert not path.is_file() or b"their key" not in path.read_bytes()
