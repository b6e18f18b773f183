"""What a group of cabinets is taken to draw, and what its limits leave, over time.

Reads what is known of EVSEs, stations and other equipment; `services.group_state`
changes it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.domain import envelope as env
from gateway.domain import spare
from gateway.domain.capability import AtZero, Feature
from gateway.domain.envelope import Draw, Holding, Staircase, Violation, unix_s
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.topology import Group, Mode, Site
from gateway.services import loads, phase_watch
from gateway.services.evse_state import (
    Departed,
    EvseState,
    StationState,
    Trust,
    key_of,
)
from gateway.services.loads import LoadReading, Threshold
from gateway.services.wishes import unit_of


class GroupEnvelopes:
    """What is known of a group, and what follows from it. Loop thread only."""

    def __init__(
        self,
        group: Group,
        *,
        site: Site,
        trusts: Mapping[StationId, Trust],
        modes: Mapping[CabinetId, Mode] | None = None,
        thresholds: Sequence[Threshold] = (),
        readings: Mapping[str, LoadReading] | None = None,
    ) -> None:
        self.group = group
        self.site = site
        self.modes = {cabinet.id: cabinet.mode for cabinet in group.cabinets}
        self.modes.update(modes or {})
        self.thresholds = tuple(thresholds)
        self.readings = dict(readings or {})
        self.stations: dict[StationId, StationState] = {}
        self.evses: dict[EvseRef, EvseState] = {}
        self.paths: dict[EvseRef, tuple[CabinetId, ...]] = {}
        self.departed: tuple[Departed, ...] = ()
        self.clock_doubt_s = 0
        self.withheld: Mapping[CabinetId, Draw] = {}
        ids = {cabinet.id for cabinet in group.cabinets}
        for station in group.stations:
            trust = trusts.get(station.id, Trust(station_id=station.id))
            state = StationState(station=station, trust=trust)
            self.stations[station.id] = state
            for evse in station.evses:
                if evse.cabinet_id not in ids:
                    continue
                one = EvseState(evse=evse, unit=unit_of(station, evse))
                one.is_unsettled = not self.is_obedient(state)
                state.evses.append(one)
                ref = key_of(evse.ref)
                self.evses[ref] = one
                self.paths[ref] = tuple(c.id for c in site.path(evse.cabinet_id))
        for cabinet in group.cabinets:
            self.paths[spare.spare_ref(cabinet.id)] = (cabinet.id,)

    # What follows from the state

    def holding(self, one: EvseState) -> Holding:
        """What decides the envelope of an EVSE."""
        station = self.stations[one.evse.ref.station_id]
        is_trusted = not one.is_unsettled and self.is_obedient(station)
        return one.kept.holding(one.limits, is_trusted=is_trusted)

    def envelopes(self, now: datetime) -> dict[EvseRef, Staircase]:
        """What counts for every EVSE from ``now`` on, with those that departed.

        Its upper bound; where its car surely uses some phases only, what it draws on
        these, with room behind each cabinet for one car that does not keep to them.
        """
        found: dict[EvseRef, Staircase] = {}
        freed: dict[EvseRef, tuple[Staircase, Staircase]] = {}
        from_s = unix_s(now)
        for ref, one in self.evses.items():
            own = self.own_phases(one, now)
            if own is None:
                found[ref] = self.envelope(one, now)
                continue
            freed[ref] = one.kept.on_own_phases(
                one.evse,
                self.holding(one),
                own,
                skew_s=self.skew_s(one),
                from_s=from_s,
            )
            found[ref] = freed[ref][1]
        found.update((one.ref, one.stairs) for one in self.departed)
        if freed:
            found.update(spare.spares(freed, self.paths, self.margins(), from_s=from_s))
        return found

    def margins(self) -> dict[CabinetId, int]:
        """What is kept free behind each cabinet, 0.1 A per phase."""
        return {cabinet.id: cabinet.margin_da for cabinet in self.group.cabinets}

    def own_phases(self, one: EvseState, now: datetime) -> spare.OwnPhases | None:
        """The phases on which an EVSE is counted now; ``None``: all that it has.

        Only where limits end with their session: they bind no other car then.
        """
        own = phase_watch.own_phases(self.site, one, now)
        return own if own is not None and self._binds_one_car(one) else None

    def planned_phases(self, one: EvseState, now: datetime) -> spare.OwnPhases | None:
        """The phases on which a plan counts an EVSE; ``None``: all that it has."""
        own = phase_watch.likely_phases(self.site, one, now)
        return own if own is not None and self._binds_one_car(one) else None

    def envelope(self, one: EvseState, now: datetime) -> Staircase:
        """Upper bound of one EVSE from ``now`` on, whatever its car does."""
        return one.kept.of(
            one.evse,
            self.holding(one),
            skew_s=self.skew_s(one),
            from_s=unix_s(now),
        )

    def rooms(self, now: datetime) -> dict[CabinetId, Staircase]:
        """What limits leave after margins and other loads, from ``now`` on.

        Less what the fast loop withholds because a feeder meter shows too much.
        """
        rooms = loads.rooms(
            self.group,
            thresholds=self.thresholds,
            readings=self.readings,
            now=now,
            phase_v=self.site.phase_v,
        )
        return loads.less(rooms, self.withheld, self.group) if self.withheld else rooms

    def rooms_with(
        self, threshold: Threshold, now: datetime
    ) -> dict[CabinetId, Staircase]:
        """The rooms if one more threshold were set."""
        return loads.rooms(
            self.group,
            thresholds=(*self.thresholds, threshold),
            readings=self.readings,
            now=now,
            phase_v=self.site.phase_v,
        )

    def violations(self, now: datetime) -> tuple[Violation, ...]:
        """Where the envelopes do not fit, now or later."""
        return env.violations(
            self.envelopes(now), self.paths, self.rooms(now), from_s=unix_s(now)
        )

    def is_trusted(self, one: EvseState) -> bool:
        """Whether less than the rating of an EVSE counts."""
        if one.is_unsettled:
            return False
        station = self.stations[one.evse.ref.station_id]
        return self.is_obedient(station) and env.has_safe_default(one.limits)

    def is_controlled(self, one: EvseState) -> bool:
        """Whether limits are sent for an EVSE: managed, and no cabinet only advises."""
        station = self.stations[one.evse.ref.station_id].station
        path = self.paths[key_of(one.evse.ref)]
        return station.managed and all(self.modes[c] is Mode.CONTROL for c in path)

    def is_advised(self, one: EvseState) -> bool:
        """Whether plans are made for an EVSE, carried out or not."""
        return self.stations[one.evse.ref.station_id].station.managed

    def is_obedient(self, state: StationState) -> bool:
        """Whether a station is proven, and holds nothing but our limits."""
        return (
            state.station.managed
            and state.trust.is_proven
            and state.trust.leftovers_known
        )

    def never_pauses(self, one: EvseState) -> bool:
        """Whether a session shall not be paused: asked for, or it would end."""
        known = self.stations[one.evse.ref.station_id].capability
        is_wanted = one.need is not None and not one.need.may_pause
        return is_wanted or known.at_zero is AtZero.ENDS

    def _binds_one_car(self, one: EvseState) -> bool:
        """Whether limits of a session bind nobody else, and are obeyed."""
        station = self.stations[one.evse.ref.station_id]
        way = station.capability.way(len(station.station.evses))
        return way is Feature.SESSION and self.is_trusted(one)

    def skew_s(self, one: EvseState) -> int:
        """How far the clock of an EVSE's station may be from ours, site seconds."""
        station = self.stations[one.evse.ref.station_id].station
        return station.clock_skew_s + self.clock_doubt_s
