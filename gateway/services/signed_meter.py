"""Signed meter data of a session: unwrapped, checked with the pinned key, concluded.

Nothing here can keep a session from being stored, answered or charged: whatever is
wrong with a record becomes a reason beside it.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from gateway.domain.ids import EvseRef, SessionId
from gateway.domain.ocmf import Curve, OcmfRecord, parse
from gateway.domain.session import Session
from gateway.domain.signed_carrier import Carried, unwrap
from gateway.domain.signed_json import SignedDataError
from gateway.domain.signed_session import (
    UNSIGNED,
    Examined,
    SignedFinding,
    SignedVerdict,
    conclude,
)
from gateway.services.meter_keys import MeterKey, MeterKeyError, is_signed, parse_key
from gateway.store import key_history, signed
from gateway.store.signed import (
    PinnedKey,
    RawRecord,
    SeenKey,
    StoredFinding,
    StoredRecord,
)

MAX_TEXTS: Final = 1_000
"""Signed data of one session that is looked at: ten days in quarters of an hour."""
MAX_CHARS: Final = 4_194_304
"""Of all of them: bounds what a station can make the writer read."""
MAX_SIGNATURES: Final = 700
"""Checked of one session, those of begin and end first: a week in quarters, at 0.1 to
0.7 ms each. It bounds what others wait."""
MAX_SLOW_SIGNATURES: Final = 100
"""The same on secp192k1, at 2 ms each."""
MAX_SEEN_KEYS: Final = 10
MAX_EXCHANGED: Final = 2
"""Earlier keys that are tried: each costs all signatures once more."""
NOT_PINNED: Final = "meter_key_not_pinned"
CHANGED: Final = "meter_key_changed"
REUSED: Final = "signed_record_reused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What looking at a session's signed data brought.

    Attributes:
        finding: What counts.
        records: Each record, as it is shown.
        sent: Keys that came along, each with the serial of the meter it came with.
        key: That was pinned.
        n_record: Texts there are.
    """

    finding: SignedFinding
    records: tuple[StoredRecord, ...] = ()
    sent: tuple[tuple[MeterKey, str | None], ...] = ()
    key: MeterKey | None = None
    n_record: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChanged:
    """A station sent records with a key that is not the pinned one."""

    evse: EvseRef
    pinned: MeterKey
    sent: MeterKey


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """One record on its way."""

    context: str
    text: str
    key: MeterKey | None
    examined: Examined

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


def examine(conn: sqlite3.Connection, session: Session) -> Found:
    """Look at the signed data of a session with the key of its meter.

    It is the one that is pinned now; where that does not prove it, and the meter was
    exchanged after the end of the session, the one that was pinned then.
    """
    n_record = signed.n_raw(conn, session.session_id)
    if n_record == 0:
        return Found(finding=UNSIGNED)
    raw = signed.raw_records(
        conn, session.session_id, most=MAX_TEXTS, most_chars=MAX_CHARS
    )
    texts = _once(one for row in raw for one in _unwrapped(row))
    more = [] if n_record == len(raw) else ["too_many_records"]
    if any(
        signed.is_shown_elsewhere(conn, session.session_id, one.sha256) for one in texts
    ):
        more.append(REUSED)
    pinned = signed.pinned(conn, session.station_id, session.evse_id)
    found = _examined(texts, pinned, more, n_record)
    if found.finding.verdict is SignedVerdict.OK or pinned is None:
        return found
    for earlier in _exchanged(conn, session):
        again = _examined(texts, earlier, more, n_record)
        if again.finding.verdict is SignedVerdict.OK:
            return again
    return found


def _exchanged(conn: sqlite3.Connection, session: Session) -> list[PinnedKey]:
    """Keys of meters that were exchanged after the session."""
    if session.ended_at is None:
        return []
    return key_history.exchanged_since(
        conn, session.station_id, session.evse_id, session.ended_at, MAX_EXCHANGED
    )


def _examined(
    texts: list[_Text], pinned: PinnedKey | None, found_out: list[str], n_record: int
) -> Found:
    """What the records come to by one key, or by none."""
    key, more = None, list(found_out)
    if pinned is None:
        more.append(NOT_PINNED)
    else:
        key = MeterKey(curve=Curve(pinned.curve), point=pinned.point)
        texts = _checked(texts, key)
        serial = pinned.meter_serial
        if serial is not None and any(_is_of_other(one, serial) for one in texts):
            more.append("meter_serial_not_pinned")
        if any(one.key is not None and one.key != key for one in texts):
            more.append(CHANGED)
    return Found(
        finding=conclude([one.examined for one in texts], more=more),
        records=tuple(_stored(one) for one in texts),
        sent=tuple(_sent(texts)),
        key=key,
        n_record=n_record,
    )


def look(
    conn: sqlite3.Connection, session: Session
) -> tuple[SignedFinding, Found | None]:
    """Look at a session's signed data, unless what is kept of them counts.

    What was found good stays so: a meter that is exchanged later, with its key, takes
    nothing from the sessions before.

    Returns:
        What counts, and what is to be kept of it.
    """
    stored = signed.find(conn, session.session_id)
    if stored is not None and stored.n_record == signed.n_raw(conn, session.session_id):
        pinned = signed.pinned(conn, session.station_id, session.evse_id)
        key = None if pinned is None else (pinned.curve, pinned.point)
        if stored.finding.register_end_milliwh is not None or stored.key == key:
            return stored.finding, None
    found = examine(conn, session)
    return found.finding, found if found.n_record else None


def is_still_so(conn: sqlite3.Connection, session_id: SessionId, found: Found) -> bool:
    """Whether no other session has meanwhile shown one of these records, or fewer."""
    is_reused = any(
        signed.is_shown_elsewhere(conn, session_id, one.sha256) for one in found.records
    )
    return is_reused is (REUSED in found.finding.reasons)


def keep_in(
    conn: sqlite3.Connection, session: Session, found: Found, now: datetime
) -> tuple[KeyChanged, ...]:
    """Keep what was found, inside the caller's transaction.

    Returns:
        Keys that were seen for the first time instead of the pinned one.
    """
    kept = StoredFinding(
        finding=found.finding,
        n_record=found.n_record,
        key=None if found.key is None else (found.key.curve.value, found.key.point),
        checked_at=now,
    )
    signed.keep(conn, session.session_id, kept, found.records)
    changed: list[KeyChanged] = []
    for sent, serial in found.sent:
        seen = SeenKey(
            evse_id=session.evse_id,
            curve=sent.curve.value,
            point=sent.point,
            meter_serial=serial,
            first_seen_at=now,
            last_seen_at=now,
        )
        is_first = signed.note_seen(conn, session.station_id, seen, MAX_SEEN_KEYS)
        if is_first and found.key is not None and sent != found.key:
            evse = EvseRef(
                station_id=session.station_id,
                evse_id=session.evse_id,
                connector_id=session.connector_id,
            )
            changed.append(KeyChanged(evse=evse, pinned=found.key, sent=sent))
    return tuple(changed)


def current(conn: sqlite3.Connection, session: Session) -> SignedFinding:
    """What counts for a session now, without keeping anything."""
    known = signed.current(conn, session.session_id)
    return examine(conn, session).finding if known is None else known


def _unwrapped(row: RawRecord) -> Iterator[_Text]:
    try:
        carried = unwrap(row.raw, row.public_key)
    except SignedDataError as error:
        detail = error.detail
        if row.encoding not in {None, "", "OCMF"}:
            detail = f"{detail} (sent as {row.encoding})"
        yield _Text(
            context=row.context,
            text=row.raw,
            key=None,
            examined=Examined(record=None, reason=error.reason, detail=detail),
        )
        return
    for one in carried:
        yield _Text(
            context=row.context,
            text=one.text,
            key=_sent_key(one),
            examined=_parsed(one.text),
        )


def _parsed(text: str) -> Examined:
    try:
        return Examined(record=parse(text))
    except SignedDataError as error:
        return Examined(record=None, reason=error.reason, detail=error.detail)


def _sent_key(one: Carried) -> MeterKey | None:
    """The key that came along; one that nobody can read is no proposal."""
    if one.public_key is None:
        return None
    try:
        return parse_key(one.public_key)
    except MeterKeyError:
        return None


def _once(texts: Iterator[_Text]) -> list[_Text]:
    """Every record once: stations send a begin again with the end."""
    found: dict[str, _Text] = {}
    for one in texts:
        known = found.setdefault(one.text, one)
        if known.key is None and one.key is not None:
            found[one.text] = replace(known, key=one.key)
    return list(found.values())


def _checked(texts: list[_Text], key: MeterKey) -> list[_Text]:
    """Check signatures, those of begin and end before the others."""

    def is_less_needed(index: int) -> bool:
        record = texts[index].examined.record
        return record is None or not record.has_edge

    is_slow = key.curve is Curve.SECP192K1
    most = MAX_SLOW_SIGNATURES if is_slow else MAX_SIGNATURES
    order = sorted(range(len(texts)), key=is_less_needed)
    result = list(texts)
    for place, index in enumerate(order):
        one = texts[index]
        record = one.examined.record
        if record is None:
            continue
        if place >= most:
            reason, detail = "too_many_records", "its signature was not checked"
            examined = Examined(record=record, reason=reason, detail=detail)
        else:
            examined = _verified(record, key)
        result[index] = replace(one, examined=examined)
    return result


def _verified(record: OcmfRecord, key: MeterKey) -> Examined:
    if record.curve is not key.curve:
        return Examined(
            record=record,
            reason="signature_of_other_curve",
            detail=f"signed on {record.curve}, the pinned key is on {key.curve}",
        )
    if not is_signed(record.signed_text, record.signature, key):
        return Examined(
            record=record,
            reason="signature_wrong",
            detail="the pinned key did not sign this text",
        )
    return Examined(record=record)


def _is_of_other(one: _Text, serial: str) -> bool:
    record = one.examined.record
    return record is not None and record.meter_serial != serial


def _sent(texts: list[_Text]) -> Iterator[tuple[MeterKey, str | None]]:
    """Every key once."""
    found: dict[MeterKey, str | None] = {}
    for one in texts:
        record = one.examined.record
        if one.key is not None:
            found.setdefault(one.key, None if record is None else record.meter_serial)
    return iter(found.items())


def _stored(one: _Text) -> StoredRecord:
    record = one.examined.record
    readings: list[dict[str, Any]] = []
    page = None
    if record is not None:
        page = f"{'T' if record.is_of_transaction else 'F'}{record.page}"
        readings = [
            {
                "kind": reading.kind,
                "taken_at": reading.taken_at,
                "register": reading.register,
                "energy_milliwh": reading.energy_milliwh,
                "error_flags": reading.flags,
                "status": reading.status,
            }
            for reading in record.readings
        ]
    return StoredRecord(
        context=one.context,
        sha256=one.sha256,
        text=one.text,
        reason=one.examined.reason,
        detail=one.examined.detail,
        curve=None if record is None else record.curve.value,
        page=page,
        meter_serial=None if record is None else record.meter_serial,
        readings=readings,
    )
