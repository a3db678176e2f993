"""The hub: what a repository holds at one commit, and its files' bytes, verified. Knows no model.

The client library lists the repository, finds the token, and owns the session and its errors. The bytes are
read here, as plain ranges over HTTP: the library begins a file anew in every process, and its xet transfers
cannot go on behind a partial file; here every byte passes the digest on its way to the disk.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from edgepack import __version__
from edgepack.domain.checkpoint import INDEX, Checkpoint, CheckpointFile, needed_files
from edgepack.domain.errors import NetworkError, NoSpaceError, UsageError
from edgepack.domain.progress import Bar, Progress
from edgepack.infra.arrival import Arrival, RemoteFile, TooLongError
from edgepack.infra.refusals import AGAIN, TRANSIENT, Asked, Refusal
from edgepack.infra.snapshots import COMMIT, Snapshots, accept, snapshots_of
from edgepack.infra.store import require_space

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

Result = TypeVar("Result")

_DEFAULT_ENDPOINT = "https://huggingface.co"
_DEFAULT_REVISION = "main"
_DEFAULT_TIMEOUT = 10
"""Seconds without a byte; HF_HUB_DOWNLOAD_TIMEOUT is the client's own name for it."""
_DIGEST_DIGITS = (40, 64)
_HEXADECIMAL = frozenset("0123456789abcdef")
_TRUE = frozenset({"1", "on", "yes", "true"})
_WORKERS = 4
_FRUITFUL = 1 << 20
"""Bytes that an attempt must bring for the attempts to be counted anew."""
_HEADROOM = 1 << 24
"""Bytes for directories, records and the disk's own books."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a struggling hub is borne with: attempts in a row that bring nothing, and seconds between."""

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 30.0


_PATIENT = Patience()


def fetch_repository(
    repository: str,
    revision: str | None,
    *,
    cache: Path,
    progress: Progress,
    offline: bool,
    patience: Patience = _PATIENT,
) -> Checkpoint:
    """The needed files of a repository at one commit, each as the hub's digest says.

    A commit that was fetched before is neither hashed nor asked for; a branch or tag is looked up in one
    request. `offline`, or HF_HUB_OFFLINE, serves what was fetched before. A cut download goes on where it
    stopped, now or in a later run. Raises NetworkError, BadInputError for a repository that is not whole or
    holds only pickles, NoSpaceError before the disk is full.
    """
    kept = snapshots_of(repository, cache)
    revision = revision or _DEFAULT_REVISION
    if COMMIT.fullmatch(revision) and (found := kept.find(revision)):
        return found
    if offline or _is_true("HF_HUB_OFFLINE") or _is_true("TRANSFORMERS_OFFLINE"):
        return _former(kept, revision)
    hub = _connect(repository, revision, progress, patience)
    listing = hub.listing()
    with _disk_errors(repository):
        found = kept.find(listing.commit)
        if not found:
            with kept.locked(progress):
                found = kept.find(listing.commit) or _fetch(hub, listing, kept, progress)
        kept.remember(revision, listing.commit)
    return found


def _is_true(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in _TRUE


def _former(kept: Snapshots, revision: str) -> Checkpoint:
    commit = revision if COMMIT.fullmatch(revision) else kept.resolved(revision)
    found = kept.find(commit) if commit else None
    if not found:
        raise NetworkError(
            f"{kept.repository}@{revision}: no finished fetch lies here, and this is offline",
            hint="fetch it once with a network: without --offline, and with HF_HUB_OFFLINE unset",
        )
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Listing:
    """What the hub says of a repository at one commit."""

    where: str
    commit: str
    siblings: "Mapping[str, RepoSibling]"

    def file(self, name: str) -> RemoteFile:
        """A listed file; NetworkError where the hub gives no size or digest to check it by."""
        listed = self.siblings[name]
        size, digest = (listed.lfs.size, listed.lfs.sha256) if listed.lfs else (listed.size, listed.blob_id)
        if not isinstance(size, int) or not isinstance(digest, str) or not _is_digest(digest):
            raise NetworkError(
                f"{self.where}: {name}: the hub lists no size or no digest, so it cannot be verified",
                hint="check HF_ENDPOINT: it may name something that is only nearly a hub",
            )
        return RemoteFile(name=name, size=size, digest=digest)


def _is_digest(text: str) -> bool:
    # It becomes a file's name, so nothing but digits passes.
    return len(text) in _DIGEST_DIGITS and _HEXADECIMAL.issuperset(text)


def _fetch(hub: "_Hub", listing: _Listing, kept: Snapshots, progress: Progress) -> Checkpoint:
    def read_index() -> str:
        index = listing.file(INDEX)
        with progress.bar(INDEX, index.size, "B") as bar:
            hub.bring(index, listing.commit, kept, bar)
        return kept.blob(index.digest).read_text(encoding="utf-8", errors="replace")

    names = needed_files(listing.siblings, read_index=read_index, where=listing.where)
    files = [listing.file(name) for name in names]
    if missing := sum(max(0, file.size - _present(file, kept)) for file in files):
        require_space(kept.root, missing + _HEADROOM, f"fetching {listing.where}")
    size = sum(file.size for file in files)
    progress.step(f"fetching {listing.where}: {len(files)} files, {size / 1e6:,.1f} MB")
    with progress.bar(hub.repository.rpartition("/")[2], size, "B") as bar:
        digests = _bring_all(hub, files, listing.commit, kept, bar)
    return kept.keep(listing.commit, (
        (CheckpointFile(name=file.name, size=file.size, sha256=digests[file.digest]), kept.blob(file.digest))
        for file in files
    ))  # fmt: skip


def _present(file: RemoteFile, kept: Snapshots) -> int:
    places = (kept.blob(file.digest), kept.part(file.digest))
    return max((place.stat().st_size for place in places if place.is_file()), default=0)


def _bring_all(hub: "_Hub", files: list[RemoteFile], commit: str, kept: Snapshots, bar: Bar) -> dict[str, str]:
    """sha256 by the hub's digest, all files brought; the first that fails stops the others."""
    unique = {file.digest: file for file in files}  # Two names may have one content.
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        futures = {digest: pool.submit(hub.bring, file, commit, kept, bar) for digest, file in unique.items()}
        done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
        for future in done:
            if error := future.exception():
                raise error
        return {digest: future.result() for digest, future in futures.items()}
    finally:
        hub.stop.set()
        pool.shutdown(cancel_futures=True)


def _connect(repository: str, revision: str, progress: Progress, patience: Patience) -> "_Hub":
    from huggingface_hub import HfApi, constants, get_token

    # Else the client asks the hub which programs may be calling it, and tells it the answer.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _DEFAULT_ENDPOINT
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            "HF_ENDPOINT: not an address that begins with https:// or http://", hint="correct or unset it"
        )
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return _Hub(
        repository=repository,
        revision=revision,
        api=HfApi(endpoint=endpoint, token=token or False, library_name="edgepack", library_version=__version__),
        headers={"Authorization": f"Bearer {token}"} if token else {},
        asked=Asked(
            hub=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}",
            repository=repository,
            revision=revision,
            with_token=token is not None,
        ),
        progress=progress,
        patience=patience,
    )


def _timeout() -> float:
    said = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    return float(said) if said.isdigit() and int(said) else _DEFAULT_TIMEOUT


@dataclass(frozen=True, kw_only=True, slots=True)
class _Hub:
    """One repository as the hub serves it to this user."""

    repository: str
    revision: str
    api: "HfApi"
    headers: Mapping[str, str]
    """The token, where there is one."""
    asked: Asked
    progress: Progress
    patience: Patience
    stop: Event = field(default_factory=Event)
    """Set when another file failed or the user interrupted: whoever works or waits ends."""

    def listing(self) -> _Listing:
        """Resolve the revision to one commit and list its files, in one request."""
        try:
            info = self._patiently(
                lambda: self.api.model_info(
                    self.repository, revision=self.revision, files_metadata=True, timeout=_timeout()
                )
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._no_hub(f"its answer is not a hub's ({type(error).__name__})") from error
        return self._checked(info)

    def _checked(self, info: "ModelInfo") -> _Listing:
        commit = info.sha or ""
        if not COMMIT.fullmatch(commit) or info.siblings is None:
            raise self._no_hub("its answer names no commit or no files")
        if COMMIT.fullmatch(self.revision) and commit != self.revision:
            raise self._no_hub(f"asked for commit {self.revision}, it answers with {commit}")
        siblings = {sibling.rfilename: sibling for sibling in info.siblings}
        return _Listing(where=f"{self.repository}@{commit[:12]}", commit=commit, siblings=siblings)

    def _no_hub(self, what: str) -> NetworkError:
        return NetworkError(
            f"{self.asked.hub}: {what}", hint="check HF_ENDPOINT, and that no proxy or login page answers instead"
        )

    def bring(self, file: RemoteFile, commit: str, kept: Snapshots, bar: Bar) -> str:
        """Have the file among the blobs, verified; returns its sha256. Called from several threads."""
        blob = kept.blob(file.digest)
        if blob.is_file():
            present = Arrival(file, blob, bar)
            if present.right:
                return present.sha256
            present.discard()
        arrival = Arrival(file, kept.part(file.digest), bar)
        resumed = arrival.size > 0
        self._complete(arrival, commit)
        if resumed and not arrival.right:
            # What a crash left may hold what the disk made up: once more, all of it.
            arrival.discard()
            self._complete(arrival, commit)
        if not arrival.right:
            wrong = arrival.sha256[:12]
            arrival.discard()
            raise NetworkError(
                f"{self.repository}: {file.name}: wrong bytes: digest {wrong}…, the hub lists {file.digest[:12]}…",
                hint="the file was deleted; run it again, and check HF_ENDPOINT and proxies if it recurs",
            )
        accept(arrival.path, blob)
        return arrival.sha256

    def _complete(self, arrival: Arrival, commit: str) -> None:
        """Receive until all bytes are here."""
        from huggingface_hub import hf_hub_url

        name = arrival.file.name
        url = hf_hub_url(self.repository, name, revision=commit, endpoint=self.api.endpoint)
        arrival.append(())  # A file of no bytes is a file too.
        try:
            if not arrival.whole:
                self._patiently(lambda: self._receive(url, arrival), name=name, brought=lambda: arrival.size)
        except TooLongError as error:
            arrival.discard()
            raise self._wrong_size(name, "more") from error

    def _receive(self, url: str, arrival: Arrival) -> None:
        import httpx2
        from huggingface_hub import get_session, hf_raise_for_status

        # The session drops the token where it is sent on to another machine.
        headers = {**self.headers, "Accept-Encoding": "identity"}
        if arrival.size:
            headers["Range"] = f"bytes={arrival.size}-"
        with get_session().stream("GET", url, headers=headers, timeout=_timeout(), follow_redirects=True) as response:
            hf_raise_for_status(response)
            if arrival.size and not response.headers.get("Content-Range", "").startswith(f"bytes {arrival.size}-"):
                arrival.discard()
            arrival.append(self._until_stopped(response.iter_bytes()))
        if not arrival.whole:
            raise httpx2.RemoteProtocolError("the body ended early")

    def _until_stopped(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self.stop.is_set():
                raise _StoppedError
            yield piece

    def _patiently(
        self, work: Callable[[], Result], *, name: str = "", brought: Callable[[], int] = lambda: 0
    ) -> Result:
        """What `work` gives, tried again while the hub struggles; NetworkError when patience ends."""
        import httpx2

        fruitless = 0
        while True:
            before = brought()
            try:
                return work()
            except httpx2.HTTPError as error:
                fruitless = 1 if brought() - before >= _FRUITFUL else fruitless + 1
                told = self._told(error, name)
                pause = self._pause(error, fruitless)
                if pause is None:
                    raise told from error
            self.progress.warn(f"{told.what}; trying again in {pause:g} s")
            if self.stop.wait(pause):
                raise _StoppedError

    def _pause(self, error: "httpx2.HTTPError", fruitless: int) -> float | None:
        """Seconds until the next attempt, None for none."""
        from huggingface_hub.errors import HfHubHTTPError

        pause: float | None = min(self.patience.first_wait * 2 ** (fruitless - 1), self.patience.longest_wait)
        if isinstance(error, HfHubHTTPError):
            if error.response.status_code not in TRANSIENT:
                return None
            pause = _refusal(error).asks_to_wait or pause
        if fruitless >= self.patience.attempts or (pause and pause > self.patience.longest_wait):
            return None
        return pause

    def _told(self, error: "httpx2.HTTPError", name: str) -> NetworkError:
        """What a foreign error means for the user; never with an address's query, which may hold a secret."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError

        if isinstance(error, HfHubHTTPError):
            return self.asked.told(_refusal(error), name)
        host = self.asked.host
        what = f"{self.repository}: {name}" if name else self.repository
        match error:
            case httpx2.TimeoutException():
                return NetworkError(f"{what}: no answer from {host} in {_timeout():g} s", hint=AGAIN)
            case httpx2.ConnectError() | httpx2.ProxyError():
                return NetworkError(
                    f"{what}: cannot connect to {host}: {error}",
                    hint="check the network, the proxy and HF_ENDPOINT; --offline uses what was fetched before",
                )
            case _:
                return NetworkError(f"{what}: the connection to {host} was cut: {error}", hint=AGAIN)

    def _wrong_size(self, name: str, than: str) -> NetworkError:
        return NetworkError(
            f"{self.repository}: {name}: {than} bytes than the hub lists",
            hint="the file was deleted; run it again, and check HF_ENDPOINT and proxies if it recurs",
        )


class _StoppedError(Exception):
    """Another file failed first."""


def _refusal(error: "HfHubHTTPError") -> Refusal:
    response = error.response
    return Refusal(status=response.status_code, headers=response.headers, host=response.url.host)


@contextmanager
def _disk_errors(repository: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpaceError(
                f"{repository}: no space left while fetching",
                hint="free some space, or point EDGEPACK_HOME at a larger disk; then run it again: it goes on",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UsageError(
                f"{error.filename}: cannot be written: {error.strerror}",
                hint="point EDGEPACK_HOME at a place of yours",
            ) from error
        raise
