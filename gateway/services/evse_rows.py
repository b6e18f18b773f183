"""EVSEs as the overview shows them: unregistered ones, and running sessions."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.domain.ids import EvseRef
from gateway.domain.session import Session
from gateway.domain.topology import Station
from gateway.store.records import EvseStatus
from gateway.store.times import optional_text

View = dict[str, Any]

MAX_GAP: Final = 8
"""EVSEs of which a station may not have spoken yet, below one of which it has."""


def unwired(
    wired: Station | None,
    heard: Collection[EvseRef],
    charging: Collection[EvseRef] = (),
) -> list[EvseRef]:
    """EVSEs that nobody registered but that surely are there.

    A station numbers its EVSEs from 1 on without a gap (2.0.1 part 1, 7.1; connectors
    likewise: 1.6, 2.2), but need not speak of them in that order. So a number is
    believed if it is at most `MAX_GAP` above the next lower one, or if a session runs
    there; a lone number far beyond is a slip of the station.

    Args:
        wired: The station as registered; ``None``: not at all.
        heard: What the station spoke of.
        charging: Where sessions run.
    """
    known = set() if wired is None else {evse.ref for evse in wired.evses}
    numbers = {ref.evse_id for ref in (*known, *heard)}
    highest = 0
    for number in sorted(numbers):
        if number > highest + MAX_GAP:
            break
        highest = number
    return sorted(
        ref
        for ref in heard
        if ref not in known and (0 < ref.evse_id <= highest or ref in charging)
    )


def unbelieved(heard: Collection[EvseRef], shown: Collection[int]) -> list[int]:
    """Numbers a station used for EVSEs that are not shown as such."""
    return sorted({ref.evse_id for ref in heard if ref.evse_id > 0} - set(shown))


def unwired_evse(
    ref: EvseRef, status: EvseStatus | None, session: Session | None
) -> View:
    """What is known of an EVSE without wiring: nothing about limits."""
    view: View = {
        "evse_id": ref.evse_id,
        "current_type": None,
        "phases": None,
        "availability": None if status is None else status.availability,
        "charging_state": None if status is None else status.charging_state,
        "error_code": None if status is None else status.error_code,
        "power_w": 0.0,
        "limit_w": None,
        "proven": False,
        "why": None,
        "limit_a": None,
        "rated_w": None,
    }
    return with_session(view, session, None)


def with_session(view: View, session: Session | None, promise: str | None) -> View:
    """A view of an EVSE completed by the session that runs there, if one does."""
    if session is None:
        return view | {
            "soc_percent": None,
            "session_id": None,
            "interrupted_at": None,
            "energy_milliwh": None,
            "measured_at": None,
            "promise": None,
        }
    return view | {
        "charging_state": session.charging_state or view["charging_state"],
        "power_w": session.power_w,
        "soc_percent": session.soc_percent,
        "session_id": session.session_id,
        "interrupted_at": optional_text(session.interrupted_at),
        "energy_milliwh": session.energy_milliwh,
        "measured_at": optional_text(session.sampled_at),
        "promise": promise,
    }


def promise_words(row: tuple[Any, ...], timezone: str) -> str:
    """What the newest plan expects, for a tile: result, then time."""
    _, energy_wh, shortfall_wh, departure_at, is_default, is_at_risk = row
    local = datetime.fromisoformat(departure_at).astimezone(ZoneInfo(timezone))
    if is_at_risk:
        text = f"at risk: {shortfall_wh / 1000:.1f} kWh short by {local:%H:%M}"
    else:
        text = f"+{energy_wh / 1000:.1f} kWh more, ready by {local:%H:%M}"
    return f"{text} (assumed need)" if is_default else text
