"""What operators see of stations' meters: what registers count, and in which unit.

What is suggested rests on stored sessions and changes nothing: no register is ever
multiplied. An operator may confirm that a unit is wrong, for a station or for all of a
model; their bills are held from then on until the word is withdrawn.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

from gateway.domain.ids import StationId
from gateway.domain.meter_timeline import Segment, Timeline, timeline
from gateway.domain.register_unit import Comparison, UnitFinding, judge_unit
from gateway.domain.session import Session
from gateway.store import meters
from gateway.store.meters import Rating
from gateway.store.times import to_text

MAX_COMPARED: Final = 10
"""Latest sessions of an EVSE whose samples are read."""
MAX_STATIONS: Final = 50
"""Stations of a model that are looked at, those seen last."""
MODEL_SESSIONS: Final = 30
"""Latest sessions of each of them."""

View = dict[str, Any]


def of_station(
    conn: sqlite3.Connection, station_id: StationId, limit: int, rating: Rating
) -> View:
    """The meters of a station, and what was decided about their unit."""
    evses = _by_evse(meters.latest_sessions(conn, station_id, limit))
    boots = meters.boots(conn, station_id)
    serials = meters.signed_serials(conn, station_id)
    found: list[View] = []
    everything: list[Comparison] = []
    for evse_id, rows in sorted(evses.items()):
        rated_w = rating(station_id, evse_id)
        seen = timeline(rows, boots=boots, serials=serials, rated_w=rated_w)
        compared = _comparisons(conn, rows, rated_w)
        everything += compared
        found.append(
            {
                "evse_id": evse_id,
                **_counted(seen),
                "segments": [_segment(one) for one in seen.segments],
                "unit": _unit(judge_unit(compared)),
            }
        )
    return {
        "station_id": station_id,
        "evses": found,
        "unit": _unit(judge_unit(everything)),
        "decision": _decision(conn, station_id),
    }


def of_models(
    conn: sqlite3.Connection,
    vendor: str | None,
    model: str | None,
    rating: Rating,
) -> list[View]:
    """Models with how many of their meters count what, and what their unit seems."""
    rows = conn.execute(
        "SELECT station_id, vendor, model FROM (SELECT station_id, vendor, model,"
        " row_number() OVER (PARTITION BY lower(vendor), lower(model)"
        " ORDER BY last_seen_at DESC) AS rank FROM station"
        " WHERE vendor IS NOT NULL AND model IS NOT NULL"
        " AND (?1 IS NULL OR vendor = ?1 COLLATE NOCASE)"
        " AND (?2 IS NULL OR model = ?2 COLLATE NOCASE)) WHERE rank <= ?3"
        " ORDER BY lower(vendor), lower(model) LIMIT 1000",
        (vendor, model, MAX_STATIONS),
    ).fetchall()
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for row in rows:
        groups[meters.model_subject(row[1], row[2])].append(tuple(row))
    return [_of_model(conn, stations, rating) for stations in groups.values()]


def proposed(conn: sqlite3.Connection, station_id: StationId, rating: Rating) -> str:
    """The factor that is proposed for a station now; empty: none."""
    unit = of_station(conn, station_id, MODEL_SESSIONS, rating)["unit"]
    return str(unit["factor"] or "")


def _of_model(
    conn: sqlite3.Connection, stations: Sequence[tuple[str, str, str]], rating: Rating
) -> View:
    semantics: Counter[str] = Counter()
    oddities: Counter[str] = Counter()
    compared: list[Comparison] = []
    for name, _vendor, _model in stations:
        station_id = StationId(name)
        boots = meters.boots(conn, station_id)
        serials = meters.signed_serials(conn, station_id)
        found = meters.latest_sessions(conn, station_id, MODEL_SESSIONS)
        for evse_id, rows in _by_evse(found).items():
            rated_w = rating(station_id, evse_id)
            seen = timeline(rows, boots=boots, serials=serials, rated_w=rated_w)
            semantics[seen.semantics.value] += 1
            oddities.update({word.value: n for word, n in seen.oddities.items()})
            compared += _comparisons(conn, rows, rated_w)
    _, vendor, model = stations[0]
    return {
        "vendor": vendor,
        "model": model,
        "stations": len(stations),
        "semantics": dict(semantics),
        "oddities": dict(oddities),
        "unit": _unit(judge_unit(compared)),
        "decision": _decision_of_model(conn, vendor, model),
    }


def _by_evse(rows: Sequence[Session]) -> dict[int, list[Session]]:
    found: dict[int, list[Session]] = defaultdict(list)
    for row in rows:
        if row.evse_id > 0:
            found[row.evse_id].append(row)
    return found


def _comparisons(
    conn: sqlite3.Connection, rows: Sequence[Session], rated_w: float | None
) -> list[Comparison]:
    found = [meters.comparison(conn, one, rated_w) for one in rows[-MAX_COMPARED:]]
    return [one for one in found if one is not None]


def _counted(seen: Timeline) -> View:
    return {
        "semantics": seen.semantics.value,
        "sessions": seen.n_session,
        "oddities": {word.value: n for word, n in sorted(seen.oddities.items())},
        "missing_milliwh": sum(one.missing_milliwh for one in seen.segments),
    }


def _segment(one: Segment) -> View:
    return {
        "opened_by": one.opened_by.value,
        "from_session_id": one.from_session,
        "to_session_id": one.to_session,
        "from_at": to_text(one.from_at),
        "to_at": to_text(one.to_at),
        "from_milliwh": one.from_milliwh,
        "to_milliwh": one.to_milliwh,
        "sessions": one.n_session,
        "sessions_milliwh": one.sessions_milliwh,
        "idle_milliwh": one.idle_milliwh,
        "missing_milliwh": one.missing_milliwh,
        "meter_serial": one.meter_serial,
    }


def _unit(found: UnitFinding) -> View:
    return {
        "verdict": found.verdict.value,
        "factor": found.factor,
        "ratio": None if found.ratio is None else round(found.ratio, 4),
        "compared_with": None if found.source is None else found.source.value,
        "sessions": found.n_session,
    }


def _decision(conn: sqlite3.Connection, station_id: StationId) -> View | None:
    found = meters.decision_for(conn, station_id)
    return None if found is None else _said(found)


def _decision_of_model(
    conn: sqlite3.Connection, vendor: str, model: str
) -> View | None:
    found = meters.decision_of(conn, "model", meters.model_subject(vendor, model))
    return None if found is None else _said(found)


def _said(found: meters.UnitDecision) -> View:
    return {
        "scope": found.scope,
        "decision": found.decision,
        "factor": found.factor,
        "at": found.decided_at,
        "by": found.decided_by,
    }
