"""What a station can be told, put together from its model, its word and its deeds."""

from typing import Final

from gateway.domain.capability import (
    AtZero,
    Capability,
    Feature,
    Learnt,
    Source,
    unit_feature,
)
from gateway.domain.limits import LimitUnit, Purpose
from gateway.ocpp.limit_words import (
    COMPONENTS,
    ENDS_UNPLUGGED,
    KEYS,
    VARIABLES,
    told_limits,
)
from gateway.ocpp.quirks import Quirks, quirks_of
from gateway.store.capability import CapabilityRow, ToldBy

TOLD_BY: Final = ToldBy(
    keys=(*KEYS, ENDS_UNPLUGGED[0]),
    components=COMPONENTS,
    variables=(*VARIABLES, ENDS_UNPLUGGED[1]),
)

_PURPOSES: Final = {
    Purpose.SESSION: (Feature.SESSION,),
    Purpose.DEFAULT: (Feature.EVSE_DEFAULT, Feature.STATION_DEFAULT),
    Purpose.STATION_MAX: (Feature.STATION_MAX,),
}


def learnt_of(row: CapabilityRow) -> Learnt:
    """What was learned with the firmware that the station runs now.

    Of a station that does not say what it runs everything counts.
    """
    known = row.learnt.firmware
    is_void = None not in {known, row.firmware} and known != row.firmware
    if is_void or known is None:
        kept = Learnt() if is_void else row.learnt
        return Learnt(
            firmware=row.firmware,
            refused=kept.refused,
            accepted=kept.accepted,
            at_zero=kept.at_zero,
        )
    return row.learnt


def capability_of(row: CapabilityRow, learnt: Learnt) -> Capability:
    """Everything that is known; what a station takes in deed outweighs its word."""
    quirks = quirks_of(row.vendor, row.model)
    told = told_limits(row.settings)
    sources: dict[str, Source] = {}
    refused: set[Feature] = set()

    def note(features: frozenset[Feature], source: Source) -> None:
        refused.update(features)
        sources.update(dict.fromkeys(features, source))

    note(_by_model(quirks), Source.MODEL)
    if told.units is not None:
        missing = frozenset(LimitUnit) - told.units
        note(frozenset(map(unit_feature, missing)), Source.SETTINGS)
    refused -= learnt.accepted
    note(learnt.refused, Source.ANSWERS)
    max_level, at_zero = told.max_level, learnt.at_zero
    if quirks.max_stack_level is not None:
        max_level = quirks.max_stack_level
        sources["max_level"] = Source.MODEL
    elif max_level is not None:
        sources["max_level"] = Source.SETTINGS
    if told.max_periods is not None:
        sources["max_periods"] = Source.SETTINGS
    if Feature.ZERO in refused:
        at_zero = AtZero.REFUSED
        sources["at_zero"] = sources[Feature.ZERO]
    elif at_zero is not AtZero.UNKNOWN:
        sources["at_zero"] = Source.SESSIONS
    return Capability(
        refused=frozenset(refused),
        accepted=learnt.accepted,
        max_level=max_level,
        max_periods=told.max_periods,
        at_zero=at_zero,
        ends_unplugged=told.ends_unplugged is True,
        sources={
            name: sources[name] for name in sorted(sources) if _is_so(name, refused)
        },
    )


def _by_model(quirks: Quirks) -> frozenset[Feature]:
    found = {unit_feature(unit) for unit in frozenset(LimitUnit) - quirks.units}
    for purpose in frozenset(Purpose) - quirks.purposes:
        found.update(_PURPOSES[purpose])
    if quirks.is_relative:
        found.add(Feature.ABSOLUTE)
    return frozenset(found)


def _is_so(name: str, refused: set[Feature]) -> bool:
    return name in refused or name in {"max_level", "max_periods", "at_zero"}
