"""Meter values that differ from earlier ones in nothing but their numbers.

A station sends the same text over and over, with other times, counters and values in
it. Cut these out (the *spots*), and what is left is the key to what such a text says:
the JSON decoder, the schema and the sorting of samples need not run again.

It is exact because a spot lies inside one token, is made of characters that cannot end
that token, and has the form it had before: two frames with the same rest consist of
the same tokens but for the spots, so one is as sound and as deep as the other, and
decodes as it does. What a spot means is not guessed: the ordinary way decodes a
*probe*, the same text with telling numbers in the spots, and what comes out says which
number went where, and by which power of ten. Whatever is not plain (a negative value,
a long one, an odd time) takes the ordinary way; so does a text that learning or filling
fails for, which is told once.
``tests/property/ocpp/test_templates.py`` compares the two.
"""

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

from gateway.domain.ids import StationId
from gateway.errors import RemoteError
from gateway.ocpp.adapter import Decoded, Understood
from gateway.ocpp.frames import Call, Frame, parse
from gateway.ocpp.probe import HEAD, PROBED_AT, Probe
from gateway.ocpp.template import NotPlain, Template

MAX_TEMPLATES: Final = 512
"""Texts known at a time, about 3 KB each; stations of one make share theirs."""
MAX_SEEN: Final = 4_096
"""Keys remembered after their first sight; at the second the text is learnt."""

MAX_TEXT_BYTES: Final = 8_192
"""Longer frames are not learnt: a key holds nearly all of its text."""

TEXT_VALUE: Final = re.compile(
    r'"value": ?"((?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,6})?)"(?=\s*[,}])'
)
"""A value as OCPP 1.6 writes it. `str` of its Decimal is the same text.

What follows a value never looks like a name, so a key is of one text alone.
"""
NUMBER_VALUE: Final = re.compile(
    r'"value": ?((?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,6})?)(?=[,}])'
)
"""A value as OCPP 2.0.1 writes it."""

_HEAD: Final = r'\[2, ?"([!#-\[\]-~]{1,36})", ?"(%s)", ?(?=\{)'
"""A CALL up to its payload: a plain message id, one of the actions."""
_TAIL: Final = b"}]"

K = TypeVar("K")
V = TypeVar("V")

Decode: TypeAlias = Callable[[StationId, Call, datetime], Decoded]
OnFailure: TypeAlias = Callable[[StationId, str, Exception], None]
"""Told of a station, an action, and the bug that its text has hit."""
_Key: TypeAlias = tuple[str, ...]


class Templates:
    """What one adapter has learnt. Loop thread only.

    Args:
        actions: Those that carry values.
        value: How values are written: `TEXT_VALUE` or `NUMBER_VALUE`.
        decode: The ordinary way.
        on_failure: Told the first time that learning or filling fails.
    """

    def __init__(
        self,
        actions: Collection[str],
        value: re.Pattern[str],
        decode: Decode,
        on_failure: OnFailure | None = None,
    ) -> None:
        pattern = _HEAD % "|".join(sorted(actions))
        self._call = re.compile(pattern.encode())
        self._value = value
        self._decode = decode
        self._known: dict[_Key, Template | None] = {}
        self._seen: dict[int, None] = {}
        self._on_failure = on_failure

    def read(self, raw: bytes, station_id: StationId, received_at: datetime) -> Frame:
        """Read a frame; one of a known text comes `Understood`.

        Raises:
            FrameError: As `gateway.ocpp.frames.parse` does.
        """
        call = self._call.match(raw)
        is_plain = call is not None and raw.isascii() and raw.endswith(_TAIL)
        if call is None or not is_plain or len(raw) > MAX_TEXT_BYTES:
            return parse(raw)
        parts = self._value.split(raw.decode())
        if len(parts) == 1:
            return parse(raw)
        head = HEAD.split(parts[0][call.end(1) :])
        spots = head[2::3]
        del head[2::3]
        key = (*head, *parts[2::2])
        template = self._known.get(key)
        if template is not None:
            try:
                decoded = template.fill(station_id, spots, parts[1::2], received_at)
            except NotPlain:
                return parse(raw)
            except Exception as error:  # noqa: BLE001 - the outer edge of a shortcut: told, and the text goes the ordinary way
                self._failed(station_id, template.decoded.action, error)
                self._known[key] = None
                return parse(raw)
            message_id, payload = call[1].decode(), raw[call.end() : -1]
            return Understood(message_id, decoded.action, payload, decoded)
        frame = parse(raw)
        if isinstance(frame, Call) and key not in self._known:
            self._meet(key, station_id, frame)
        return frame

    def _meet(self, key: _Key, station_id: StationId, call: Call) -> None:
        """Learn what comes a second time; what comes once is not worth it."""
        number = hash(key)
        if number not in self._seen:
            _make_room(self._seen, MAX_SEEN)
            self._seen[number] = None
            return
        del self._seen[number]
        try:
            learnt = self._learn(station_id, call)
        except Exception as error:  # noqa: BLE001 - the outer edge of a shortcut: told, and the text goes the ordinary way
            self._failed(station_id, call.action, error)
            learnt = None
        _make_room(self._known, MAX_TEMPLATES)
        self._known[key] = learnt

    def _learn(self, station_id: StationId, call: Call) -> Template | None:
        probe = Probe(self._value, call)
        try:
            decoded = self._decode(station_id, probe.call, PROBED_AT)
        except RemoteError:
            return None
        return probe.template(decoded)

    def _failed(self, station_id: StationId, action: str, error: Exception) -> None:
        """Tell the first time: there may be as many such texts as stations."""
        on_failure, self._on_failure = self._on_failure, None
        if on_failure is not None:
            on_failure(station_id, action, error)


def _make_room(kept: dict[K, V], most: int) -> None:
    if len(kept) >= most:
        del kept[next(iter(kept))]
