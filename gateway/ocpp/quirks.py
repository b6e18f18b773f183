"""What is known of vendors' and models' deviations: what may be asked of them.

A row is a fact about stations in the field, not a preference. Whoever plans limits asks
``quirks_of`` once per boot; an unknown station has no quirks.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.domain.limits import LimitUnit, Purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How a model departs from the specification.

    Attributes:
        units: Units that it understands in charging schedules.
        purposes: Profile purposes that have an effect.
        max_stack_level: Highest stack level that it takes; ``None`` if unknown.
        is_relative: It takes schedules only that count from the start of the session.
        clock_tolerance: How far its clock may be off without an alarm.
        may_read_measurands: False where asking for the list of measurands has made
            stations reboot.
        may_read_configuration: False where reading all settings does so.
        min_trigger_interval: Shortest time between two TriggerMessages.
    """

    units: frozenset[LimitUnit] = frozenset(LimitUnit)
    purposes: frozenset[Purpose] = frozenset(Purpose)
    max_stack_level: int | None = None
    is_relative: bool = False
    clock_tolerance: timedelta = timedelta(seconds=60)
    may_read_measurands: bool = True
    may_read_configuration: bool = True
    min_trigger_interval: timedelta = timedelta(seconds=5)


NONE: Final = Quirks()

_TABLE: Final[tuple[tuple[str, str, Quirks], ...]] = (
    (
        "abb",
        "terra",
        Quirks(
            max_stack_level=0,
            may_read_measurands=False,
            may_read_configuration=False,
        ),
    ),
    ("abb", "", Quirks(max_stack_level=0)),
    ("go-e", "", Quirks(units=frozenset({LimitUnit.A}))),
    ("growatt", "", Quirks(clock_tolerance=timedelta(hours=14))),
    (
        "grizzl-e",
        "",
        Quirks(purposes=frozenset({Purpose.SESSION, Purpose.DEFAULT})),
    ),
    ("huawei", "", Quirks(units=frozenset({LimitUnit.W}))),
    ("mennekes", "", Quirks(min_trigger_interval=timedelta(seconds=30))),
    ("wallbox", "", Quirks(is_relative=True)),
)
"""Vendor and model prefixes without case; the first row that fits."""


def quirks_of(vendor: str, model: str) -> Quirks:
    """The quirks of a station, by what it says at boot."""
    for vendor_prefix, model_prefix, quirks in _TABLE:
        if vendor.casefold().startswith(vendor_prefix) and model.casefold().startswith(
            model_prefix
        ):
            return quirks
    return NONE
