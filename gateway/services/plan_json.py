"""Rows of a plan as API and cockpit show them."""

from typing import Any

from gateway.domain.phases import rotation_text
from gateway.domain.session import Session
from gateway.services.group_view import SessionPlanView
from gateway.services.limit_words import Binding
from gateway.services.promises import NOISE_WH, Promise
from gateway.store.times import optional_text


def row_json(row: SessionPlanView, session: Session | None) -> dict[str, Any]:
    """A session of a plan, ready for JSON.

    ``expected_wh`` is still to come, ``likely_wh`` and ``need_wh`` count from the start
    of the session on.
    """
    delivered_wh = 0 if session is None else session.energy_milliwh // 1000
    promise = row.promise
    begun_wh = delivered_wh if promise is None else promise.delivered_wh
    likely_wh = max(delivered_wh, begun_wh + row.energy_wh)
    return {
        "session_id": row.session_id,
        "station_id": row.station_id,
        "evse_id": row.evse_id,
        "limits_a": [value / 10 for value in row.currents_da],
        "limit_a": row.currents_da[0] / 10 if row.currents_da else None,
        "delivered_wh": delivered_wh,
        "expected_wh": likely_wh - delivered_wh,
        "likely_wh": likely_wh,
        "guaranteed_wh": None if promise is None else promise.guaranteed_wh,
        "shortfall_wh": row.shortfall_wh,
        "at_risk": promise is not None and promise.is_at_risk,
        "need_wh": begun_wh + row.energy_wh + row.shortfall_wh,
        "departure_at": optional_text(row.departure_at),
        "is_default_need": row.is_default,
        "energy_from": None if promise is None else promise.energy_from.value,
        "departure_from": None if promise is None else promise.departure_from.value,
        "why": row.reason or _in_time(promise),
    }


def binding_json(binding: Binding | None) -> dict[str, Any] | None:
    """A limit that binds, with its price, ready for JSON."""
    if binding is None:
        return None
    phase = None if binding.phase is None else rotation_text((binding.phase,))
    return {
        "cabinet_id": binding.cabinet_id,
        "phase": phase,
        "begin": optional_text(binding.begin),
        "micro_per_kwh": binding.micro_per_kwh,
        "words": binding.words,
    }


def _in_time(promise: Promise | None) -> str | None:
    """The words for a session that nothing keeps from its need."""
    if promise is None or promise.shortfall_wh >= NOISE_WH:
        return None
    return "Gets what it needs in time."
