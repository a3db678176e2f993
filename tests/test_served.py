"""What a bundle serves, asked by the unmodified `openai` client and by clients that behave badly.

EDGEPACK_TEST_RUNTIME is a static `llama` of the pinned source for this machine.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from edgepack.domain.native import RuntimeChoice
from edgepack.domain.progress import Silent
from edgepack.domain.quant import Quant
from edgepack.pipeline import Order, build
from edgepack.stages.fetch import find_source
from tests.fakes.serving import Served, served, with_runtime

openai = pytest.importorskip("openai")

pytestmark = pytest.mark.slow
COMMAND = "dim the kitchen lamp to 30"
SYSTEM = "You are the house. Answer with JSON.\n" * 6
SECONDS = float(os.environ.get("EDGEPACK_TEST_SERVED_SECONDS", "120"))
ANSWER = {"intent": "set_brightness", "device": "lamp", "room": "kitchen", "value": 30, "unit": "percent"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    said = os.environ.get("EDGEPACK_TEST_RUNTIME")
    if not said:
        pytest.skip("no runtime: set EDGEPACK_TEST_RUNTIME to a `llama`")
    place = tmp_path_factory.mktemp("served")
    (place / "system.txt").write_text(SYSTEM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEPACK_HOME", str(place / "home"))
        order = Order(
            profile="host", source=find_source("demo"), quant=Quant.Q8_0, measure=False,
            runtime=RuntimeChoice.NONE, system_prompt=place / "system.txt", out=place / "bundle",
        )  # fmt: skip
        build(order, Silent())
    return with_runtime(place / "bundle", Path(said))


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[Served]:
    with served(bundle, EDGEPACK_EMBEDDINGS="1", EDGEPACK_API_KEY="a key") as running:
        yield running


@pytest.fixture
def client(server: Served) -> Any:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="a key", max_retries=0)


def ask(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": COMMAND}], temperature=0, max_tokens=64, **more
    )


def test_chat(client: Any) -> None:
    assert json.loads(ask(client).choices[0].message.content) == ANSWER


def test_stream(client: Any) -> None:
    pieces = [part.choices[0].delta.content or "" for part in ask(client, stream=True) if part.choices]
    assert len(pieces) > 2
    assert json.loads("".join(pieces)) == ANSWER


def test_json_schema(client: Any) -> None:
    """The demo model would never write this by itself."""
    schema = {
        "type": "object", "properties": {"lamp": {"enum": ["on", "off"]}}, "required": ["lamp"],
        "additionalProperties": False,
    }  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "lamp", "schema": schema, "strict": True}}
    said = json.loads(ask(client, response_format=form).choices[0].message.content)
    assert said in ({"lamp": "on"}, {"lamp": "off"})


def test_embeddings_between_chats(client: Any) -> None:
    found = client.embeddings.create(model="any", input=["dim the lamp", "dim the lamp", "open the garage"])
    one, same, other = (item.embedding for item in found.data)
    assert one == pytest.approx(same, abs=1e-4)
    assert sum(a * b for a, b in zip(one, other, strict=True)) < 0.999
    assert json.loads(ask(client).choices[0].message.content) == ANSWER


def test_without_the_key_nothing_is_answered(server: Served) -> None:
    other = openai.OpenAI(base_url=f"{server.url}/v1", api_key="another", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        ask(other)
    assert b"a key" not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()


def status(server: Served, body: bytes, path: str = "/v1/chat/completions") -> int:
    asked = Request(
        f"{server.url}{path}", body, {"Authorization": "Bearer a key", "Content-Type": "application/json"}
    )
    try:
        with urlopen(asked, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except URLError as error:
        # The server answered and closed while the body was still on its way.
        if isinstance(error.reason, (BrokenPipeError, ConnectionResetError)):
            return 413
        raise


def test_bad_requests_are_refused_and_the_server_lives(server: Served, client: Any) -> None:
    long = json.dumps({"messages": [{"role": "user", "content": "lamp " * 20_000}]}).encode()
    for body in (b"{}", b'{"messages": 7}', b'{"messages": [{"role": 1}]}', long):
        assert 400 <= status(server, body) < 500, body[:80]
    assert status(server, b"{}", "/v1/nothing") == 404
    # Upstream's answer to what is no JSON is 500; that it goes on is what counts.
    for body in (b"{bad", b"\xff\xfe", b"[" * 100_000):
        assert status(server, body) in (400, 500)
    # More than a context holds: refused unread, or cut off, and never kept in memory.
    assert status(server, b"x" * 50_000_000) == 413
    half = []
    for sent in (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{", b"GET / HT", b"\0" * 4096):
        connection = socket.create_connection(server.url.removeprefix("http://").split(":"))
        connection.sendall(sent)
        half.append(connection)
    assert json.loads(ask(client).choices[0].message.content) == ANSWER
    for connection in half:
        connection.close()
    assert json.loads(ask(client).choices[0].message.content) == ANSWER


def test_eight_clients_at_once_meet_no_error_and_memory_stays(server: Served) -> None:
    until, answers, errors = time.monotonic() + SECONDS, [0] * 8, []

    def work(number: int) -> None:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="a key", max_retries=0, timeout=120)
        while time.monotonic() < until and not errors:
            try:
                if json.loads(ask(client, stream=False).choices[0].message.content) != ANSWER:
                    errors.append("another answer")
            except openai.OpenAIError as error:
                errors.append(repr(error))
            answers[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS / 4)
    early = server.memory
    for thread in threads:
        thread.join()
    print(
        f"{sum(answers)} answers, RSS {early / 1e6:.1f} MB after a quarter, {server.memory / 1e6:.1f} MB at the end"
    )
    assert not errors
    assert min(answers) > 0
    assert server.memory - early < 4 << 20


def test_a_chat_with_the_system_prompt_begins_where_it_ends(bundle: Path) -> None:
    """The same answer with and without the state; with it no token of the prefix is read."""
    system = (bundle / "state/system.txt").read_text()
    messages = [{"role": "system", "content": system}, {"role": "user", "content": COMMAND}]
    found = {}
    for without in ("", "1"):
        with served(bundle, EDGEPACK_NO_STATE=without) as running:
            client = openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
            said = client.chat.completions.create(model="any", messages=messages, temperature=0, max_tokens=64)
            found[without] = said.choices[0].message.content, said.usage.prompt_tokens_details.cached_tokens
            template = Request(f"{running.url}/apply-template", json.dumps({"messages": messages}).encode())
            with urlopen(template) as answer:
                assert COMMAND in json.load(answer)["prompt"]
            asked = b'{"filename":"stolen"}'
            assert status(running, asked, "/slots/0?action=save") >= 400
        assert running.process.returncode == 0
    tokens = json.loads((bundle / "manifest.json").read_text())["state"]["tokens"]
    assert found[""] == (found["1"][0], tokens)
    assert found["1"][1] == 0
