"""What a hub that refuses or fails means for the user; it knows status codes and headers, and no client."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgepack.domain.errors import NetworkError

AGAIN = "run it again: it goes on where it stopped"
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP codes that another attempt may turn into an answer."""

_NO_REQUESTS_LEFT = re.compile(r"\br=0\s*;\s*t=(\d+)")
_SERVER_ERRORS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """One answer that was no file: its status, its headers and the machine it came from."""

    status: int
    headers: Mapping[str, str]
    host: str | None

    @property
    def asks_to_wait(self) -> int | None:
        """Seconds, by either header that the hub uses."""
        said = self.headers.get("Retry-After", "")
        if said.isdigit():
            return int(said)
        left = _NO_REQUESTS_LEFT.search(self.headers.get("RateLimit", ""))
        return int(left[1]) if left else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Who was asked for what: `hub` is the endpoint without the secrets that an address may hold."""

    hub: str
    repository: str
    revision: str
    with_token: bool

    @property
    def host(self) -> str:
        """The hub's machine, and the port where one is named."""
        return urlsplit(self.hub).netloc

    @property
    def page(self) -> str:
        """The repository's page for people."""
        return f"{self.hub}/{self.repository}"

    def told(self, refusal: Refusal, name: str) -> NetworkError:
        """The refusal of a file, or of the repository where `name` is empty, in the user's terms."""
        what, hint = self._access(refusal) or self._delivery(refusal, name)
        by = "" if refusal.host == urlsplit(self.hub).hostname else f" from {refusal.host}"
        return NetworkError(f"{self.repository}: {what} (HTTP {refusal.status}{by})", hint=hint)

    def _access(self, refusal: Refusal) -> tuple[str, str] | None:
        """The hub answers 401 for what is missing, too, unless it knows who asks."""
        match refusal.status, refusal.headers.get("X-Error-Code"):
            case _, "GatedRepo":
                return (
                    "gated: the token's account has not accepted the terms"
                    if self.with_token
                    else "gated: it needs a token",
                    f"accept the terms at {self.page}, and set HF_TOKEN to a token of that account",
                )
            case 401, code if self.with_token and code != "RepoNotFound":
                return "the hub does not know the token", "correct HF_TOKEN, or unset it for a public repository"
            case 404, "RevisionNotFound":
                return f"no revision {self.revision!r}", f"see its branches and tags at {self.page}/tree/main"
            case (401, _) | (404, "RepoNotFound" | None):
                return (
                    "no such repository, or a private one",
                    f"check the name at {self.hub}; a private one needs HF_TOKEN set to a token that may read it",
                )
            case 403, _:
                return "forbidden", f"see at {self.hub}/settings/tokens what the token in HF_TOKEN may read"
        return None

    def _delivery(self, refusal: Refusal, name: str) -> tuple[str, str]:
        if refusal.status == 404:
            return (
                f"{name}: listed, but missing: the repository is half-delivered",
                "name another revision, or tell the repository's owner",
            )
        if refusal.status == 416:
            return f"{name}: fewer bytes than the hub lists", AGAIN
        if refusal.status == 429:
            soon = f"in {refusal.asks_to_wait} s" if refusal.asks_to_wait else "in some minutes"
            return (
                "too many requests",
                f"run it again {soon}: it goes on where it stopped; a token in HF_TOKEN has a higher limit",
            )
        if refusal.status >= _SERVER_ERRORS:
            return "the hub has failed", f"wait, then {AGAIN}"
        return f"{name}: refused" if name else "refused", f"see {self.page}"
