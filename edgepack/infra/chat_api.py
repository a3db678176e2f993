"""An OpenAI-compatible server asked for one answer after another; what is asked and what for is not its business."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from edgepack.domain.address import KEY, Address
from edgepack.domain.answering import Answered
from edgepack.domain.errors import BadInputError, NetworkError
from edgepack.domain.reading import Table

if TYPE_CHECKING:
    import httpx2

_SECONDS = 300
_LARGEST = 4 << 20
"""Bytes of an answer."""
_AGAIN = "run it again: what was answered is kept"


class ChatApi:
    """One connection, kept open between questions."""

    def __init__(self, address: Address, client: "httpx2.Client") -> None:
        self._address = address
        self._client = client

    def answer(self, turns: Sequence[tuple[str, str]], limits: Mapping[str, object]) -> Answered:
        """The answer to these turns, greedily. Raises NetworkError where there is none."""
        import httpx2

        messages = [{"role": role, "content": content} for role, content in turns]
        model = {"model": self._address.model} if self._address.model else {}
        asked = {**model, "messages": messages, "temperature": 0, **limits}
        began = perf_counter()
        try:
            response = self._client.post(f"{self._address.url}/chat/completions", json=asked)
        except httpx2.HTTPError as error:
            raise NetworkError(f"{self._address.url}: {type(error).__name__}: {error}", hint=_AGAIN) from error
        seconds = perf_counter() - began
        if response.status_code != httpx2.codes.OK:
            raise self._refused(response)
        return self._read(response.content[:_LARGEST], seconds)

    def _refused(self, response: "httpx2.Response") -> NetworkError:
        hint = f"set {KEY} to a key that it takes" if response.status_code in (401, 403) else _AGAIN
        said = response.text[:200].replace("\n", " ")
        return NetworkError(f"{self._address.url}: {response.status_code}: {said}", hint=hint)

    def _read(self, content: bytes, seconds: float) -> Answered:
        """Its time to the first token is not seen: nothing is streamed."""
        subject = self._address.url
        try:
            table = Table(json.loads(content), subject=subject, hint="is it an OpenAI-compatible server?")
            choice, usage = table.tables("choices", least=1)[0], table.table_or_none("usage")
            text = choice.table("message").free_text("content")
            whole = choice.text_or_none("finish_reason") == "stop"
        except (ValueError, AttributeError, BadInputError) as error:
            raise NetworkError(
                f"{subject}: no chat completion came back: {error}", hint="is it an OpenAI-compatible server?"
            ) from error
        return Answered(
            text=text, whole=whole, confidence=1.0, prompt_tokens=usage.whole("prompt_tokens") if usage else 0,
            tokens=usage.whole("completion_tokens") if usage else 0, first_token=seconds, seconds=seconds,
        )  # fmt: skip


@contextmanager
def connected(address: Address) -> Iterator[ChatApi]:
    """With the key of the environment, where there is one."""
    import httpx2

    key = os.environ.get(KEY)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx2.Client(headers=headers, timeout=_SECONDS) as client:
        yield ChatApi(address, client)
