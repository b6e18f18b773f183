"""Cars on one, two and three phases, some of which draw on others all of a sudden.

``PhaseWorld`` plays histories against a real ``GroupState`` whose EVSEs may be counted
on the phases of their cars. A car takes its phases back (``switch``), another one is
plugged in during a session (``swap``), samples stay away, stations restart. So many may
newly do so at once as the claim covers: one, or as many as the margin has ratings. Who
was seen to do it, or was silent for too long, is no longer new once all others were
lowered for it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Final

import msgspec
from typing_extensions import override

from benchmarks.dispatch_station import samples_of
from gateway.domain import envelope as env
from gateway.domain.capability import Capability
from gateway.domain.envelope import unix_s
from gateway.domain.events import ChargingState
from gateway.domain.ids import CabinetId, EvseRef, StationId
from gateway.domain.phase_use import STALE_AFTER
from gateway.domain.session import Session
from gateway.domain.topology import Cabinet, Evse, Site, Station
from tests.property.safety.world import HOLD_S, RATING_DA, SKEW_S, World

PHASE_OPS: Final = (
    *("minute",) * 8,
    *("plug", "switch") * 3,
    *("advance", "unplug", "sample", "wish", "round") * 2,
    *("reboot", "link", "swap", "skew", "replug"),
)
LIMIT_DA: Final = 800
N_STATION: Final = 6
SEEN_DA: Final = 20
"""A meter that shows so much more than a limit is taken for one that shows it."""
ROTATIONS: Final = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 1, 2), (0, 1, 2), (1, 0))
SWAPPED: Final = (
    ChargingState.PREPARING,
    ChargingState.SUSPENDED_EV,
    ChargingState.CHARGING,
)


class PhaseWorld(World):
    """Six proven stations behind two cabinets; three tell when a cable is out."""

    def __init__(self, *, margin_da: int = 0) -> None:
        self.n_cover = max(1, margin_da // RATING_DA)
        self.unseen: dict[StationId, datetime | None] = {}
        self.is_lowering = False
        self.n_freed = self.n_switch = 0
        super().__init__(n_unproven=0, site=_site(margin_da))
        for station_id in self.ids[::2]:
            self.state.set_capability(station_id, Capability(ends_unplugged=True))

    @override
    def apply(self, op: tuple[str, int, int]) -> None:
        before = self._freed()
        super().apply(op)
        for station_id, since in tuple(self.unseen.items()):
            if since is not None and self.now - since > STALE_AFTER:
                self.unseen[station_id] = None
        after = self._freed()
        self.n_freed = max(self.n_freed, len(after))
        is_exceeded = bool(self.state.violations(self.now))
        self.is_lowering = is_exceeded and (self.is_lowering or bool(before - after))
        if not is_exceeded:
            self.unseen = {s: at for s, at in self.unseen.items() if at is not None}

    @override
    def complaints(self) -> Iterator[str]:
        """The cabinets' limits hold, whatever is on paper while others are lowered."""
        if not self.is_lowering:
            for violation in self.state.violations(self.now):
                yield f"envelopes: {violation}"
        for ref, one in self.state.evses.items():
            bound = env.value_at(self.state.envelope(one, self.now), unix_s(self.now))
            drawn = self.sims[ref.station_id].draw(self.now)
            if any(drawn[row] > bound[row] + 3 * SEEN_DA for row in env.ROWS):
                yield f"{ref.station_id} draws {drawn}, envelope {bound}"
        yield from self._overloads()

    # Steps

    def _minute(self, _: StationId, value: int) -> None:
        self._advance(self.ids[0], 11)
        for station_id in self.ids:
            if self.state.stations[station_id].is_online:
                self._sample(station_id, value)
        self._round(self.ids[0], 0)

    @override
    def _plug(self, station_id: StationId, value: int) -> None:
        sim = self.sims[station_id]
        if sim.session_id is None:
            sim.n_used = (1, 1, 1, 2, None)[value % 5]
            super()._plug(station_id, value)
            self._wish(station_id, value)

    @override
    def _unplug(self, station_id: StationId, value: int) -> None:
        super()._unplug(station_id, value)
        self.unseen.pop(station_id, None)

    def _replug(self, station_id: StationId, _: int) -> None:
        """The next car comes at once, and takes all phases."""
        self._unplug(station_id, 0)
        self._plug(station_id, 4)
        self._wish(station_id, 26)
        self._round(station_id, 0)

    @override
    def _sample(self, station_id: StationId, value: int) -> None:
        super()._sample(station_id, value)
        if self.sims[station_id].draw_da(self.now) > 0 and station_id in self.unseen:
            self.unseen[station_id] = None

    def _switch(self, station_id: StationId, _: int) -> None:
        """A car draws on all phases of its EVSE from now on."""
        sim = self.sims[station_id]
        if sim.n_used is None or sim.session_id is None or not self._may_switch():
            return
        sim.n_used = None
        self.n_switch += station_id in self._freed()
        self.unseen[station_id] = self.now

    def _swap(self, station_id: StationId, value: int) -> None:
        """Another car is plugged in while the transaction goes on.

        This is told, or the cable looks like a pause: by the state, or by the meter.
        """
        sim = self.sims[station_id]
        if sim.session_id is None or not self._may_switch():
            return
        is_told = self.state.stations[station_id].capability.ends_unplugged
        state = ChargingState.PREPARING if is_told else SWAPPED[value % 7 % 3]
        sim.changes.clear()  # the contactor opened
        told = msgspec.structs.replace(
            self._session(station_id),
            charging_state=state,
            current_a=(0.0, 0.0, 0.0),
            power_w=0.0,
        )
        self.state.session(told, None, self.now, samples=samples_of(told))
        sim.n_used = (None, 2, 1)[value % 3]
        self.unseen[station_id] = None

    @override
    def _reboot(self, station_id: StationId, value: int) -> None:
        """Its session goes on; the car may come back on other phases."""
        if value % 2:
            self.sims[station_id].session = None
        if value % 3 == 0 and self._may_switch():
            self.sims[station_id].n_used = None
            self.unseen[station_id] = None
        self.state.boot(station_id, None)
        self._set_up(station_id)

    @override
    def _levels(self, value: int) -> tuple[tuple[int, int], ...]:
        return ((int(unix_s(self.now)), 60 + 10 * (value % 27)),)

    # Inside

    def _may_switch(self) -> bool:
        """Whether one more may break its phases now and still be covered."""
        return not self.is_lowering and len(self.unseen) < self.n_cover

    def _freed(self) -> set[StationId]:
        return {
            ref.station_id
            for ref, one in self.state.evses.items()
            if self.state.own_phases(one, self.now) is not None
        }

    @override
    def _session(self, station_id: StationId) -> Session:
        sim = self.sims[station_id]
        session = super()._session(station_id)
        n_wired = len(sim.evse.phases)
        n_used = min(sim.n_used or n_wired, n_wired)
        amps = sim.draw_da(self.now) / 10
        one, two, three = (amps if index < n_used else 0.0 for index in range(3))
        return msgspec.structs.replace(
            session,
            current_a=(one, two, three),
            current_at=session.sampled_at,
            power_w=amps * n_used * sim.evse.phase_v,
            power_at=session.sampled_at,
            charging_state=ChargingState.CHARGING,
        )


def _site(margin_da: int) -> Site:
    root, below = CabinetId("A"), CabinetId("B")
    return Site(
        hold_time_s=HOLD_S,
        cabinets=(
            Cabinet(id=root, limit_da=(LIMIT_DA + margin_da,) * 3, margin_da=margin_da),
            Cabinet(
                id=below,
                parent=root,
                limit_w=35_000 + 3 * 23 * margin_da,
                margin_da=margin_da,
            ),
        ),
        stations=tuple(
            _station(index, cabinet=below if index in {1, 2, 5} else root)
            for index in range(N_STATION)
        ),
    )


def _station(index: int, *, cabinet: CabinetId) -> Station:
    station_id = StationId(f"CP{index}")
    evse = Evse(
        ref=EvseRef(station_id=station_id, evse_id=1),
        cabinet_id=cabinet,
        phases=ROTATIONS[index],
        phases_confirmed=True,
        max_da=RATING_DA,
    )
    return Station(
        id=station_id,
        cabinet_id=cabinet,
        clock_skew_s=SKEW_S,
        evses=(replace(evse, floor_da=60 if index == 4 else 0),),
    )
