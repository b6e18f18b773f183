"""How many items go into one message: as many as the station takes."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from gateway.store.records import DeviceVariable

T = TypeVar("T")

CONTROLLERS: Final = ("DeviceDataCtrlr", "MonitoringCtrlr")
LIKE: Final = {"GetMonitoringReport": "GetReport"}
"""Actions that have no limit of their own, and whose limit counts (2.0.1, N02)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageLimits:
    """What a station takes in one message; ``None``: as much as there is."""

    items: int | None = None
    n_bytes: int | None = None


def reported_limits(action: str, rows: Iterable[DeviceVariable]) -> MessageLimits:
    """Limits for an action in a station's report (2.0.1, B05, B06, B08, N04, N06)."""
    found: dict[str, int] = {}
    for row in rows:
        if not row.component.startswith(CONTROLLERS):
            continue
        variable = row.detail.get("variable") or {}
        instance = variable.get("instance")
        for name in ("ItemsPerMessage", "BytesPerMessage"):
            is_it = row.variable.startswith(name) and (
                instance == action or variable.get("name") == f"{name}{action}"
            )
            if is_it and row.value and row.value.isdecimal():
                found[name] = int(row.value[:9])
    if not found and action in LIKE:
        return reported_limits(LIKE[action], rows)
    return MessageLimits(
        items=found.get("ItemsPerMessage"), n_bytes=found.get("BytesPerMessage")
    )


def chunks(
    items: Sequence[T],
    limits: MessageLimits,
    payload_of: Callable[[Sequence[T]], Any],
    name_of: Callable[[T], Hashable] | None = None,
) -> list[Sequence[T]]:
    """Items in order, in as few messages as the limits allow.

    An item that is too large for a message alone goes alone: the station decides. No
    item at all makes one message.

    Args:
        items: What is to be sent.
        limits: Of one message.
        payload_of: The payload of a message with these items.
        name_of: Items of the same name go in different messages (2.0.1, B05.FR.13).
    """
    found: list[Sequence[T]] = []
    start = 0
    while start < len(items):
        most = len(items) if limits.items is None else max(1, limits.items)
        end = min(len(items), start + most)
        part = items[start : _first_repeated(items, start, end, name_of)]
        while len(part) > 1 and not _fits(payload_of(part), limits.n_bytes):
            part = part[: (len(part) + 1) // 2] if len(part) > 2 else part[:1]  # noqa: PLR2004 - halves
        found.append(part)
        start += len(part)
    return found or [items]


def _fits(payload: object, n_bytes: int | None) -> bool:
    return n_bytes is None or len(msgspec.json.encode(payload)) <= n_bytes


def _first_repeated(
    items: Sequence[T], start: int, end: int, name_of: Callable[[T], Hashable] | None
) -> int:
    if name_of is None:
        return end
    seen: set[Hashable] = set()
    for index in range(start, end):
        name = name_of(items[index])
        if name in seen:
            return index
        seen.add(name)
    return end
