"""The site as it is now, in one picture: for the API, the cockpit and drivers.

Reads the store for facts, the links for who is online and the dispatcher for limits and
plans; computes nothing that is billed or sent.
"""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from gateway.clock import Clock
from gateway.config import station_to_json
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.phases import PerPhase, rotation_text
from gateway.domain.session import Session
from gateway.domain.topology import Evse, Position, Station
from gateway.errors import RequestError
from gateway.services import feasibility, site_totals
from gateway.services.capability_view import capability_view
from gateway.services.dispatch import Dispatch
from gateway.services.evse_rows import (
    promise_words,
    unbelieved,
    unwired,
    unwired_evse,
    with_session,
)
from gateway.services.feasibility import Feasibility
from gateway.services.group_view import CabinetView, PlanView
from gateway.services.plan_json import binding_json, row_json
from gateway.services.stations import StationDirectory
from gateway.store import clocks
from gateway.store.monitors import OPEN_ALARMS
from gateway.store.queries import Queries
from gateway.store.records import EvseStatus
from gateway.store.stations import StationRow
from gateway.store.times import optional_text

View = dict[str, Any]

ALARMS_FOR = timedelta(days=1)
"""Site time for which an alarm that nothing clears is shown."""


class LinkState(Protocol):
    """What is asked of the links."""

    def is_online(self, station_id: StationId) -> bool:
        """Whether a station is connected."""
        ...

    def heard(self, station_id: StationId) -> tuple[datetime, str] | None:
        """When a station last said something since the start, and its OCPP version."""
        ...

    def connection(self, station_id: StationId) -> Mapping[str, object] | None:
        """What the live link uses: address, security profile, TLS, certificate."""
        ...


class Overview:
    """Builds views. Loop thread only."""

    def __init__(
        self,
        *,
        directory: StationDirectory,
        queries: Queries,
        links: LinkState,
        dispatch: Dispatch,
        clock: Clock,
        ledger: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._directory = directory
        self._queries = queries
        self._links = links
        self._dispatch = dispatch
        self._clock = clock
        self._ledger = ledger

    @property
    def name(self) -> str:
        """What the site is called."""
        return self._directory.site.name

    @property
    def timezone(self) -> str:
        """Where its clocks are, IANA."""
        return self._directory.site.timezone

    def is_online(self, station_id: StationId) -> bool:
        """Whether a station is connected."""
        return self._links.is_online(station_id)

    def evse(self, station_id: StationId, evse_id: int) -> Evse | None:
        """An EVSE as wired."""
        return self._directory.site.evse(station_id, evse_id)

    async def stations(self) -> list[View]:
        """Every registered station with its EVSEs, by id."""
        statuses = _by_evse(await self._queries.evse_statuses())
        sessions = _newest_by_evse(await self._queries.open_sessions())
        promises = await self._promises()
        heard = _heard_of(statuses, sessions)
        alarms = await self._alarms()
        return [
            self._station(entry, statuses, sessions, promises, heard)
            | {"alarms": alarms.get(entry.station_id, [])}
            for entry in self._directory.all()
        ]

    async def station(self, station_id: StationId) -> View:
        """One station, with how far its clock is off (``clock_offset_s``).

        Raises:
            RequestError: 404 unknown.
        """
        entry = self._directory.require(station_id)
        offsets = await self._queries.rows(clocks.OFFSET_MS, (entry.station_id,))
        statuses = _by_evse(await self._queries.evse_statuses(station_id))
        sessions = _newest_by_evse(await self._queries.open_sessions(station_id))
        promises = await self._promises()
        heard = _heard_of(statuses, sessions)
        alarms = await self._alarms()
        return self._station(entry, statuses, sessions, promises, heard) | {
            "alarms": alarms.get(entry.station_id, []),
            "clock_offset_s": offsets[0][0] / 1000 if offsets else None,
            "capability": capability_view(self._dispatch, entry.station_id),
        }

    async def cabinets(self) -> list[View]:
        """Every cabinet whose group has started, as the configuration orders them."""
        views = [self._dispatch.cabinet(c.id) for c in self._directory.site.cabinets]
        return [_cabinet_json(view) for view in views if view is not None]

    async def cabinet(self, cabinet_id: str) -> View:
        """One cabinet.

        Raises:
            RequestError: 404 unknown.
        """
        return self._cabinet(CabinetId(cabinet_id))

    def feasibility(
        self,
        session: Session,
        *,
        energy_wh: float | None,
        departure_at: datetime | None,
    ) -> Feasibility | None:
        """What a changed request would come to, by the newest plan."""
        return feasibility.of_session(
            self._dispatch,
            session,
            energy_wh=energy_wh,
            departure_at=departure_at,
            now=self._clock.now(),
        )

    async def plan(self, cabinet_id: str) -> View:
        """The current plan of a cabinet's group.

        Raises:
            RequestError: 404 unknown cabinet, or no plan yet.
        """
        self._cabinet(CabinetId(cabinet_id))
        plan = self._dispatch.plan(CabinetId(cabinet_id))
        if plan is None:
            raise RequestError(404, "no_plan", "no plan has been made yet")
        return await self._plan(plan)

    async def site(self) -> View:
        """The site with everything on its map, and its totals (`site_totals`)."""
        site = self._directory.site
        stations = await self.stations()
        cabinets = await self.cabinets()
        readings = await self._readings()
        now = self._clock.now()
        totals = site_totals.charging(stations, now)
        return {
            "name": site.name,
            "timezone": site.timezone,
            "position": _position(site.position),
            "grid": site.grid.value,
            "nominal_v": site.nominal_v,
            "now": optional_text(now),
            "speed": self._clock.speed,
            "n_station": len(stations),
            "n_online": sum(station["online"] for station in stations),
            "n_session": totals.n_session,
            "n_left_out": totals.n_left_out,
            "power_w": totals.power_w,
            "allowed_w": totals.allowed_w,
            "supply_w": site_totals.supply_w(cabinets),
            "limit_w": site_totals.supply_limit_w(cabinets, site.phase_v),
            "pv_w": site_totals.produced_w(
                [
                    (readings.get(pv.id), timedelta(seconds=pv.stale_after_s))
                    for pv in site.pvs
                ],
                now,
            ),
            "ledger": dict(self._ledger()),
            "cabinets": cabinets,
            "stations": stations,
            "loads": [
                {
                    "load_id": load.id,
                    "cabinet_id": load.cabinet_id,
                    "phases": rotation_text(load.phases),
                    "worst_case_a": load.worst_case_da / 10,
                    "stale_after_s": load.stale_after_s,
                    "reading": readings.get(load.id),
                }
                for load in site.loads
            ],
            "pv": [
                {
                    "pv_id": pv.id,
                    "cabinet_id": pv.cabinet_id,
                    "peak_w": pv.peak_w,
                    "position": _position(pv.position),
                    "reading": readings.get(pv.id),
                }
                for pv in site.pvs
            ],
            "batteries": [
                {
                    "battery_id": battery.id,
                    "cabinet_id": battery.cabinet_id,
                    "capacity_wh": battery.capacity_wh,
                    "max_charge_w": battery.max_charge_w,
                    "max_discharge_w": battery.max_discharge_w,
                    "position": _position(battery.position),
                    "reading": readings.get(battery.id),
                }
                for battery in site.batteries
            ],
        }

    async def _alarms(self) -> dict[str, list[View]]:
        """Open alarms of the last day by station, the gravest first."""
        since = optional_text(self._clock.now() - ALARMS_FOR)
        found: dict[str, list[View]] = {}
        for (
            station_id,
            component,
            variable,
            value,
            severity,
            at,
        ) in await self._queries.rows(OPEN_ALARMS, (since,)):
            found.setdefault(station_id, []).append(
                {
                    "component": component,
                    "variable": variable,
                    "value": value,
                    "severity": severity,
                    "occurred_at": at,
                }
            )
        return found

    def _station(
        self,
        entry: StationRow,
        statuses: Mapping[EvseRef, EvseStatus],
        sessions: Mapping[EvseRef, Session],
        promises: Mapping[str, str],
        heard: Mapping[StationId, Collection[EvseRef]],
    ) -> View:
        wired = self._directory.site.station(entry.station_id)
        last = self._links.heard(entry.station_id)
        seen_at, version = last or (entry.last_seen_at, entry.ocpp_version)
        spoken_of = heard.get(entry.station_id, ())
        evses = [
            *(self._evse(e, statuses, sessions, promises) for e in _evses(wired)),
            *(
                unwired_evse(ref, statuses.get(ref), sessions.get(ref))
                for ref in unwired(wired, spoken_of, sessions)
            ),
        ]
        return {
            "station_id": entry.station_id,
            "source": entry.source,
            "online": self._links.is_online(entry.station_id),
            "ocpp_version": version,
            "vendor": entry.vendor,
            "model": entry.model,
            "serial": entry.serial,
            "firmware": entry.firmware,
            "registration": entry.registration,
            "security_profile": entry.security_profile,
            "password_form": entry.password_form,
            "restart_needed_at": optional_text(entry.restart_needed_at),
            "connection": self._links.connection(entry.station_id),
            "items_per_message": entry.items_per_message,
            "last_seen_at": optional_text(seen_at),
            "cabinet_id": None if wired is None else wired.cabinet_id,
            "path": [] if wired is None else self._path(wired),
            "managed": entry.managed,
            "position": None if wired is None else _position(wired.position),
            "definition": None if wired is None else station_to_json(wired),
            "evses": evses,
            "unbelieved_evses": unbelieved(
                spoken_of, [evse["evse_id"] for evse in evses]
            ),
        }

    def _path(self, station: Station) -> list[str]:
        """The cabinets that feed a station, innermost first."""
        if station.cabinet_id is None:
            return []
        return [str(c.id) for c in self._directory.site.path(station.cabinet_id)]

    def _evse(
        self,
        evse: Evse,
        statuses: Mapping[EvseRef, EvseStatus],
        sessions: Mapping[EvseRef, Session],
        promises: Mapping[str, str],
    ) -> View:
        key = _key(evse.ref.station_id, evse.ref.evse_id)
        status, session = statuses.get(key), sessions.get(key)
        now = self._dispatch.evse(evse.ref.station_id, evse.ref.evse_id)
        limit_da = None if now is None else now.limit_da
        view: View = {
            "evse_id": evse.ref.evse_id,
            "current_type": evse.current_type.value,
            "phases": rotation_text(evse.phases),
            "availability": None if status is None else status.availability,
            "charging_state": None if status is None else status.charging_state,
            "error_code": None if status is None else status.error_code,
            "power_w": 0.0,
            "limit_w": None if limit_da is None else round(evse.power_w(limit_da), 1),
            "proven": now is not None and now.is_proven,
            "why": None if now is None else now.why,
            "binding": None if now is None else binding_json(now.binding),
            "limit_a": None if limit_da is None else limit_da / 10,
            "rated_w": evse.rating_w,
        }
        promise = None if session is None else promises.get(session.session_id)
        return with_session(view, session, promise)

    def _cabinet(self, cabinet_id: CabinetId) -> View:
        now = self._dispatch.cabinet(cabinet_id)
        if now is None:
            raise RequestError(404, "unknown_cabinet", f"no cabinet {cabinet_id!r}")
        return _cabinet_json(now)

    async def _plan(self, plan: PlanView) -> View:
        sessions = {s.session_id: s for s in await self._queries.open_sessions()}
        rows = [row_json(row, sessions.get(row.session_id)) for row in plan.sessions]
        return {
            "plan_id": plan.plan_id,
            "group_id": plan.group_id,
            "made_at": optional_text(plan.made_at),
            "outcome": plan.outcome,
            "engine": plan.engine,
            "why": plan.why,
            "start": optional_text(plan.start),
            "step_s": plan.step_s,
            "price_micro_per_kwh": list(plan.price_micro_per_kwh),
            "congestion": [binding_json(one) for one in plan.bindings],
            "rows": rows,
        }

    async def _promises(self) -> dict[str, str]:
        rows = await self._queries.rows(
            "SELECT session_id, energy_wh, shortfall_wh, departure_at, is_default,"
            " is_at_risk FROM session_promise JOIN session USING (session_id)"
            " WHERE phase = 'running'"
        )
        site_zone = self._directory.site.timezone
        return {row[0]: promise_words(row, site_zone) for row in rows}

    async def _readings(self) -> dict[str, View]:
        rows = await self._queries.rows(
            "SELECT load_id, measured_at, current_da, power_w FROM load_reading"
        )
        return {
            row[0]: {
                "at": row[1],
                "current_a": _amps(row[2]),
                "power_w": row[3],
            }
            for row in rows
        }


def _cabinet_json(now: CabinetView) -> View:
    return {
        "cabinet_id": now.cabinet_id,
        "parent": now.parent,
        "mode": now.mode.value,
        "state": now.state.value,
        "limit_a": _triple_a(now.limit_da),
        "limit_w": now.limit_w,
        "margin_a": now.margin_da / 10,
        "load_a": _triple_a(now.load_da),
        "other_a": _triple_a(now.other_da),
        "load_w": now.load_w,
        "load_source": now.load_source,
        "worst_case_a": _triple_a(now.worst_case_da),
        "headroom_a": _triple_a(now.headroom_da),
        "unproven": [f"{ref.station_id}/{ref.evse_id}" for ref in now.unproven],
        "gross_limit_a": _triple_a(now.gross_da),
        "export_limit_a": _triple_a(now.export_da),
        "feeder_a": _triple_a(now.feeder_da),
        "withheld_a": _triple_a(now.withheld_da),
        "note": now.note,
    }


def _triple_a(current_da: PerPhase | None) -> list[float] | None:
    return None if current_da is None else [value / 10 for value in current_da]


def _key(station_id: StationId, evse_id: int) -> EvseRef:
    return EvseRef(station_id=station_id, evse_id=evse_id)


def _evses(wired: Station | None) -> tuple[Evse, ...]:
    return () if wired is None else wired.evses


def _heard_of(
    statuses: Mapping[EvseRef, EvseStatus], sessions: Mapping[EvseRef, Session]
) -> dict[StationId, set[EvseRef]]:
    """The EVSEs that stations spoke of, by station: one pass for the whole site."""
    heard: dict[StationId, set[EvseRef]] = {}
    for ref in (*statuses, *sessions):
        heard.setdefault(ref.station_id, set()).add(ref)
    return heard


def _by_evse(rows: list[EvseStatus]) -> dict[EvseRef, EvseStatus]:
    """The state of each EVSE; of several connectors the one that says most."""
    found: dict[EvseRef, EvseStatus] = {}
    for row in rows:
        key = _key(StationId(row.station_id), row.evse_id)
        known = found.get(key)
        if known is None or known.availability == "available":
            found[key] = row
    return found


def _newest_by_evse(sessions: list[Session]) -> dict[EvseRef, Session]:
    """The running session of each EVSE; the latest where a station left several."""
    ordered = sorted(sessions, key=lambda s: (s.started_at is not None, s.started_at))
    return {_key(s.station_id, s.evse_id): s for s in ordered}


def _position(position: Position | None) -> dict[str, float] | None:
    if position is None:
        return None
    return {
        "latitude_deg": position.latitude_deg,
        "longitude_deg": position.longitude_deg,
    }


def _amps(text: str | None) -> list[float] | None:
    return None if text is None else [value / 10 for value in json.loads(text)]
