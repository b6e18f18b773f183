"""The one kind of frame that is handled here: whole, masked, unfragmented text."""

from typing import Final

from websockets import utils

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled part for this platform
    apply_mask = utils.apply_mask

__all__ = ["MASKED", "TEXT", "apply_mask", "only_text", "payload_of", "text_head"]

TEXT: Final = 0x81
"""First byte of a frame: final, text, no reserved bits."""
MASKED: Final = 0x80
"""Of the second byte."""

HEAD_7: Final = 6
"""Bytes of a masked frame before its payload: two and the mask; with a length of 16
bits two more."""
HEAD_16: Final = 8
MIN_FRAME: Final = HEAD_7

_LENGTH: Final = 0x7F
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_MAX_16: Final = 0xFFFF


def payload_of(data: bytes | bytearray, at: int, end: int) -> tuple[int, int]:
    """Where the payload of a masked frame starts, and its length.

    RFC 6455, 5.2: a length of 7 bits, or 126 and one of 16, or 127 and one of 64.

    Args:
        data: Holds the frame.
        at: Where the frame starts.
        end: How far ``data`` is filled.

    Returns:
        (0, 0) while the head of the frame has not come in.
    """
    if end - at < 2:  # noqa: PLR2004 - the least head of a frame
        return 0, 0
    length = data[at + 1] & _LENGTH
    if length < _LENGTH_16:
        return at + 6, length
    size = 2 if length == _LENGTH_16 else 8
    if end - at < 2 + size:
        return 0, 0
    return at + 6 + size, int.from_bytes(data[at + 2 : at + 2 + size], "big")


def only_text(data: bytes, max_bytes: int) -> bytes | None:
    """The text of one whole masked frame, if ``data`` is exactly that.

    Args:
        data: What came in.
        max_bytes: Longer texts are left to others.
    """
    size = len(data)
    if size < MIN_FRAME or data[0] != TEXT:
        return None
    start, length = HEAD_7, data[1] - MASKED  # below 0 where it is not masked
    if length == _LENGTH_16:
        start, length = HEAD_16, data[2] << 8 | data[3]
    elif length == _LENGTH_64:
        return None
    if start + length != size or length > max_bytes:
        return None
    return apply_mask(data[start:], data[start - 4 : start])


def text_head(length: int) -> bytes:
    """The head of an unmasked text frame, as a server sends it."""
    if length < _LENGTH_16:
        return bytes((TEXT, length))
    if length <= _MAX_16:
        return bytes((TEXT, _LENGTH_16, length >> 8, length & 0xFF))
    return bytes((TEXT, _LENGTH_64)) + length.to_bytes(8, "big")
