"""Sampled values and timestamps of both versions -> exact readings in base units.

Spec defaults are applied (1.6, 7.43 SampledValue; 2.0.1, SampledValueType): measurand
``Energy.Active.Import.Register``, context ``Sample.Periodic``, location ``Outlet``.
Nothing is guessed: a value that is not a number, or a unit that does not fit its
measurand, becomes a ``Deviation`` and no reading.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from gateway.domain.events import REGISTER, Deviation, Reading
from gateway.domain.units import MAX_REGISTER_WH, floor_milliwh
from gateway.ocpp.explain import shown

EARLIEST_YEAR: Final = 2000
MAX_AHEAD: Final = timedelta(hours=48)
"""A station's time beyond ours by more than this is not believed."""
MAX_ADJUSTED: Final = 12
"""Readings of 1e13 and more, in base units, are no measurements."""
MIN_ADJUSTED: Final = -30
MAX_NUMBER_CHARS: Final = 40
MAX_MULTIPLIER: Final = 12

DEFAULT_CONTEXT: Final = "Sample.Periodic"
DEFAULT_LOCATION: Final = "Outlet"

_ZERO: Final = Decimal(0)
_KELVIN: Final = Decimal("273.15")
_FAMILIES: Final[tuple[tuple[tuple[str, ...], dict[str, int]], ...]] = (
    (("Energy.Active.",), {"Wh": 0, "kWh": 3}),
    (("Energy.Reactive.",), {"varh": 0, "kvarh": 3, "Wh": 0, "kWh": 3}),
    (("Energy.Apparent.",), {"VAh": 0, "kVAh": 3, "Wh": 0, "kWh": 3}),
    (("Power.Active.", "Power.Offered"), {"W": 0, "kW": 3, "VA": 0, "kVA": 3}),
    (("Power.Reactive.",), {"var": 0, "kvar": 3, "W": 0, "kW": 3}),
    (("Power.Factor",), {"Percent": -2, "%": -2}),
    (("Current.",), {"A": 0, "mA": -3}),
    (("Voltage",), {"V": 0, "mV": -3}),
    (("Frequency",), {"Hertz": 0, "Hz": 0}),
    (("SoC",), {"Percent": 0, "%": 0}),
    (("RPM",), {"RPM": 0}),
)
"""Measurand prefix -> units with their power of ten to the base unit.

``Energy.Reactive`` and ``Energy.Apparent`` take ``Wh`` too: it is the default unit.
"""
_MEASURANDS: Final = (
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Interval",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Energy.Active.Net",
    "Energy.Apparent.Export",
    "Energy.Apparent.Import",
    "Energy.Apparent.Net",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Import.Register",
    "Energy.Reactive.Net",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "RPM",
    "SoC",
    "Voltage",
)
_TEMPERATURES: Final = frozenset({"K", "Celcius", "Celsius", "Fahrenheit", "Deg", None})
_SUMMED: Final = frozenset(
    name
    for name in _MEASURANDS
    if name.startswith(("Energy.", "Power.Active.", "Power.Reactive.", "Power.Offered"))
)
_LINES: Final = ("L1", "L2", "L3")
_PHASE_SETS: Final = (
    {"L1"},
    {"L1", "L2"},
    {"L1", "L2", "L3"},
)


def _scales() -> dict[tuple[str, str | None], int]:
    table: dict[tuple[str, str | None], int] = {}
    for measurand in _MEASURANDS:
        table[measurand, None] = 0
        for prefixes, units in _FAMILIES:
            if measurand.startswith(prefixes):
                table |= {(measurand, unit): power for unit, power in units.items()}
    return table


_SCALES: Final = _scales()
POWERS: Final = {
    power: Decimal(10**power) if power >= 0 else Decimal(1).scaleb(power)
    for power in range(-MAX_MULTIPLIER - 3, MAX_MULTIPLIER + 4)
}
"""A product stays in plain notation (7200), a shifted exponent does not (7.2E+3)."""


def timestamp(
    text: str | None, received_at: datetime, path: str, notes: list[Deviation]
) -> datetime:
    """The station's time as aware UTC.

    Args:
        text: Anything like ISO 8601; without a zone it is taken as UTC.
        received_at: Our time, aware UTC. It is used instead of a time that cannot be
            read, lies before 2000 or more than 48 h ahead of us.
        path: Where the text stood.
        notes: Gets what was wrong; a kind of ``timestamp_unusable`` says that
            ``received_at`` was used.
    """
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return _odd_timestamp(text, received_at, path, notes)
    zone = moment.tzinfo
    if zone is not UTC:
        if zone is None:
            notes.append(
                Deviation(
                    kind="timestamp_zone", path=path, detail="no zone: read as UTC"
                )
            )
            moment = moment.replace(tzinfo=UTC)
        else:
            try:
                moment = moment.astimezone(UTC)
            except OverflowError:
                return _unusable(text, received_at, path, notes)
    if moment.year < EARLIEST_YEAR or moment - received_at > MAX_AHEAD:
        return _unusable(text, received_at, path, notes)
    return moment


def wire_time(moment: datetime) -> str:
    """An aware moment as both versions want it: UTC with milliseconds and ``Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return f"{text.removesuffix('+00:00')}Z"


def decimal_of(text: str) -> Decimal | None:
    """A number written by a station, or ``None``.

    A decimal comma is understood where it cannot separate thousands.
    """
    if len(text) > MAX_NUMBER_CHARS or "_" in text or not text.isascii():
        return None
    try:
        number = Decimal(text)
        return number if number.is_finite() else None
    except InvalidOperation:
        whole, comma, fraction = text.strip().partition(",")
        if comma and fraction.isdigit() and len(fraction) != 3 and "." not in whole:  # noqa: PLR2004 - 1,234 may be thousands
            return decimal_of(f"{whole}.{fraction}")
        return None


def reading(  # noqa: PLR0917 - keywords cost a tenth of the whole message
    value: Decimal,
    sampled_at: datetime,
    measurand: str | None,
    unit: str | None,
    multiplier: int | None,
    phase: str | None,
    context: str | None,
    location: str | None,
    path: str,
    notes: list[Deviation],
) -> Reading | None:
    """One sample in its base unit, or ``None`` with a note if it makes no sense.

    Args:
        value: Finite, as sent.
        sampled_at: Station's time, aware UTC.
        measurand: ``None`` for the default, as are unit, context and location.
        unit: Wire unit.
        multiplier: Power of ten of the value (2.0.1).
        phase: Wire word.
        context: Wire word.
        location: Wire word.
        path: Where the sample stood.
        notes: Gets what was wrong.
    """
    name = measurand or REGISTER
    power = _SCALES.get((name, unit))
    if power is None:
        return _odd_reading(
            value,
            sampled_at,
            name,
            unit,
            multiplier,
            phase,
            context,
            location,
            path,
            notes,
        )
    if multiplier:
        if abs(multiplier) > MAX_MULTIPLIER:
            _note(notes, "value_range", path, f"multiplier {multiplier}")
            return None
        power += multiplier
    if not MIN_ADJUSTED <= value.adjusted() + power <= MAX_ADJUSTED:
        _note(notes, "value_range", path, f"{shown(value)} is out of range")
        return None
    exact = value * POWERS[power] if power else +value
    if name == REGISTER and not 0 <= exact <= MAX_REGISTER_WH:
        _note(notes, "value_range", path, f"{shown(value)} is not a register")
        return None
    return Reading(
        sampled_at=sampled_at,
        measurand=name,
        value=exact,
        phase=phase,
        context=context or DEFAULT_CONTEXT,
        location=location or DEFAULT_LOCATION,
    )


def with_totals(
    readings: list[Reading], path: str = "$", notes: list[Deviation] | None = None
) -> list[Reading]:
    """Add totals of energies and powers that came per phase only.

    A total that the station tells itself wins. L1 alone, L1 and L2, or all three are
    added up (to neutral likewise, between two phases never), unless another measurand
    of the moment shows a phase that is not among them: then they are no total.

    Args:
        readings: Of one moment.
        path: Where they stood.
        notes: Gets a ``phases`` for what is no total.
    """
    per_phase = [
        one for one in readings if one.phase is not None and one.measurand in _SUMMED
    ]
    if not per_phase:
        return readings
    groups: dict[tuple[str, str, str], dict[str, set[Decimal]]] = {}
    for one in per_phase:
        key = (one.measurand, one.context, one.location)
        found = groups.setdefault(key, {}).setdefault(one.phase or "", set())
        found.add(one.value)
    totals = {
        (one.measurand, one.context, one.location)
        for one in readings
        if one.phase is None
    }
    shown = {_line(one) for one in readings} - {None}
    more: list[Reading] = []
    for key, values in groups.items():
        if key in totals:
            continue
        chosen = _whole_set(values, shown)
        if chosen is None:
            if notes is not None:
                seen = ", ".join(sorted(values))
                _note(notes, "phases", path, f"{key[0]} of {seen} is no total")
            continue
        more.append(
            Reading(
                sampled_at=readings[0].sampled_at,
                measurand=key[0],
                value=sum((min(values[phase]) for phase in chosen), _ZERO),
                context=key[1],
                location=key[2],
                provenance="+".join(chosen),
            )
        )
    return readings + more


def _line(one: Reading) -> str | None:
    """The phase that a reading shows to be there; none where it shows nothing on it."""
    phase = (one.phase or "").removesuffix("-N")
    return phase if phase in _LINES and one.value else None


def _whole_set(
    values: dict[str, set[Decimal]], shown: set[str | None]
) -> tuple[str, ...] | None:
    """The phases that make a total, or ``None``; those without ``-N`` come first."""
    for suffix in ("", "-N"):
        names = tuple(line + suffix for line in _LINES if line + suffix in values)
        lines = {name.removesuffix("-N") for name in names}
        is_clear = all(len(values[name]) == 1 for name in names)
        if names and is_clear and lines in _PHASE_SETS and shown <= lines:
            return names
    return None


def register_milliwh(
    value: Decimal | int | None, path: str, notes: list[Deviation]
) -> int | None:
    """A register in Wh as integer milliwatt-hours; ``None`` if it is not one."""
    if value is None:
        return None
    try:
        return floor_milliwh(Decimal(value))
    except ValueError:
        _note(notes, "value_range", path, f"{shown(value)} is not a register")
        return None


def register_among(readings: Sequence[Reading], context: str) -> int | None:
    """The total import register at the outlet, in milliwatt-hours.

    Args:
        readings: In the order of the message.
        context: ``Transaction.Begin`` takes the earliest where none is so marked,
            any other context the latest.
    """
    found = [
        one
        for one in readings
        if one.measurand == REGISTER
        and one.phase is None
        and one.location == DEFAULT_LOCATION
    ]
    marked = [one for one in found if one.context == context] or found
    if not marked:
        return None
    ordered = sorted(marked, key=_sampled_at)
    chosen = ordered[0] if context == "Transaction.Begin" else ordered[-1]
    return floor_milliwh(chosen.value)


def _sampled_at(one: Reading) -> datetime:
    return one.sampled_at


def _odd_reading(  # noqa: PLR0917 - called like reading
    value: Decimal,
    sampled_at: datetime,
    measurand: str,
    unit: str | None,
    multiplier: int | None,
    phase: str | None,
    context: str | None,
    location: str | None,
    path: str,
    notes: list[Deviation],
) -> Reading | None:
    """Temperatures, and units in another spelling."""
    if measurand == "Temperature" and unit in _TEMPERATURES:
        if abs(value.adjusted()) > MAX_ADJUSTED:
            _note(notes, "value_range", path, f"{shown(value)} is out of range")
            return None
        return Reading(
            sampled_at=sampled_at,
            measurand=measurand,
            value=_celsius(value, unit),
            phase=phase,
            context=context or DEFAULT_CONTEXT,
            location=location or DEFAULT_LOCATION,
        )
    for known, spelling in _SCALES:
        if known != measurand or spelling is None or unit is None:
            continue
        if spelling.casefold() == unit.strip().casefold():
            _note(notes, "unit_spelling", path, f"{shown(unit)} for {spelling}")
            return reading(
                value,
                sampled_at,
                measurand,
                spelling,
                multiplier,
                phase,
                context,
                location,
                path,
                notes,
            )
    _note(notes, "unit_mismatch", path, f"{shown(measurand)} in {shown(unit)}")
    return None


def _celsius(value: Decimal, unit: str | None) -> Decimal:
    if unit == "K":
        return value - _KELVIN
    if unit == "Fahrenheit":
        return ((value - 32) * 5 / 9).quantize(Decimal("0.01"))
    return value


def _odd_timestamp(
    text: str | None, received_at: datetime, path: str, notes: list[Deviation]
) -> datetime:
    """Lower-case letters, spaces around, a leap second."""
    if text is not None:
        tidy = text.strip().upper().replace(":60", ":59")
        if tidy != text and len(tidy) <= MAX_NUMBER_CHARS:
            _note(notes, "timestamp_format", path, f"{shown(text)} is not RFC 3339")
            return timestamp(tidy, received_at, path, notes)
    return _unusable(text, received_at, path, notes)


def _unusable(
    text: str | None, received_at: datetime, path: str, notes: list[Deviation]
) -> datetime:
    _note(
        notes,
        "timestamp_unusable",
        path,
        f"{shown(text)}: time of receipt used instead",
    )
    return received_at


def _note(notes: list[Deviation], kind: str, path: str, detail: str) -> None:
    notes.append(Deviation(kind=kind, path=path, detail=detail))
