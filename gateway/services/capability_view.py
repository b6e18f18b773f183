"""What stations can be told, as the API and the cockpit show it: alone and by model."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from gateway.domain.capability import WAYS, Capability, Feature
from gateway.domain.ids import StationId
from gateway.services.dispatch import Dispatch
from gateway.services.evse_state import UNCONTROLLED, StationState
from gateway.store.stations import StationRow

View: TypeAlias = dict[str, Any]


def capability_view(dispatch: Dispatch, station_id: StationId) -> View | None:
    """One station; ``None`` outside all cabinets."""
    runner = dispatch.runner(station_id)
    state = None if runner is None else runner.state.stations.get(station_id)
    return None if state is None else _view(state)


def models_view(dispatch: Dispatch, entries: Iterable[StationRow]) -> list[View]:
    """By vendor, model and firmware: which stations, and what any of them refuses."""
    found: dict[tuple[str, str, str], list[tuple[StationId, Capability]]] = {}
    for entry in entries:
        runner = dispatch.runner(entry.station_id)
        if runner is None or entry.station_id not in runner.state.stations:
            continue
        key = (entry.vendor or "", entry.model or "", entry.firmware or "")
        known = runner.state.stations[entry.station_id].capability
        found.setdefault(key, []).append((entry.station_id, known))
    return [
        {
            "vendor": vendor or None,
            "model": model or None,
            "firmware": firmware or None,
            "stations": [station_id for station_id, _ in stations],
            "refused": {
                feature.value: sum(feature in known.refused for _, known in stations)
                for feature in Feature
                if any(feature in known.refused for _, known in stations)
            },
            "accepted": {
                feature.value: sum(feature in known.accepted for _, known in stations)
                for feature in Feature
                if any(feature in known.accepted for _, known in stations)
            },
            "at_zero": sorted({known.at_zero.value for _, known in stations}),
        }
        for (vendor, model, firmware), stations in sorted(found.items())
    ]


def _view(state: StationState) -> View:
    known = state.capability
    n_evse = len(state.station.evses)
    way, default = known.way(n_evse), known.default_way(n_evse)
    return {
        "controlled": state.trust.doubt != UNCONTROLLED,
        "way": None if way is None else way.value,
        "default_way": None if default is None else default.value,
        "units": sorted({one.unit.value for one in state.evses}),
        "kind": Feature.RELATIVE.value if known.is_relative else Feature.ABSOLUTE.value,
        "ways_refused": [one.value for one in WAYS if one in known.refused],
        "refused": sorted(one.value for one in known.refused),
        "accepted": sorted(one.value for one in known.accepted),
        "max_stack_level": known.max_level,
        "max_periods": known.max_periods,
        "at_zero": known.at_zero.value,
        "sources": {name: source.value for name, source in known.sources.items()},
    }
