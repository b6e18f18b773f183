"""What is said of a station, in words for those who look after it."""

from typing import Final

from gateway.web.command_lines import explanation
from gateway.web.ports import View
from gateway.web.render import StateMark
from gateway.web.times import span

CLOCK_FINE_S: Final = 5.0
"""Below this an offset is mostly the time that a message was under way."""

REGISTRATIONS: Final = {
    "Accepted": "accepted",
    "Pending": "pending: it may connect, but does not charge until it is accepted",
    "Rejected": "rejected: it is told to stay away",
}
PROFILES: Final = {
    1: "1 · password, not encrypted",
    2: "2 · password over TLS",
    3: "3 · TLS with a certificate of the station",
}
LIST_STATES: Final = {
    "unknown": "not asked yet",
    "pending": "being brought up to date",
    "synced": "up to date",
    "failed": "could not be brought up to date",
    "unsupported": "the station keeps no list",
}
COMMAND_STATES: Final = {
    "queued": StateMark("waiting", "◐", "waits for the station"),
    "sent": StateMark("waiting", "◐", "sent, no answer yet"),
    "accepted": StateMark("charging", "●", "accepted"),
    "effected": StateMark("ok", "✓", "done"),
    "no_effect": StateMark("fault", "▲", "no effect"),
    "failed": StateMark("fault", "▲", "failed"),
    "expired": StateMark("offline", "✕", "never sent"),
}
CERTIFICATE_STATES: Final = {
    "issued": StateMark("waiting", "◐", "sent, not confirmed"),
    "installed": StateMark("ok", "✓", "installed"),
    "rejected": StateMark("fault", "▲", "refused by the station"),
    "superseded": StateMark("offline", "▬", "replaced by a newer one"),
}
METER_KEY_STATES: Final = {
    "pinned": StateMark("ok", "✓", "pinned"),
    "proposed": StateMark("waiting", "?", "sent, trusted by nobody"),
    "changed": StateMark("fault", "▲", "not the pinned one"),
}
CERTIFICATE_TYPES: Final = {
    "ChargingStationCertificate": "Its own, for connecting",
    "V2GCertificate": "Its own, for cars",
    "CSMSRootCertificate": "Root it trusts us by",
    "ManufacturerRootCertificate": "Root for its firmware",
    "V2GRootCertificate": "Root of V2G",
    "MORootCertificate": "Root of mobility operators",
    "V2GCertificateChain": "Its V2G chain",
}
RESERVATION_STATES: Final = {
    "Reserved": StateMark("waiting", "▣", "reserved"),
    "Used": StateMark("ok", "✓", "used"),
    "Cancelled": StateMark("offline", "▬", "cancelled"),
    "Expired": StateMark("offline", "✕", "lapsed"),
    "Rejected": StateMark("fault", "▲", "refused by the station"),
}
ORPHANS: Final = {"ended": "its end", "updated": "meter values"}
ORPHAN_REASONS: Final = {
    "unknown_transaction": "No session of this station has the number, or is open.",
    "ambiguous_place": "Several sessions of its EVSE could be meant.",
}
DEVIATIONS: Final = {
    "over_long": "A text is longer than allowed; it is kept whole.",
    "unknown_enum": "A word that OCPP does not know; it is kept, or read in its case.",
    "extra_member": "A member that OCPP does not know; it is left out.",
    "null_member": "A member is null; it counts as absent.",
    "missing_member": "A member is missing; it counts as absent.",
    "wrong_type": "A value of the wrong type; converted exactly, or left out.",
    "array_length": "Too few or too many elements; taken as they are.",
    "doubled_member": "A member stands there twice; the last one counts.",
    "step": "A number between the allowed steps; taken as it is.",
    "value_garbage": "A value that is no number; it is no reading.",
    "value_range": "A number beyond reason; it is left out.",
    "unit_spelling": "An odd spelling of a unit; it is understood.",
    "unit_mismatch": "A unit that does not fit; it is no reading.",
    "timestamp_zone": "A time without a zone; read as UTC.",
    "timestamp_format": "A time in an odd form; it is understood.",
    "timestamp_unusable": "A time that cannot be; the time of receipt is used.",
    "transaction_id": "An impossible transaction number; read as none.",
}

_UNKNOWN: Final = StateMark("ready", "◇", "")


def mark_for(states: dict[str, StateMark], word: str) -> StateMark:
    """The look of a state; a word that is not known is shown as it is."""
    found = states.get(word)
    return found or StateMark(_UNKNOWN.css, _UNKNOWN.shape, word)


def command_words(command: View) -> str:
    """Why a command is where it is, as far as known."""
    words = explanation(command)
    if command["late"]:
        words = f"{words}; answered late" if words else "answered late"
    return words or "–"


def limit_words(command: View) -> str:
    """What a plan's limit says, such as ``EVSE 1: 16.0 A, then 0.0 A``."""
    payload = command["payload"]
    steps = [f"{step['limit_a']:.1f} A" for step in payload["steps"]]
    shown = ", then ".join(steps[:2]) + (", then less or equal" if steps[2:] else "")
    evse = f"EVSE {payload['evse_id']}" if payload["evse_id"] else "whole station"
    return f"{evse}: {shown or 'no step'}"


def clock_words(offset_s: float | None, allowed_s: float | None) -> tuple[str, bool]:
    """How far a clock is off, in words, and whether that needs somebody.

    Args:
        offset_s: Ahead of ours; ``None``: unknown.
        allowed_s: What the site map allows for; ``None``: nothing said.
    """
    if offset_s is None:
        return "not known yet: no time of its own since it started", False
    if abs(offset_s) <= CLOCK_FINE_S:
        return f"right within {CLOCK_FINE_S:.0f} s", False
    side = "ahead of" if offset_s > 0 else "behind"
    words = f"{span(abs(offset_s))} {side} ours"
    if allowed_s is None or abs(offset_s) <= allowed_s:
        return words, False
    advice = (
        f"{span(allowed_s)} are allowed for. Its limits may begin or end that much off:"
        " have it take the time from us (heartbeats) or from NTP"
    )
    return f"{words}; {advice}", True


def capability_words(station: View) -> str:
    """How it is told what it may draw, and what it does not take."""
    known = station.get("capability")
    if known is None:
        return "not at all: it is behind no cabinet"
    if not known["controlled"]:
        return "not at all: it refused every way; it counts at its rating"
    told = [_WAYS.get(str(known["way"]), "in no way that is known")]
    told.append(f"in {' and '.join(map(str, known['units']))}")
    if known["kind"] == "relative":
        told.append("counted from the start of the session")
    if known["max_periods"] is not None:
        told.append(f"at most {int(known['max_periods'])} periods")
    told.append(_AT_ZERO.get(str(known["at_zero"]), ""))
    refused = [_REFUSED[name] for name in known["refused"] if name in _REFUSED]
    if refused:
        told.append(f"it does not take {', '.join(refused)}")
    return "; ".join(one for one in told if one)


_WAYS: Final = {
    "session": "for each transaction",
    "evse_default": "by the default of each EVSE",
    "station_default": "by the default of the station",
    "station_max": "by the maximum of the station",
}
_AT_ZERO: Final = {
    "pauses": "0 A pauses",
    "ends": "0 A ends a session",
    "refused": "0 A is refused: its least current is reserved",
}
_REFUSED: Final = {
    "session": "limits of transactions",
    "evse_default": "defaults of an EVSE",
    "station_default": "defaults of the station",
    "station_max": "a maximum of the station",
    "ampere": "A",
    "watt": "W",
    "many_periods": "more than two periods",
    "absolute": "absolute schedules",
    "composite": "questions about its schedule",
}
