"""What the driver's page says: result first, then one reason, in plain words.

A promise appears only when reserved current covers it. No protocol words, no blame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

MILLIWH_PER_KWH: Final = 1_000_000
ASSUMED: Final = {
    "token_group": "what your group usually needs",
    "station": "what this charger was set up for",
    "site": "what this site was set up for",
    "history": "what cars here needed at this time of the week",
}
"""Where an assumed need comes from; anything else is a usual one."""
STALE_S: Final = 900.0
STANDBY_W: Final = 100.0
"""Below this a car does not charge: it only stays awake."""


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one moment, by element of the page."""

    headline: str
    reason: str
    energy: str
    power: str
    promise: str
    cost: str
    price: str
    percent: int


def words(view: Mapping[str, Any], now: datetime, zone: ZoneInfo) -> Words:
    """Texts for a session.

    Args:
        view: ``services.overview.DriverView`` as a mapping.
        now: Site time.
        zone: The site's time zone; the page shows local time of the socket.
    """
    got = int(view["energy_milliwh"])
    needed = view["needed_milliwh"]
    departure = _local(view["departure_at"], zone)
    headline, reason = _headline(view, got, needed, departure, now)
    energy = f"{_kwh(got, _digits(view))} kWh"
    percent = 100 if view["ended"] else 0
    if needed:
        energy = f"{_kwh(got)} of {_kwh(needed)} kWh"
        percent = max(0, min(100, round(100 * got / needed)))
    power = ""
    if _is_live(view, now) and view["power_w"] is not None:
        verb = "Charging at" if view["power_w"] >= STANDBY_W else "Drawing"
        power = f"{verb} {view['power_w'] / 1000:.1f} kW"
    promise = ""
    if view["guaranteed_milliwh"] is not None and not view["ended"]:
        promise = f"At least {_kwh(view['guaranteed_milliwh'])} kWh guaranteed."
    if view["is_default_need"] and needed and not view["ended"]:
        source = ASSUMED.get(str(view.get("energy_from")), "a usual need")
        promise += f" You told us no need, so we assume {source}: {_kwh(needed)} kWh."
    return Words(
        headline=headline,
        reason=reason,
        energy=energy,
        power=power,
        promise=promise.strip(),
        cost=str(view["cost"] or "–"),
        price=str(view["price"] or ""),
        percent=percent,
    )


def _is_live(view: Mapping[str, Any], now: datetime) -> bool:
    """Whether what the meter said last still describes the present."""
    if view["ended"] or not view["online"] or view["sampled_at"] is None:
        return False
    return bool((now - view["sampled_at"]).total_seconds() <= STALE_S)


def _headline(
    view: Mapping[str, Any],
    got: int,
    needed: int | None,
    departure: str | None,
    now: datetime,
) -> tuple[str, str]:
    if view["ended"]:
        return _ended(view, got)
    if not view["online"]:
        return (
            "Connection to the charger lost",
            "It keeps at least its reserved power; the meter in the charger counts.",
        )
    unheard = _unheard(view, now)
    if unheard is not None:
        return unheard
    if needed and got >= needed:
        return f"Ready: {_kwh(got)} kWh", "You can leave whenever you like."
    if view["charging_state"] == "suspended_ev":
        return "Your car paused charging", "Often a timer in the car, or it is full."
    if departure is None or needed is None:
        return "Charging. When do you leave?", "Without a time we assume a usual stay."
    likely = view["likely_milliwh"]
    if likely is not None and view["at_risk"]:
        why = str(view["why"] or "Several cars share this supply.")
        return f"At risk: {_kwh(likely)} of {_kwh(needed)} kWh by {departure}", why
    if view["charging_state"] == "suspended_evse" or not view["power_w"]:
        return f"Waiting. Ready by {departure}", str(
            view["why"] or "Planned for later."
        )
    return f"Ready by {departure}", str(view["why"] or "Everything as planned.")


def _unheard(view: Mapping[str, Any], now: datetime) -> tuple[str, str] | None:
    """What to say while nothing new is known of a session."""
    sampled_at = view["sampled_at"]
    if view.get("interrupted_at") is not None:
        return "The charger restarted", "It has not said yet whether charging goes on."
    if sampled_at is None:
        return "Starting…", "This can take a minute."
    if (now - sampled_at).total_seconds() > STALE_S:
        return "We have not heard from the charger for a while", "Charging goes on."
    return None


def _ended(view: Mapping[str, Any], got: int) -> tuple[str, str]:
    match view["bill_state"]:
        case "held":
            return (
                "We are checking this bill",
                f"{view['doubt']} You pay nothing until it is clear.",
            )
        case "waived":
            energy = f"{_kwh(got, _digits(view))} kWh"
            return f"{energy} · nothing to pay", "This bill was given up."
        case "pending":
            return f"Done: {_kwh(got)} kWh. Bill in a few minutes", ""
        case _:
            start, end = view["register_start_milliwh"], view["register_end_milliwh"]
            digits = _digits(view)
            return (
                f"{_kwh(got, digits)} kWh · {view['cost']}",
                f"Meter {_kwh(start, digits)} → {_kwh(end, digits)} kWh."
                + _credited(view),
            )


def _digits(view: Mapping[str, Any]) -> int:
    """Decimals of kilowatt-hours: after the end so many that anyone can subtract."""
    if not view["ended"] or view["bill_state"] == "pending":
        return 1
    names = ("energy_milliwh", "register_start_milliwh", "register_end_milliwh")
    return 6 if any(view[name] % 1000 for name in names) else 3


def _credited(view: Mapping[str, Any]) -> str:
    """What the driver got back, if anything."""
    credited = view.get("credited")
    return f" {credited} was credited to you." if credited else ""


def _kwh(milliwh: int, digits: int = 1) -> str:
    """Kilowatt-hours, rounded down: what is shown was surely delivered."""
    scale = 10**digits
    whole = milliwh * scale // MILLIWH_PER_KWH
    return f"{whole // scale}.{whole % scale:0{digits}d}"


def _local(moment: datetime | None, zone: ZoneInfo) -> str | None:
    return None if moment is None else moment.astimezone(zone).strftime("%H:%M")
