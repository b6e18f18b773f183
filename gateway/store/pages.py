"""Stations' reports and events on their way into the tables they are about.

Called in the transaction that stores the message, so that what a station was answered
to can be read at once.
"""

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.domain.events import DeviceReported, StationNotified
from gateway.store import device_model, displays, held_profiles, monitors
from gateway.store.reports import Kind, Page, Whole, add_page, taken_over

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "NotifyMonitoringReport": Kind.MONITORS,
        "NotifyDisplayMessages": Kind.DISPLAYS,
        "NotifyCustomerInformation": Kind.CUSTOMER,
        "ReportChargingProfiles": Kind.PROFILES,
    }
)
NOT_KEPT: Final = "(not kept)"
"""Stands for personal data in journal and notices; the report itself has it once."""


def device_reported(conn: sqlite3.Connection, event: DeviceReported) -> bool:
    """Keep a page of a device report; whether it is new."""
    page = Page(
        station_id=event.station_id,
        kind=Kind.DEVICE,
        request_id=event.request_id,
        sequence=event.sequence,
        is_last=event.is_last,
        body={"reportData": list(event.entries)},
        received_at=event.received_at,
        generated_at=event.occurred_at,
    )
    return _add(conn, page)


def notified(conn: sqlite3.Connection, event: StationNotified, offset: int) -> None:
    """Take over what a notice says about monitors, events, displays and profiles.

    With a number that no database could keep in it, the notice alone stays.
    """
    conn.execute("SAVEPOINT notice")
    try:
        _take(conn, event, offset)
    except OverflowError:
        conn.execute("ROLLBACK TO notice")
    conn.execute("RELEASE notice")


def is_personal(event: StationNotified) -> bool:
    """Whether a notice must not stay in the journal as it came."""
    return KINDS.get(event.topic) is Kind.CUSTOMER


def without_personal(event: StationNotified) -> StationNotified:
    """A notice without what it says about a customer."""
    if not is_personal(event):
        return event
    return msgspec.structs.replace(event, body=event.body | {"data": NOT_KEPT})


def take_over(conn: sqlite3.Connection, whole: Whole) -> None:
    """Put a complete report into the tables it is about."""
    match whole.kind:
        case Kind.DEVICE:
            device_model.take_over(conn, whole)
        case Kind.MONITORS:
            monitors.take_over(conn, whole)
        case Kind.DISPLAYS:
            displays.take_over(conn, whole)
        case Kind.PROFILES:
            held_profiles.take_over(conn, whole)
        case Kind.CUSTOMER:
            pass
    taken_over(conn, whole, keeps_pages=whole.kind is Kind.CUSTOMER)


def _add(conn: sqlite3.Connection, page: Page) -> bool:
    is_new, whole = add_page(conn, page)
    if whole is not None:
        take_over(conn, whole)
    return is_new


def _take(conn: sqlite3.Connection, event: StationNotified, offset: int) -> None:
    kind = KINDS.get(event.topic)
    body: Mapping[str, Any] = event.body
    if kind is not None:
        _add(
            conn,
            Page(
                station_id=event.station_id,
                kind=kind,
                request_id=body["requestId"],
                sequence=body.get("seqNo"),
                is_last=body.get("tbc") is not True,
                body=body,
                received_at=event.received_at,
                generated_at=event.occurred_at,
            ),
        )
    elif event.topic == "NotifyEvent":
        monitors.events_told(conn, event, offset)
    elif event.topic == "NotifyChargingLimit":
        held_profiles.limit_told(conn, event)
    elif event.topic == "ClearedChargingLimit":
        held_profiles.limit_cleared(conn, event)
