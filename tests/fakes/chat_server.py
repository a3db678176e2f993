"""An OpenAI-compatible server on loopback that answers as it is told, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Asked = Mapping[str, object]


@dataclass(kw_only=True)
class ChatServer:
    """What it knows; `answer` gives the words to a request's body."""

    url: str
    answer: Callable[[Asked], str]
    status: int = 200
    body: bytes | None = None
    """In place of a completion."""
    asked: list[Asked] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def reply(self, asked: Asked) -> bytes:
        if self.body is not None:
            return self.body
        choice = {
            "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": self.answer(asked)},
        }  # fmt: skip
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()


@contextmanager
def chat_server(answer: Callable[[Asked], str]) -> Iterator[ChatServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked.append(asked)
            found.headers.append(dict(self.headers))
            right = self.path == "/v1/chat/completions"
            body = found.reply(asked)
            self.send_response(found.status if right else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = ChatServer(url=f"http://127.0.0.1:{server.server_address[1]}/v1", answer=answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
