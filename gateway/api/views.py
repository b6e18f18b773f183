"""Rows to JSON: keys carry units, times are RFC 3339; no logic."""

import json
from datetime import UTC, datetime
from typing import Any

from gateway.domain.session import Session
from gateway.services.feasibility import Feasibility
from gateway.store.records import IdTokenRecord, ReadingRecord, Reservation


def time(moment: datetime | None) -> str | None:
    """An aware time as text in UTC."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def text_time(stored: str | None) -> str | None:
    """A stored time as text in UTC."""
    return None if stored is None else time(datetime.fromisoformat(stored))


def session(
    row: Session, *, request: dict[str, Any] | None, promise: dict[str, Any] | None
) -> dict[str, Any]:
    """One session."""
    return {
        "session_id": row.session_id,
        "transaction_id": row.transaction_id,
        "station_id": row.station_id,
        "evse_id": row.evse_id,
        "connector_id": row.connector_id,
        "id_token": row.id_token,
        "started_at": time(row.started_at),
        "ended_at": time(row.ended_at),
        "stop_reason": row.stop_reason,
        "interrupted_at": time(row.interrupted_at),
        "energy_milliwh": row.energy_milliwh,
        "register_start_milliwh": row.register_start_milliwh,
        "register_end_milliwh": row.register_end_milliwh,
        "charging_state": row.charging_state,
        "power_w": row.power_w,
        "current_a": row.current_a,
        "soc_percent": row.soc_percent,
        "sampled_at": time(row.sampled_at),
        "verdict": row.verdict,
        "verdicts": list(row.verdicts),
        "incomplete": row.has_gap,
        "request": request,
        "promise": promise,
    }


def reading(row: ReadingRecord) -> dict[str, Any]:
    """One stored sample."""
    return {
        "sampled_at": time(row.sampled_at),
        "context": row.context,
        "register_milliwh": row.register_milliwh,
        "power_w": row.power_w,
        "current_a": [row.current_l1_a, row.current_l2_a, row.current_l3_a],
        "soc_percent": row.soc_percent,
        "samples": row.samples,
        "leaf_index": row.leaf_index,
    }


def id_token(row: IdTokenRecord) -> dict[str, Any]:
    """One id token."""
    return {
        "token": row.value,
        "type": row.kind or None,
        "status": row.status,
        "expires_at": time(row.expires_at),
        "group": row.group_id,
        "max_sessions": row.max_sessions,
        "stations": None if row.stations is None else json.loads(row.stations),
        "evse_ids": None if row.evse_ids is None else json.loads(row.evse_ids),
        "language": row.language,
        "language_2": row.language_2,
        "personal_message": row.personal_message,
        "allowed_times": None
        if row.allowed_times is None
        else json.loads(row.allowed_times),
        "evse_types": None if row.evse_types is None else json.loads(row.evse_types),
        "contract_id": row.contract_id,
        "may_pause": row.may_pause,
        "updated_at": time(row.updated_at),
    }


def unknown_token(value: str) -> dict[str, Any]:
    """A token that nobody made known."""
    members = ("expires_at", "group", "max_sessions", "stations", "evse_ids")
    words = ("language", "language_2", "personal_message", "updated_at")
    rules = ("allowed_times", "evse_types", "contract_id")
    empty = dict.fromkeys((*members, *rules, *words))
    return {
        "token": value,
        "type": None,
        "status": "Invalid",
        "may_pause": True,
        **empty,
    }


def reservation(row: Reservation, now: datetime) -> dict[str, Any]:
    """One reservation; it expires on the minute, not when housekeeping comes by."""
    has_lapsed = row.status == "Reserved" and row.expires_at <= now
    return {
        "reservation_id": row.reservation_id,
        "station_id": row.station_id,
        "evse_id": row.evse_id,
        "id_token": row.id_token,
        "token_type": row.token_kind,
        "group": row.group_id,
        "expires_at": time(row.expires_at),
        "status": "Expired" if has_lapsed else row.status,
        "session_id": row.session_id,
        "created_at": time(row.created_at),
        "changed_at": time(row.changed_at),
    }


def feasibility(found: Feasibility | None) -> dict[str, Any] | None:
    """What a request comes to; ``None`` where nothing is planned yet."""
    if found is None:
        return None
    return {
        "verdict": found.verdict.value,
        "energy_wh": found.energy_wh,
        "departure_at": time(found.departure_at),
        "sure_wh": found.sure_wh,
        "most_wh": found.most_wh,
        "guaranteed_wh": found.guaranteed_wh,
    }
