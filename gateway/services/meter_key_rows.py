"""The keys of a station's meters for those who look after it."""

import sqlite3
from typing import Any

from gateway.domain.ids import StationId
from gateway.domain.ocmf import Curve
from gateway.services.meter_keys import MeterKey
from gateway.store import signed
from gateway.store.times import to_text

View = dict[str, Any]


def meter_keys_of(conn: sqlite3.Connection, station_id: StationId) -> list[View]:
    """Pinned keys by EVSE, each before the other keys that came with records there.

    ``state`` is ``pinned``; ``proposed`` where none is pinned; ``changed`` where
    another one is.
    """
    pinned, seen = signed.keys_of(conn, station_id)
    rows = [
        _row(evse_id, key.curve, key.point)
        | {
            "state": "pinned",
            "meter_serial": key.meter_serial,
            "at": to_text(key.pinned_at),
        }
        for evse_id, key in pinned.items()
    ]
    for one in seen:
        known = pinned.get(one.evse_id)
        if known is not None and (known.curve, known.point) == (one.curve, one.point):
            continue
        rows.append(
            _row(one.evse_id, one.curve, one.point)
            | {
                "state": "proposed" if known is None else "changed",
                "meter_serial": one.meter_serial,
                "at": to_text(one.last_seen_at),
            }
        )
    return sorted(rows, key=lambda row: (row["evse_id"], row["state"] != "pinned"))


def _row(evse_id: int, curve: str, point: str) -> View:
    key = MeterKey(curve=Curve(curve), point=point)
    return {"evse_id": evse_id, "curve": curve, "fingerprint": key.fingerprint}
