"""Protocol buffers as they lie in a file, as far as SentencePiece's needs it; knows no message's meaning."""

from collections.abc import Iterator
from pathlib import Path

from edgepack.convert.vocabulary import TOKENIZER_HINT
from edgepack.domain.errors import BadInputError


def fields_of(path: Path, message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a message's fields: whole numbers, or bytes as they stand.

    Raises BadInputError, which names `path`, for what is no message.
    """
    position = 0

    def varint() -> int:
        nonlocal position
        value, shift = 0, 0
        while True:
            byte = message[position]
            position, value, shift = position + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    try:
        while position < len(message):
            number, kind = divmod(varint(), 8)
            if kind == 0:
                yield number, varint()
                continue
            length = {1: 8, 2: 0, 5: 4}[kind] or varint()
            yield number, message[position : position + length]
            position += length
    except (IndexError, KeyError) as error:
        raise BadInputError(f"{path}: not a SentencePiece model", hint=TOKENIZER_HINT) from error
