"""Keeps every cabinet under its limit: one runner per group, and what operators ask.

A group is a root cabinet with its subtree; groups are independent. Dispatch routes the
bus to their runners, restarts nothing and never blocks ingest: all it does is put
notices into inboxes.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from gateway.bus import (
    FactCommitted,
    Lagged,
    LinkChanged,
    LoadMeasured,
    Notice,
    RequestChanged,
    SettingChanged,
    Subscription,
)
from gateway.domain import envelope as env
from gateway.domain.envelope import Holding
from gateway.domain.events import StationBooted
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitSchedule
from gateway.domain.session import Session
from gateway.errors import RequestError, StoreError
from gateway.services import group_limits, group_store, group_view
from gateway.services.dispatch_ports import Ports
from gateway.services.evse_state import (
    UNCONTROLLED,
    EvseState,
    Trust,
    key_of,
)
from gateway.services.group_index import Groups
from gateway.services.group_items import (
    OperatorCall,
    ProbeAsked,
    ProbeOver,
    Reload,
    ResendAsked,
)
from gateway.services.group_runner import GroupRunner
from gateway.services.group_view import CabinetView, EvseView, GroupView, PlanView
from gateway.services.operator_calls import may_change_draw, would_exceed
from gateway.services.operator_settings import OperatorSettings
from gateway.store import capability
from gateway.store import limits as rows

VERDICT_WITHIN_S: Final = 10.0
"""Real seconds within which a group says whether an operator's call fits."""

KNOWN_WITHIN_LOOKS: Final = 40
LOOK_S: Final = 0.05
"""How often, and after how many real seconds each, a new station is looked for."""

RESTART_S: Final = 5.0
"""Real seconds before a group that failed is started again."""


_log = structlog.get_logger()


class Dispatch(OperatorSettings):
    """All groups of the site. Loop thread only."""

    def __init__(self, ports: Ports) -> None:
        super().__init__(ports, Groups(ports.site))
        self._is_ready = asyncio.Event()

    async def run(self) -> None:
        """Run all groups until cancelled."""
        with self._ports.bus.subscribe(
            "dispatch", limit=100_000, wants=self._may_concern
        ) as subscription:
            async with asyncio.TaskGroup() as tasks:
                for group in self._ports.site().groups():
                    await self._new_runner(group.id)
                    tasks.create_task(
                        self._supervise(group.id), name=f"group.{group.id}"
                    )
                self._groups.index(self._ports.site())
                self._is_ready.set()
                await self._route(subscription)

    async def ready(self) -> None:
        """Wait until all groups have started."""
        await self._is_ready.wait()

    # Reading

    def view(self, cabinet_id: CabinetId) -> GroupView | None:
        """The group a cabinet belongs to, or ``None`` for an unknown cabinet."""
        runner = self._groups.of_cabinet(cabinet_id)
        return None if runner is None else group_view.group_view(runner, self._now())

    def views(self) -> tuple[GroupView, ...]:
        """All groups."""
        now = self._now()
        return tuple(
            group_view.group_view(r, now) for r in self._groups.runners.values()
        )

    def cabinet(self, cabinet_id: CabinetId) -> CabinetView | None:
        """One cabinet now."""
        found = self.view(cabinet_id)
        if found is None:
            return None
        return next((c for c in found.cabinets if c.cabinet_id == cabinet_id), None)

    def evse(self, station_id: StationId, evse_id: int) -> EvseView | None:
        """One EVSE now; ``None`` where it belongs to no cabinet."""
        ref = EvseRef(station_id=station_id, evse_id=evse_id)
        runner = self._groups.of_station(station_id)
        if runner is None or ref not in runner.state.evses:
            return None
        return group_view.evse_view(runner, ref, self._now())

    def plan(self, cabinet_id: CabinetId) -> PlanView | None:
        """The newest plan of a cabinet's group."""
        runner = self._groups.of_cabinet(cabinet_id)
        return None if runner is None else group_view.plan_view(runner)

    def admission(self, station_id: StationId, evse_id: int | None) -> bool:
        """Whether a session may be authorized there (any EVSE if not said).

        False only while ratings of unproven stations do not fit and this one's would
        exceed what is left, with those that were just let in. Any thread may ask.
        """
        station = self._ports.site().station(station_id)
        evses = () if station is None else station.evses
        refs = {key_of(e.ref) for e in evses if not evse_id or e.ref.evse_id == evse_id}
        elsewhere = set(refs)
        for runner in tuple(self._groups.runners.values()):
            here = sorted(ref for ref in refs if ref in runner.state.evses)
            elsewhere.difference_update(here)
            if here and runner.admissions.admit(
                here, self._now(), is_loose=not evse_id
            ):
                return True
        return not refs or bool(elsewhere)

    async def operator_guard(
        self,
        station_id: StationId,
        action: str,
        payload: Mapping[str, object],
        *,
        override: bool = False,
    ) -> None:
        """Count a station at its rating before a call that may change what it draws.

        Raises:
            RequestError: 409 ``would_exceed_limit``: that would not fit; 503: nobody
                can say so now.
            StoreError: The doubt about the station could not be kept.
        """
        runner = self._groups.of_station(station_id)
        if runner is None or not may_change_draw(action, payload):
            return
        verdict: asyncio.Future[tuple[env.Violation, ...]] = (
            asyncio.get_running_loop().create_future()
        )
        runner.offer(
            OperatorCall(station_id=station_id, override=override, verdict=verdict)
        )
        try:
            async with asyncio.timeout(VERDICT_WITHIN_S):
                found = await verdict
        except TimeoutError as error:
            raise RequestError(
                503, "group_busy", "its group does not answer: try again"
            ) from error
        if found:
            raise would_exceed(station_id, action, found[0])

    def offer(self, ref: EvseRef) -> LimitSchedule | None:
        """The limit that the running session of an EVSE was sent last, if any."""
        one = self._evse_state(ref)
        if one is None or one.session is None:
            return None
        held = Holding(is_trusted=True, limits=one.limits).latest(
            one.session.session_id
        )
        return None if held is None else held.schedule

    async def can_offer(self, ref: EvseRef) -> bool:
        """Whether limits of ours are sent for the sessions of an EVSE.

        Not outside all cabinets, to an unmanaged station, where only advice is given,
        or after an operator's own profile. A station that was just registered is
        waited for.
        """
        for _ in range(KNOWN_WITHIN_LOOKS):
            runner = self._groups.of_station(ref.station_id)
            one = self._evse_state(ref)
            if runner is not None and one is not None:
                return group_limits.is_ours(runner.state, one)
            await asyncio.sleep(LOOK_S)
        return False

    def offer_again(self, ref: EvseRef) -> None:
        """Send the limit of an EVSE's session even if it has not changed."""
        runner = self._groups.of_station(ref.station_id)
        if runner is not None:
            runner.offer(ResendAsked(ref=key_of(ref)))

    def _evse_state(self, ref: EvseRef) -> EvseState | None:
        runner = self._groups.of_station(ref.station_id)
        return None if runner is None else runner.state.evses.get(key_of(ref))

    def runners(self) -> Mapping[CabinetId, GroupRunner]:
        """The runner of every group, by its root cabinet; for the fast loop."""
        return self._groups.runners

    def runner(self, station_id: StationId) -> GroupRunner | None:
        """The runner of a station's group; for the obedience test."""
        return self._groups.of_station(station_id)

    def trust(self, station_id: StationId) -> Trust | None:
        """What is known about a station's obedience; ``None`` outside all cabinets."""
        runner = self._groups.of_station(station_id)
        return None if runner is None else runner.state.stations[station_id].trust

    # What operators ask

    async def set_proof(
        self,
        station_id: StationId,
        *,
        is_proven: bool,
        firmware: str | None = None,
        leftovers_known: bool | None = None,
        doubt: str | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> None:
        """Store what a test showed about a station (or what it ships with).

        ``leftovers_known`` ``None`` keeps what is known.
        """
        now = self._now()
        known = self.trust(station_id)
        if leftovers_known is None:
            leftovers_known = known is not None and known.leftovers_known
        trust = Trust(
            station_id=station_id,
            is_proven=is_proven,
            firmware=firmware,
            leftovers_known=leftovers_known,
            doubt=doubt,
        )
        kept = None if evidence is None else dict(evidence)
        await self._ports.writer.run(
            lambda conn: group_store.put_trust(conn, trust, now, kept)
        )
        self._changed(f"station/{station_id}/proof")

    async def tested(self, station_id: StationId, firmware: str | None) -> list[str]:
        """What a station passed before with this firmware and no doubt since."""
        row = (await self._ports.writer.run(rows.trusts)).get(station_id)
        if row is None or firmware is None or row.firmware != firmware or row.doubt:
            return []
        tested = row.evidence.get("tested")
        return [str(one) for one in tested] if isinstance(tested, list) else []

    async def forget_capability(self, station_id: StationId) -> None:
        """Try anew what a station takes; one that was given up is set up again."""
        known, now = self.trust(station_id), self._now()

        def job(conn: sqlite3.Connection) -> None:
            capability.forget(conn, station_id)
            if known is not None and known.doubt == UNCONTROLLED:
                group_store.put_trust(conn, replace(known, doubt=None), now)

        await self._ports.writer.run(job)
        self._changed(f"station/{station_id}/capability")

    async def probe_step(self, station_id: StationId) -> bool:
        """Set the defaults of an idle station a step higher, for the obedience test.

        They end by themselves; `probe_over` sets the safe ones at once.
        """
        runner = self._groups.of_station(station_id)
        if runner is None:
            return False
        verdict: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        runner.offer(ProbeAsked(station_id=station_id, verdict=verdict))
        try:
            async with asyncio.timeout(VERDICT_WITHIN_S):
                return await verdict
        except TimeoutError:
            return False

    def probe_over(self, station_id: StationId) -> None:
        """The safe defaults of a station are due again."""
        runner = self._groups.of_station(station_id)
        if runner is not None:
            runner.offer(ProbeOver(station_id=station_id))

    async def ship_proven(self, station_ids: Sequence[StationId]) -> None:
        """Mark stations as proven that nothing is known about yet (the demo's).

        Call before ``run``.
        """
        now = self._now()
        known = await self._ports.writer.run(rows.trusts)
        for station_id in station_ids:
            if station_id in known:
                continue
            trust = Trust(station_id=station_id, is_proven=True, leftovers_known=True)
            await self._ports.writer.run(partial(_put_shipped, trust=trust, now=now))

    # Inside

    async def _supervise(self, root: CabinetId) -> None:
        """Run a group; what it stumbles over costs it a restart, the others nothing.

        Stations keep their limits meanwhile, and those decay by themselves.
        """
        while True:
            try:
                await self._groups.runners[root].run()
            except Exception:  # noqa: BLE001 - the outermost edge of a group
                _log.exception("group.failed", group_id=root)
            await asyncio.sleep(RESTART_S)
            try:
                await self._new_runner(root)
            except StoreError as error:
                _log.warning("group.not_restarted", group_id=root, why=str(error))

    async def _new_runner(self, root: CabinetId) -> None:
        now = self._now()
        stored = await self._ports.writer.run(
            lambda conn: group_store.load(conn, (), now)
        )
        state = group_store.state_of(self._ports.site(), root, stored)
        self._groups.runners[root] = GroupRunner(root, state, self._ports)

    async def _route(self, subscription: Subscription) -> None:
        async for notice in subscription:
            if isinstance(notice, Lagged):
                _log.warning("dispatch.lagged", dropped=notice.dropped)
                for runner in self._groups.runners.values():
                    runner.offer(Reload())
            else:
                self._hand_on(notice)

    def _hand_on(self, notice: Notice) -> None:
        match notice:
            case FactCommitted() | LinkChanged() | LoadMeasured() | RequestChanged():
                for runner in self._concerned(notice):
                    runner.offer(notice)
            case SettingChanged():
                kind, _, rest = notice.subject.partition("/")
                if kind == "station":
                    self._groups.index(self._ports.site())
                for runner in self._with_setting(kind, rest.partition("/")[0]):
                    runner.offer(notice)
            case _:
                pass  # our own results

    def _may_concern(self, notice: Notice) -> bool:
        """Whether anybody here could need a notice: not facts outside of cabinets."""
        if not isinstance(notice, FactCommitted):
            return True
        match notice:
            case FactCommitted(session=Session(station_id=station_id)):
                pass
            case FactCommitted(event=StationBooted(station_id=station_id)):
                pass
            case _:
                return False
        station = self._ports.site().station(station_id)
        return station is not None and station.cabinet_id is not None

    def _concerned(
        self, notice: FactCommitted | LinkChanged | LoadMeasured | RequestChanged
    ) -> list[GroupRunner]:
        found: GroupRunner | None = None
        match notice:
            case FactCommitted(session=Session() as session):
                found = self._groups.of_station(session.station_id)
            case FactCommitted(event=StationBooted() as event):
                found = self._groups.of_station(event.station_id)
            case FactCommitted():
                pass
            case LinkChanged():
                found = self._groups.of_station(notice.station_id)
            case LoadMeasured():
                root = self._groups.loads.get(notice.load_id)
                found = None if root is None else self._groups.runners.get(root)
            case RequestChanged():
                runners = self._groups.runners.values()
                return [r for r in runners if _knows(r, notice.session_id)]
        return [] if found is None else [found]

    def _with_setting(self, kind: str, subject: str) -> list[GroupRunner]:
        found: GroupRunner | None = None
        if kind == "station":  # it may have moved from one group to another
            return list(self._groups.runners.values())
        if kind == "cabinet":
            found = self._groups.of_cabinet(CabinetId(subject))
        elif kind == "evse":
            found = self._groups.of_station(StationId(subject))
        return [] if found is None else [found]


def _put_shipped(conn: sqlite3.Connection, *, trust: Trust, now: datetime) -> None:
    group_store.put_trust(conn, trust, now, {"shipped": True})


def _knows(runner: GroupRunner, session_id: SessionId) -> bool:
    return any(
        one.session is not None and one.session.session_id == session_id
        for one in runner.state.evses.values()
    )
