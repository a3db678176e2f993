"""The protobuf messages of which a SentencePiece file consists, written by hand."""

import struct


def piece(text: str, score: float, type: int) -> bytes:
    """One entry: piece, score, type (GGUF uses the same numbers)."""
    body = bytes_field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + varint_field(3, type)
    return bytes_field(1, body)


def bytes_field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
