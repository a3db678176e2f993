"""An OpenAI-compatible address where a larger model answers; it opens no connection, and holds no key."""

import re
from dataclasses import dataclass

from edgepack.domain.errors import UsageError

KEY = "EDGEPACK_LARGE_API_KEY"
"""The environment variable that holds its key, on a device too; it is written nowhere."""
_FORM = re.compile(
    r"(https?://(?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/v1)/?(?:#([!-~]{1,200}))?"
)
_HINT = "write it like http://192.168.1.10:8080/v1, with #MODEL behind it where the server has several"


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where, and which of the models there."""

    url: str
    """Up to and with `/v1`."""
    model: str | None

    def __str__(self) -> str:
        return self.url + (f"#{self.model}" if self.model else "")


def is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def parse_address(text: str) -> Address:
    """`http(s)://HOST[:PORT][/PATH]/v1[#MODEL]`. Raises UsageError for anything else, a name and password too."""
    if "@" in text.partition("#")[0]:
        raise UsageError("the large model's address: a password in it", hint=f"put the key into {KEY}")
    found = _FORM.fullmatch(text)
    if not found:
        raise UsageError(f"{text}: not the address of a model", hint=_HINT)
    return Address(url=found[1], model=found[2])
