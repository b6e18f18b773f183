"""Receipts of signed sessions, sealed by an operator who may forge what he seals."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ledger import record
from ledger.bundle import build_receipt, seal_settlement
from ledger.signed_claim import SignedClaim
from ledger.sqlite_store import SqliteStore, append_leaf, transaction
from tests.support.ledger_site import open_database
from tests.support.ocmf import Meter

STARTED, ENDED = "2026-06-01T12:00:00Z", "2026-06-01T13:00:00Z"
TARIFF: dict[str, Any] = {
    "tariff_id": "flat",
    "currency": "EUR",
    "minor_digits": 2,
    "timezone": "Europe/Berlin",
    "elements": [
        {
            "price_micro_per_kwh": 400_000,
            "start_time": None,
            "end_time": None,
            "day_of_week": [],
        }
    ],
}


@dataclass
class Forge:
    """What is sealed of one session; honest unless something is replaced.

    Attributes:
        records: Signed records, in the order of their leaves.
        pin: Members of the ``meter_key`` leaf that differ.
        registers: Of the bill, mWh.
        pinned_late: The key is sealed after the settlement, where it cannot count.
    """

    meter: Meter = field(default_factory=Meter)
    records: Sequence[str] | None = None
    pin: dict[str, object] = field(default_factory=dict)
    registers: tuple[int, int] = (1_000_400, 3_000_800)
    claim: SignedClaim | None = None
    pinned_late: bool = False

    def receipt(self) -> dict[str, Any]:
        """Seal everything in a log of its own, and gather the receipt."""
        conn = open_database()
        with transaction(conn):
            _leaf(conn, "status", {"subject": "s", "occurred_at": STARTED})
            key_index = 0 if self.pinned_late else _leaf(conn, "meter_key", self._pin())
            body = self._place() | {"started_at": STARTED}
            _leaf(conn, "session_start", body)
            for moment, register in zip((STARTED, ENDED), self.registers, strict=True):
                body = self._place() | {
                    "occurred_at": moment,
                    "received_at": moment,
                    "register_milliwh": register,
                }
                _leaf(conn, "meter", body)
            for text in self._records():
                body = self._place() | {"format": "OCMF", "text": text}
                _leaf(conn, "signed_meter", body)
            late = SqliteStore(conn).leaf_count() + 1
            if self.pinned_late:
                key_index = late
            claim = SignedClaim(verdict="ok", key_leaf_index=key_index)
            bill = self._bill()
            seal_settlement(
                conn,
                session_id="s-1",
                bill=bill,
                ended_at=ENDED,
                sealed_at=ENDED,
                signed=self.claim or claim,
            )
            if self.pinned_late:
                assert _leaf(conn, "meter_key", self._pin()) == late
            found = build_receipt(
                SqliteStore(conn),
                session_id="s-1",
                bill=bill,
                tariff=TARIFF,
                chain=None,
            )
        conn.close()
        told: dict[str, Any] = json.loads(json.dumps(found))
        return told

    def _records(self) -> Sequence[str]:
        if self.records is None:
            return [self.meter.begin("1.0004"), self.meter.end("3.0008")]
        return self.records

    def _pin(self) -> dict[str, object]:
        return {
            "station_id": "CP-1",
            "evse_id": 1,
            "occurred_at": STARTED,
            "curve": self.meter.curve.value,
            "public_key": self.meter.point.hex().upper(),
            "meter_serial": self.meter.serial,
            **self.pin,
        }

    def _place(self) -> dict[str, object]:
        return {"session_id": "s-1", "station_id": "CP-1", "evse_id": 1}

    def _bill(self) -> dict[str, Any]:
        start, end = self.registers
        part = {
            "from": STARTED,
            "to": ENDED,
            "energy_milliwh": end - start,
            "price_micro_per_kwh": 400_000,
        }
        return {
            "currency": "EUR",
            "minor_digits": 2,
            "parts": [part],
            "energy_milliwh": end - start,
            "amount_minor": round((end - start) * 400_000 / 10**10),
            "tariff_id": "flat",
            "tariff_sha256": record.sha256_json(TARIFF),
            "register_start_milliwh": start,
            "register_end_milliwh": end,
        }


def _leaf(conn: sqlite3.Connection, kind: str, body: dict[str, object]) -> int:
    subject = str(body.get("session_id", ""))
    return append_leaf(conn, kind, subject, record.canonical(kind, body), None, STARTED)
