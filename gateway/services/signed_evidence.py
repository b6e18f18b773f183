"""Leaves of the log for what meters sign, and for the keys that are trusted.

A pin is sealed when it is made, a session's signed records when it is settled: both in
the transaction of the fact. What the settlement says of them binds the bill to them.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.domain.ids import StationId
from gateway.domain.session import Session
from gateway.domain.signed_session import SignedVerdict
from gateway.services import signed_meter
from gateway.store import key_history, signed
from gateway.store.key_history import KeyPin
from gateway.store.signed import PinnedKey
from gateway.store.times import to_text
from ledger import record
from ledger.signed_claim import UNVERIFIED, SignedClaim
from ledger.sqlite_store import append_leaf, append_leaves

FORMAT: Final = "OCMF"
NOT_KEPT: Final = "meter_key_not_kept"
"""The key they were checked with was exchanged before pins were kept."""


def seal_pin(
    conn: sqlite3.Connection, station_id: StationId, evse_id: int, key: PinnedKey
) -> None:
    """Seal that a key is trusted from now on, and keep it."""
    leaf_index = _seal_key(conn, station_id, evse_id, key, key.pinned_at)
    key_history.begin(conn, station_id, evse_id, key, leaf_index)


def seal_withdrawal(
    conn: sqlite3.Connection,
    station_id: StationId,
    evse_id: int,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Seal that no key is trusted from now on."""
    _seal_key(conn, station_id, evse_id, None, now)
    key_history.end(conn, station_id, evse_id, at=now, by=actor)


def seal_records(
    conn: sqlite3.Connection,
    session: Session,
    registers: tuple[int, int],
    now: datetime,
) -> SignedClaim:
    """Seal the signed records that a bill rests on, once, before its settlement.

    Args:
        conn: The writer's connection.
        session: That is settled.
        registers: Start and end of its bill, mWh.
        now: Site time.

    Returns:
        What the settlement has to say of them.
    """
    finding = signed_meter.current(conn, session)
    if finding.verdict is not SignedVerdict.OK:
        return SignedClaim(verdict=finding.verdict.value, reasons=finding.reasons)
    if registers != (finding.register_start_milliwh, finding.register_end_milliwh):
        return SignedClaim(verdict=UNVERIFIED, reasons=(signed.OTHER_REGISTERS,))
    found = _checked(conn, session, now)
    pin = None
    if found.key is not None:
        pin = key_history.used(
            conn,
            session.station_id,
            session.evse_id,
            found.key,
            serial=found.serial,
            at=found.at,
        )
    if pin is None:
        return SignedClaim(verdict=UNVERIFIED, reasons=(NOT_KEPT,))
    key_leaf_index = _leaf_of(conn, session.station_id, pin, now)
    place: dict[str, object] = {
        "session_id": session.session_id,
        "station_id": session.station_id,
        "evse_id": session.evse_id,
        "format": FORMAT,
    }
    leaves = [
        (
            session.session_id,
            record.canonical("signed_meter", place | {"text": text}),
            to_text(now),
        )
        for text in found.texts
    ]
    append_leaves(conn, "signed_meter", leaves)
    return SignedClaim(verdict=finding.verdict.value, key_leaf_index=key_leaf_index)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """The records that were found good, of which meter, by which key, and when."""

    texts: list[str]
    serial: str | None
    key: tuple[str, str] | None
    at: datetime


def _checked(conn: sqlite3.Connection, session: Session, now: datetime) -> _Checked:
    stored = signed.find(conn, session.session_id)
    if stored is not None and stored.n_record == signed.n_raw(conn, session.session_id):
        rows = conn.execute(signed.RECORDS, (session.session_id,))
        records = tuple(signed.record_of_row(row) for row in rows)
        key, at = stored.key, stored.checked_at
    else:
        found = signed_meter.examine(conn, session)
        records, at = found.records, now
        key = None if found.key is None else (found.key.curve.value, found.key.point)
    return _Checked(
        texts=[one.text for one in records],
        serial=next((one.meter_serial for one in records), None),
        key=key,
        at=at,
    )


def _leaf_of(
    conn: sqlite3.Connection, station_id: StationId, pin: KeyPin, now: datetime
) -> int:
    """The leaf of a pin; one from before pins were sealed is sealed now."""
    if pin.leaf_index is not None:
        return pin.leaf_index
    leaf_index = _seal_key(conn, station_id, pin.evse_id, pin.key, now)
    key_history.sealed(conn, pin.pin_id, leaf_index)
    return leaf_index


def _seal_key(
    conn: sqlite3.Connection,
    station_id: StationId,
    evse_id: int,
    key: PinnedKey | None,
    now: datetime,
) -> int:
    body: dict[str, object] = {
        "station_id": station_id,
        "evse_id": evse_id,
        "occurred_at": to_text(now if key is None else key.pinned_at),
        "curve": None if key is None else key.curve,
        "public_key": None if key is None else key.point,
        "meter_serial": None if key is None else key.meter_serial,
    }
    data = record.canonical("meter_key", body)
    return append_leaf(conn, "meter_key", "", data, None, to_text(now))
