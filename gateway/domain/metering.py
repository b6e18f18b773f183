"""What the readings of one instant mean: which is the register, which the power.

Nothing is dropped and nothing made up: what has no place of its own is kept as text,
and a register that was added up from phases says from which.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from gateway.domain.events import (
    CURRENT,
    POWER,
    REGISTER,
    SAMPLED,
    SOC,
    SessionUpdated,
)
from gateway.domain.units import MAX_REGISTER_WH, floor_milliwh

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from gateway.domain.events import Reading
    from gateway.domain.session import SessionEvent

BEGIN: Final = "Transaction.Begin"
END: Final = "Transaction.End"
CLOCK: Final = "Sample.Clock"
INTERVAL: Final = "Energy.Active.Import.Interval"
CLOCK_MARK: Final = f"#{CLOCK}"
"""Behind the label of a clock-aligned interval: both kinds count the same energy."""
SUMMED_LABEL: Final = f"{REGISTER}#summed"
"""Label under which a sample says what its register was added up from."""

MAX_PLAUSIBLE: Final = 10**9
"""Larger values of power, current or charge are kept as text only."""
FIRST_TRUSTED_YEAR: Final = 2000

OUTLET: Final = "Outlet"
INLET: Final = "Inlet"


Told: TypeAlias = tuple[bool, bool, bool]
NONE_TOLD: Final = (False, False, False)
ALL_TOLD: Final = (True, True, True)


class Sample(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All readings of one instant, the usual ones sorted out.

    Attributes:
        register_milliwh: Total import register, floored; ``None`` when not given.
        power_w: Total active power, W.
        current_a: L1..L3, A. A value without a phase counts on all three: that is
            the safe side for a limit. One that was not told stands as 0.
        current_told: Of each of L1..L3 whether its own current was told.
        power_told: Of each of L1..L3 whether ``power_w`` counts what flows there.
        others: The remaining readings as ``measurand[/phase][@location] -> value``,
            exact text; `SUMMED_LABEL` and `CLOCK_MARK` are among them.
    """

    sampled_at: datetime
    context: str
    register_milliwh: int | None = None
    power_w: float | None = None
    current_a: tuple[float, float, float] | None = None
    current_told: Told = NONE_TOLD
    power_told: Told = NONE_TOLD
    soc_percent: float | None = None
    others: tuple[tuple[str, str], ...] = ()


def samples_in(event: SessionEvent) -> tuple[Sample, ...]:
    """The samples of an event, sorted by the adapter or here."""
    if isinstance(event, SessionUpdated) and event.samples:
        return event.samples
    return samples_of(event.readings)


def samples_of(readings: Sequence[Reading]) -> tuple[Sample, ...]:
    """Group readings by their instant, in time order."""
    if not readings:
        return ()
    first_at = readings[0].sampled_at
    for reading in readings:
        if reading.sampled_at != first_at:
            break
    else:
        return (_sample(first_at, readings),)
    groups: dict[datetime, list[Reading]] = {}
    for reading in readings:
        groups.setdefault(reading.sampled_at, []).append(reading)
    return tuple(_sample(at, groups[at]) for at in sorted(groups))


def _sample(at: datetime, readings: Sequence[Reading]) -> Sample:
    register: int | None = None
    power_w: float | None = None
    soc_percent: float | None = None
    currents: list[float | None] = [None, None, None]
    told = [False, False, False]
    power_told: Told = NONE_TOLD
    context = readings[0].context
    others: list[tuple[str, str]] = []
    place = _meter_place(readings)
    for reading in readings:
        value = reading.value
        role, label = _role(reading.measurand, reading.phase, reading.location, place)
        if role == _OTHER:
            others.append((_label_of(reading, label), str(value)))
        elif role == _REGISTER and register is None and _is_register(value):
            register, context = int(floor_milliwh(value)), reading.context
            if reading.provenance != SAMPLED:
                others.append((SUMMED_LABEL, reading.provenance))
        elif not _is_plausible(value):
            others.append((label, str(value)))
        elif role <= _L3:
            currents[role], told[role] = float(value), True
        elif role == _EACH_PHASE:
            each = float(value)
            currents = [each if known is None else known for known in currents]
        elif role == _POWER and power_w is None:
            power_w, power_told = float(value), _summed_from(reading.provenance)
        elif role == _SOC and soc_percent is None:
            soc_percent = float(value)
        else:
            others.append((label, str(value)))
    has_current = currents != _NO_CURRENT
    l1, l2, l3 = (0.0 if value is None else value for value in currents)
    return Sample(
        sampled_at=at,
        context=context,
        register_milliwh=register,
        power_w=power_w,
        current_a=(l1, l2, l3) if has_current else None,
        current_told=(told[0], told[1], told[2]),
        power_told=power_told,
        soc_percent=soc_percent,
        others=tuple(others),
    )


_L1, _L2, _L3, _EACH_PHASE, _REGISTER, _POWER, _SOC, _OTHER = range(8)
"""What a reading is in its `Sample`; the phases are indices into its currents."""
_PHASES: Final = {
    None: _EACH_PHASE,
    "L1": _L1,
    "L2": _L2,
    "L3": _L3,
    "L1-N": _L1,
    "L2-N": _L2,
    "L3-N": _L3,
}
_NO_CURRENT: Final = [None, None, None]


@lru_cache(maxsize=64)
def _summed_from(provenance: str) -> Told:
    """Of which phases a total is: of all that there are where the station told it."""
    if provenance == SAMPLED:
        return ALL_TOLD
    found = {_PHASES.get(name) for name in provenance.split("+")}
    return _L1 in found, _L2 in found, _L3 in found


@lru_cache(maxsize=1024)  # a station sends the same few again and again
def _role(
    measurand: str, phase: str | None, location: str, place: str
) -> tuple[int, str]:
    """What a reading is, where the meter sits at ``place``; and what to call it."""
    role = _OTHER
    if measurand == SOC:
        role = _SOC
    elif location == place and measurand == CURRENT:
        role = _PHASES.get(phase, _OTHER)
    elif location == place and phase is None:
        role = {REGISTER: _REGISTER, POWER: _POWER}.get(measurand, _OTHER)
    label = measurand if phase is None else f"{measurand}/{phase}"
    return role, label if location == OUTLET else f"{label}@{location}"


def _label_of(reading: Reading, label: str) -> str:
    """Both kinds of intervals count the same energy, so they must not be confused."""
    is_clock = reading.context == CLOCK and reading.measurand == INTERVAL
    return label + CLOCK_MARK if is_clock else label


def _is_register(value: Decimal) -> bool:
    return value.is_finite() and 0 <= value <= MAX_REGISTER_WH


def _is_plausible(value: Decimal) -> bool:
    return value.is_finite() and -MAX_PLAUSIBLE <= value <= MAX_PLAUSIBLE


def _meter_place(readings: Sequence[Reading]) -> str:
    """Where the meter sits: the outlet, or what this station has instead."""
    for reading in readings:
        if reading.location == OUTLET:
            return OUTLET
    return INLET
