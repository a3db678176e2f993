"""A hub on loopback: speaks the endpoints that the client uses, over commits in memory, and can misbehave.

Large files (.safetensors) are handed out by a second server, as the real hub's storage is another machine.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

FOREVER = 1 << 30
_PIECE = 1 << 14
_API = re.compile(r"/api/models/(?P<repository>[^/]+/[^/]+?)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
_RESOLVE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
_STORAGE = re.compile(r"/storage/(?P<digest>[0-9a-f]{64})/(?P<name>.+)")


def git_blob(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def _lfs(name: str, content: bytes) -> dict[str, object]:
    if not is_large(name):
        return {}
    return {"lfs": {"oid": sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    query: str
    range: str | None
    token: str | None
    user_agent: str
    storage: bool

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(kw_only=True)
class Refusal:
    """An answer in place of the right one, `times` times; `name` is a file's, or "" for the repository's."""

    status: int
    code: str | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = FOREVER


@dataclass(kw_only=True)
class FakeHub:
    """Repositories by name -> commits by id -> files by name; what a test may break is public."""

    url: str = ""
    storage_url: str = ""
    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    branches: dict[tuple[str, str], str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    refusals: dict[str, Refusal] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """Bytes after which the connection is cut, by file, one answer each; then no more cuts."""
    stalls: dict[str, int] = field(default_factory=dict)
    """Bytes after which an answer waits until `released`."""
    released: threading.Event = field(default_factory=threading.Event)
    tampered: set[str] = field(default_factory=set)
    """Files whose last byte is another one than listed."""
    listed_sizes: dict[str, int] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    """Files that the listing gives no digest for."""
    missing: set[str] = field(default_factory=set)
    """Files that are listed and not there."""
    ignores_ranges: bool = False
    answer: str | None = None
    """What the listing says in place of its JSON."""
    grows: list[dict[str, bytes]] = field(default_factory=list)
    """Files of the commits that main moves to, one after each listing."""

    def commit(self, repository: str, files: Mapping[str, bytes], *, branch: str = "main") -> str:
        """Put the files into a commit that `branch` points at; returns its id."""
        text = "".join(f"{git_blob(content)} {name}\n" for name, content in sorted(files.items()))
        commit = sha1(text.encode()).hexdigest()
        self.repositories.setdefault(repository, {})[commit] = dict(files)
        self.branches[repository, branch] = commit
        return commit

    def asked(self, name: str) -> list[Request]:
        """The requests whose answers were, or began, the file's bytes."""
        return [request for request in self.requests if request.name == name and request.storage is is_large(name)]

    def find(self, repository: str, revision: str) -> str | None:
        commit = self.branches.get((repository, revision), revision)
        return commit if commit in self.repositories.get(repository, {}) else None

    def info(self, repository: str, commit: str) -> dict[str, object]:
        """The answer of /api/models/REPOSITORY/revision/REVISION?blobs=true."""
        files = self.repositories[repository][commit]
        siblings = [self._sibling(name, content) for name, content in files.items()]
        return {"id": repository, "modelId": repository, "sha": commit, "siblings": siblings, "private": False}

    def tree(self, repository: str, commit: str) -> list[dict[str, object]]:
        """The answer of /api/models/REPOSITORY/tree/COMMIT?recursive=true."""
        return [
            {"type": "file", "path": name, "size": len(content), "oid": git_blob(content), **_lfs(name, content)}
            for name, content in self.repositories[repository][commit].items()
        ]

    def _sibling(self, name: str, content: bytes) -> dict[str, object]:
        if name in self.unlisted:
            return {"rfilename": name}
        size = self.listed_sizes.get(name, len(content))
        sibling: dict[str, object] = {"rfilename": name, "size": size, "blobId": git_blob(content)}
        if is_large(name):
            sibling["lfs"] = {"sha256": sha256(content).hexdigest(), "size": size, "pointerSize": 134}
        return sibling


@contextmanager
def serve_hub() -> Iterator[FakeHub]:
    """A running hub and its storage, on two free ports of 127.0.0.1."""
    hub = FakeHub()
    servers = [_server(hub, storage=False), _server(hub, storage=True)]
    hub.url, hub.storage_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        hub.released.set()
        for server in servers:
            server.shutdown()
            server.server_close()


def _server(hub: FakeHub, *, storage: bool) -> ThreadingHTTPServer:
    class Bound(_Handler):
        fake = hub
        is_storage = storage

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    fake: FakeHub
    is_storage: bool
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """The hub keeps its own log."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.fake.requests.append(
            Request(
                method=self.command,
                path=path,
                query=parts.query,
                range=self.headers.get("Range"),
                token=self.headers.get("Authorization"),
                user_agent=self.headers.get("User-Agent", ""),
                storage=self.is_storage,
            )
        )
        if self.is_storage and (match := _STORAGE.fullmatch(path)):
            self._stored(match["digest"], match["name"])
        elif match := _RESOLVE.fullmatch(path):
            self._resolve(match["repository"], match["revision"], match["name"])
        elif match := _API.fullmatch(parts.path):
            revision = unquote(match["revision"] or "main")
            self._repository(match["repository"], revision, tree=match["what"] == "tree")
        else:
            self._refuse(Refusal(status=404))

    def _repository(self, repository: str, revision: str, *, tree: bool) -> None:
        if self._refused(""):
            return
        commit = self._found(repository, revision)
        if not commit:
            return
        answer = self.fake.tree(repository, commit) if tree else self.fake.info(repository, commit)
        text = json.dumps(answer) if self.fake.answer is None else self.fake.answer
        self._send(200, {"Content-Type": "application/json"}, text.encode())
        if self.fake.grows and not tree:
            self.fake.commit(repository, self.fake.grows.pop(0))

    def _resolve(self, repository: str, revision: str, name: str) -> None:
        commit = self._found(repository, revision)
        if not commit or self._refused(name):
            return
        content = self.fake.repositories[repository][commit].get(name)
        if content is None or name in self.fake.missing:
            self._refuse(Refusal(status=404, code="EntryNotFound", headers={"X-Repo-Commit": commit}))
        elif is_large(name):
            digest = sha256(content).hexdigest()
            self._send(302, {
                "Location": f"{self.fake.storage_url}/storage/{digest}/{name}?Signature=signed-secret",
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
            }, b"")  # fmt: skip
        else:
            self._deliver(name, content, {"X-Repo-Commit": commit, "ETag": f'"{git_blob(content)}"'})

    def _stored(self, digest: str, name: str) -> None:
        if self._refused(f"storage:{name}"):
            return
        contents = (
            files[name]
            for commits in self.fake.repositories.values()
            for files in commits.values()
            if name in files and sha256(files[name]).hexdigest() == digest
        )
        self._deliver(name, next(contents), {"ETag": f'"{digest}"'})

    def _found(self, repository: str, revision: str) -> str | None:
        if repository not in self.fake.repositories:
            # As the hub does: who it does not know learns not even what exists.
            known = self.headers.get("Authorization") is not None
            self._refuse(Refusal(status=404 if known else 401, code="RepoNotFound", message="Repository not found"))
            return None
        commit = self.fake.find(repository, revision)
        if not commit:
            self._refuse(Refusal(status=404, code="RevisionNotFound", message=f"Invalid rev id: {revision}"))
        return commit

    def _refused(self, name: str) -> bool:
        refusal = self.fake.refusals.get(name)
        if not refusal or not refusal.times:
            return False
        refusal.times -= 1
        self._refuse(refusal)
        return True

    def _refuse(self, refusal: Refusal) -> None:
        headers = dict(refusal.headers)
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        if refusal.message:
            headers["X-Error-Message"] = refusal.message
        self._send(refusal.status, headers, b'{"error": "refused"}')

    def _deliver(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        if name in self.fake.tampered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start, status = 0, 200
        headers["Accept-Ranges"] = "bytes"
        if (wanted := self.headers.get("Range")) and not self.fake.ignores_ranges:
            start, status = int(wanted.removeprefix("bytes=").split("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            if start >= len(content):
                self._send(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
                return
        cut = self.fake.cuts[name].pop(0) if self.command == "GET" and self.fake.cuts.get(name) else None
        self._send(status, headers, content[start:], cut=cut, stall=self.fake.stalls.get(name))

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, *, cut: int | None = None, stall: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        body = body if cut is None else body[:cut]
        for start in range(0, len(body), _PIECE):
            if stall is not None and start >= stall:
                self.fake.released.wait()
            try:
                self.wfile.write(body[start : start + _PIECE])
            except OSError:
                break  # The client went away.
        self.wfile.flush()
        self.close_connection = cut is not None or self.close_connection
