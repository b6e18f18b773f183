"""What a published message says: numbers at paths of its JSON."""

import math
import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from gateway.config.meters import MqttTable
from gateway.errors import DeviceError
from gateway.meters.port import Measured

MAX_BYTES: Final = 65_536
MAX_NUMBER_CHARS: Final = 40
MIN_UNIX_S: Final = 1_000_000_000
MAX_UNIX_S: Final = 32_503_680_000
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d{1,4})\]")


def measured(payload: bytes, table: MqttTable, *, is_retained: bool) -> Measured:
    """Read a message.

    Args:
        payload: As published.
        table: Where its values are.
        is_retained: The broker had kept it, so its age is not known.

    Raises:
        DeviceError: It is no JSON, a value is missing or no number, or it was kept and
            says no time.
    """
    if len(payload) > MAX_BYTES:
        raise DeviceError(f"a message of {len(payload)} bytes is too long")
    try:
        body = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DeviceError(f"its message is no JSON: {error}") from None
    at = None if table.time_path is None else _time(body, table.time_path)
    if is_retained and at is None:
        raise DeviceError("its kept message says no time (time_path)")
    sign = -1.0 if table.invert else 1.0
    power_w: float | None = None
    if table.power_path is not None:
        power_w = sign * table.power_scale * _number(body, table.power_path)
    elif not table.current_paths:
        power_w = sign * table.power_scale * _plain(body, "message")
    return Measured(
        at=at,
        current_a=tuple(
            sign * table.current_scale * _number(body, path)
            for path in table.current_paths
        ),
        power_w=power_w,
        energy_wh=_optional(body, table.energy_path),
        soc_percent=_optional(body, table.soc_path),
    )


def _optional(body: object, path: str | None) -> float | None:
    return None if path is None else _number(body, path)


def _number(body: object, path: str) -> float:
    return _plain(_at(body, path), path)


def _plain(value: object, what: str) -> float:
    """A number, or text that is one: many meters publish those."""
    if isinstance(value, str) and len(value) <= MAX_NUMBER_CHARS:
        try:
            value = float(value)
        except ValueError:
            raise DeviceError(f"{what} is {value!r}, no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DeviceError(f"{what} is no number")
    try:
        found = float(value)
    except OverflowError:
        raise DeviceError(f"{what} is beyond all numbers") from None
    if not math.isfinite(found):
        raise DeviceError(f"{what} is no number")
    return found


def _at(body: object, path: str) -> object:
    value = body
    for name, index in _STEP.findall(path):
        if index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        elif name and isinstance(value, dict) and name in value:
            value = value[name]
        else:
            raise DeviceError(f"its message has no {path}")
    return value


def _time(body: object, path: str) -> datetime:
    value = _at(body, path)
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
            if at.tzinfo is not None:
                return at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise DeviceError(
                f"{path} is {value[:MAX_NUMBER_CHARS]!r}, no time"
            ) from None
        raise DeviceError(f"{path} has no time zone")
    seconds = _plain(value, path)
    if seconds > MAX_UNIX_S:
        seconds /= 1000  # some count milliseconds
    if not MIN_UNIX_S < seconds < MAX_UNIX_S:
        raise DeviceError(f"{path} is {seconds:g}, no time in Unix seconds")
    return datetime.fromtimestamp(seconds, UTC)
