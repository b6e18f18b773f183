"""A cabinet tree with stations that misbehave in every way the argument allows.

``World.apply`` plays one step of a history against a real ``GroupState``; after each,
``World.complaints`` says what of the safety argument does not hold. The stations decide
what they physically draw from what they hold and their own clock, and know nothing of
envelopes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from benchmarks.dispatch_station import samples_of
from gateway.domain import envelope as env
from gateway.domain.envelope import unix_s
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.limits import LimitSchedule, LimitUnit, Purpose
from gateway.domain.session import Session, SessionPhase
from gateway.domain.topology import Cabinet, Evse, Load, Site, Station
from gateway.services import group_limits
from gateway.services.evse_state import Need, Outgoing, Trust
from gateway.services.group_state import GroupState
from gateway.services.loads import LoadReading, Threshold

START: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOLD_S: Final = 1800
SKEW_S: Final = 60
RAMP_S: Final = 10
N_STATION: Final = 5
RATING_DA: Final = 320
MARGIN_DA: Final = RATING_DA  # one station may start to lie
LIMIT_DA: Final = 1300

FORGETFUL: Final = 3
"""The station that forgets its profiles when it restarts; proven without a restart."""

FATES: Final = ("accept", "accept", "accept", "reject", "lost", "deaf", "error")
OPS: Final = (
    "advance",
    "plug",
    "unplug",
    "sample",
    "sample",
    "wish",
    "round",
    "round",
    "reboot",
    "link",
    "reading",
    "threshold",
    "raw",
    "skew",
)

Op = tuple[str, int, int]


@dataclass(slots=True)
class SimStation:
    """What a station holds and draws; knows nothing of envelopes.

    Attributes:
        n_used: The car draws on so many terminals; ``None``: on all.
    """

    evse: Evse
    unit: LimitUnit
    skew_s: int = 0
    default: LimitSchedule | None = None
    session: LimitSchedule | None = None
    session_id: SessionId | None = None
    leftover_da: int | None = None
    is_lying: bool = False
    is_single_phase: bool = False
    n_used: int | None = None
    changes: list[tuple[datetime, int]] = field(default_factory=list)

    def limit_da(self, now: datetime) -> int:
        """Amperes that the profiles allow at its own clock, on its worst phase."""
        if self.is_lying:
            return self.evse.max_da
        if self.leftover_da is not None:
            return min(self.leftover_da, self.evse.max_da)
        own = now + timedelta(seconds=self.skew_s)
        chosen = None
        if self.session_id is not None and self.session is not None:
            chosen = self.session if own >= self.session.start else None
        if chosen is None:
            chosen = self.default
        if chosen is None:
            return self.evse.max_da
        limit_da = chosen.at(own)
        if self.unit is LimitUnit.W and self.is_single_phase:
            limit_da *= len(self.evse.phases)
        return min(limit_da, self.evse.max_da)

    def settle(self, now: datetime) -> None:
        """Remember what it drew, since a car needs a while to follow a message."""
        self.changes = [
            (at, da) for at, da in self.changes if at > now - timedelta(seconds=RAMP_S)
        ]
        self.changes.append((now, self.limit_da(now)))

    def draw_da(self, now: datetime) -> int:
        """What it draws now: the car follows a lower limit within ``RAMP_S``."""
        recent = [da for at, da in self.changes if at > now - timedelta(seconds=RAMP_S)]
        return max(self.limit_da(now), *recent, 0)

    def draw(self, now: datetime) -> env.Draw:
        """The same on the phases of the supply."""
        one, two, three, total = env.draw_of(self.evse, self.draw_da(now))
        if self.is_single_phase:
            first = self.evse.phases[0]
            kept = [v if p == first else 0 for p, v in enumerate((one, two, three))]
            return (kept[0], kept[1], kept[2], sum(kept))
        if self.n_used is not None:
            own = replace(self.evse, phases=self.evse.phases[: self.n_used])
            return env.draw_of(own, self.draw_da(now))
        return (one, two, three, total)


class World:
    """Five stations behind two cabinets, one of them below the other."""

    def __init__(
        self, *, n_unproven: int = 1, lies: bool = False, site: Site | None = None
    ) -> None:
        self.now = START
        self.site = _site() if site is None else site
        group = self.site.group(CabinetId("A"))
        stations = group.stations
        proven = {
            s.id: Trust(
                station_id=s.id,
                is_proven=True,
                leftovers_known=True,
                survives_restart=site is not None or i != FORGETFUL,
            )
            for i, s in enumerate(stations)
            if i >= n_unproven
        }
        self.state = GroupState(group, site=self.site, trusts=proven)
        self.sims = {
            s.id: SimStation(
                evse=s.evses[0],
                unit=s.unit,
                is_single_phase=i == 2 and s.unit is LimitUnit.W,
            )
            for i, s in enumerate(stations)
        }
        self.ids = [s.id for s in stations]
        self.disturbed = False
        self.lies = lies
        self.early: list[str] = []
        self.load_da = 100
        self._sequence = 0
        self._sessions = 0
        self._wishes = 0
        for index, station_id in enumerate(self.ids):
            if index < n_unproven:
                self.sims[station_id].leftover_da = RATING_DA
            self.state.link(station_id, is_online=True)
            self._set_up(station_id)
        if lies:
            self.sims[self.ids[-1]].is_lying = True
        for sim in self.sims.values():
            sim.changes.clear()  # no car was there
        assert not self.state.violations(self.now)

    # One step of a history

    def apply(self, op: Op) -> None:
        """Play one step."""
        name, index, value = op
        station_id = self.ids[index % len(self.ids)]
        for sim in self.sims.values():
            sim.settle(self.now)
        getattr(self, f"_{name}")(station_id, value)
        if self.disturbed and not self.state.violations(self.now):
            self.disturbed = False

    def complaints(self) -> Iterator[str]:
        """What of the safety argument does not hold now."""
        if not self.disturbed:
            for violation in self.state.violations(self.now):
                yield f"envelopes: {violation}"
        for ref, one in self.state.evses.items():
            sim = self.sims[ref.station_id]
            bound = env.value_at(self.state.envelope(one, self.now), unix_s(self.now))
            drawn = sim.draw(self.now)
            if not sim.is_lying and any(drawn[r] > bound[r] for r in env.ROWS):
                yield f"{ref.station_id} draws {drawn}, envelope {bound}"
        if not self.disturbed:
            yield from self._overloads()

    def play(self, ops: list[Op]) -> str | None:
        """Play a history; the first complaint, or ``None``."""
        for op in ops:
            self.apply(op)
            for complaint in self.early:
                return f"{op}, before it is set up: {complaint}"
            for complaint in self.complaints():
                return f"{op}: {complaint}"
        return None

    def die(self) -> str | None:
        """The gateway is gone: look every minute until the hold time is over."""
        for _ in range((HOLD_S + 2 * SKEW_S) // 60):
            self._advance(self.ids[0], 11)
            for complaint in self.complaints():
                return f"dead: {complaint}"
        for ref, one in self.state.evses.items():
            sim = self.sims[ref.station_id]
            if self.state.is_trusted(one) and not sim.is_lying:
                floor = env.draw_of(one.evse, one.evse.floor_da)
                drawn = sim.draw(self.now)
                if any(drawn[r] > floor[r] for r in env.ROWS):
                    return f"dead: {ref.station_id} still draws {drawn}"
        return None

    # Steps

    def _advance(self, _: StationId, value: int) -> None:
        target = self.now + timedelta(seconds=5 + value * 5)
        while self.now < target:
            self.now = min(target, self.now + timedelta(seconds=RAMP_S))
            for sim in self.sims.values():
                sim.settle(self.now)

    def _plug(self, station_id: StationId, value: int) -> None:
        sim = self.sims[station_id]
        if sim.session_id is not None:
            return
        self._sessions += 1
        sim.session_id = SessionId(f"s{self._sessions}")
        sim.session = None
        self._report(station_id)
        self.state.evses[_ref(station_id)].levels = self._levels(value)

    def _unplug(self, station_id: StationId, _: int) -> None:
        sim = self.sims[station_id]
        if sim.session_id is None:
            return
        ended = msgspec.structs.replace(
            self._session(station_id), phase=SessionPhase.ENDED
        )
        sim.session_id, sim.session = None, None
        sim.changes.clear()  # the contactor opened
        self.state.session(ended, None, self.now)

    def _sample(self, station_id: StationId, _: int) -> None:
        if self.sims[station_id].session_id is not None:
            self._report(station_id)

    def _wish(self, station_id: StationId, value: int) -> None:
        self.state.evses[_ref(station_id)].levels = self._levels(value)

    def _round(self, _: StationId, value: int) -> None:
        batch = group_limits.next_limits(self.state, self.now)
        assert not group_limits.check(self.state, batch, self.now)
        for outgoing in batch:
            self._send(outgoing, FATES[(value + self._sequence) % len(FATES)])

    def _reboot(self, station_id: StationId, value: int) -> None:
        sim = self.sims[station_id]
        if value % 2:
            sim.session = None  # some forget their session limits, others keep them
        if value % 3 == 0:
            sim.session_id = None  # ... and some the session, without telling
        is_forgetful = station_id == self.ids[FORGETFUL]
        if is_forgetful:
            sim.default = sim.session = None
        self.state.boot(station_id, None)
        if self.state.violations(self.now):
            assert is_forgetful or self.disturbed
            self.disturbed = True  # it may draw its rating until it is set up
        self.early += [c for c in self.complaints() if "envelope" in c]
        self._set_up(station_id)
        if sim.session_id is None:
            sim.changes.clear()  # no car is there

    def _link(self, station_id: StationId, value: int) -> None:
        self.state.link(station_id, is_online=value % 2 == 0)

    def _reading(self, _: StationId, value: int) -> None:
        before = self.state.violations(self.now)
        self.state.readings["pump"] = LoadReading(
            load_id="pump",
            measured_at=self.now - timedelta(seconds=value % 20),
            current_da=(value, value, value),
        )
        if not before and self.state.violations(self.now):
            self.disturbed = True  # other equipment draws more than it did

    def _threshold(self, _: StationId, value: int) -> None:
        lower = LIMIT_DA - 2 * value
        self.state.thresholds = (
            Threshold(
                cabinet_id=CabinetId("A"),
                set_at=self.now,
                limit_da=(lower, lower, lower),
                from_at=self.now + timedelta(seconds=60 * (value % 40)),
            ),
        )
        if self.state.violations(self.now):
            self.disturbed = True  # it takes effect before limits can follow

    def _raw(self, station_id: StationId, value: int) -> None:
        """An operator's own call; allowed only where its rating fits."""
        before = self.state.envelopes(self.now)
        sim = self.sims[station_id]
        ref = _ref(station_id)
        rating = (env.Rung(unix_s(self.now), env.with_total(sim.evse.rating)),)
        after = {**before, ref: rating}
        rooms = self.state.rooms(self.now)
        if env.violations(after, self.state.paths, rooms, from_s=unix_s(self.now)):
            return
        self.state.distrust(station_id, "raw_call")
        sim.leftover_da = value * 4

    def _skew(self, station_id: StationId, value: int) -> None:
        bound = SKEW_S - RAMP_S
        sim = self.sims[station_id]
        sim.settle(self.now)
        sim.skew_s = value % (2 * bound + 1) - bound

    # Inside

    def _set_up(self, station_id: StationId) -> None:
        state = self.state.stations[station_id]
        for outgoing in group_limits.defaults_of(state, self.now):
            self._send(outgoing, "accept")
        if station_id in self.ids[1:] and state.trust.is_proven:
            self.sims[station_id].leftover_da = None
            self.state.cleared(station_id)
        state.needs_setup = state.blocks_sessions = False

    def _send(self, outgoing: Outgoing, fate: str) -> None:
        self._sequence += 1
        sequence = self._sequence
        self.state.add_sent(outgoing, sequence)
        sim = self.sims[outgoing.station_id]
        sim.settle(self.now)
        schedule = outgoing.command.schedule
        is_default = outgoing.command.purpose is Purpose.DEFAULT
        is_stale = not is_default and outgoing.session_id != sim.session_id
        if fate in {"accept", "lost"} and not is_stale:
            if is_default:
                sim.default = schedule
            else:
                sim.session = schedule
        if fate == "accept" and not is_stale:
            self.state.accepted(outgoing, sequence, self.now)
        elif fate in {"reject", "error"} or (fate == "accept" and is_stale):
            self.state.refused(outgoing, sequence)
        # "lost": taken, but the answer never came; "deaf": never taken, no answer

    def _report(self, station_id: StationId) -> None:
        session = self._session(station_id)
        need = Need(energy_wh=20_000, departure_at=self.now + timedelta(hours=4))
        self.state.session(session, need, self.now, samples=samples_of(session))

    def _session(self, station_id: StationId) -> Session:
        sim = self.sims[station_id]
        assert sim.session_id is not None
        own = self.now + timedelta(seconds=sim.skew_s)
        amps = sim.draw_da(self.now) / 10
        return Session(
            session_id=sim.session_id,
            station_id=station_id,
            evse_id=1,
            connector_id=1,
            phase=SessionPhase.RUNNING,
            transaction_id=sim.session_id,
            current_a=(amps, 0.0, 0.0) if sim.is_single_phase else (amps, amps, amps),
            sampled_at=own,
            received_at=self.now,
        )

    def _levels(self, value: int) -> tuple[tuple[int, int], ...]:
        self._wishes += 1
        now_s = int(unix_s(self.now))
        first = 10 * (value % 33)
        return ((now_s, first), (now_s + 300 + value, first // 2))

    def _overloads(self) -> Iterator[str]:
        for cabinet in self.state.group.cabinets:
            below = [r for r in self.state.evses if cabinet.id in self.state.paths[r]]
            total = env.NOTHING
            for ref in below:
                total = env.add(total, self.sims[ref.station_id].draw(self.now))
            room = env.value_at(
                self.state.rooms(self.now)[cabinet.id], unix_s(self.now)
            )
            spare = (*(cabinet.margin_da,) * 3, 3 * cabinet.margin_da)
            for row in env.ROWS:
                if total[row] > room[row] + spare[row]:
                    yield f"{cabinet.id} row {row}: {total[row]} > {room[row]}"


def _ref(station_id: StationId) -> EvseRef:
    return EvseRef(station_id=station_id, evse_id=1)


def _site() -> Site:
    root, below = CabinetId("A"), CabinetId("B")
    return Site(
        hold_time_s=HOLD_S,
        cabinets=(
            Cabinet(id=root, limit_da=(LIMIT_DA,) * 3, margin_da=MARGIN_DA),
            Cabinet(id=below, parent=root, limit_w=62_000, margin_da=MARGIN_DA // 2),
        ),
        stations=tuple(
            _station(
                index,
                cabinet=below if index in {1, 2} else root,
                unit=LimitUnit.W if index in {2, 3} else LimitUnit.A,
                floor_da=60 if index == 4 else 0,
            )
            for index in range(N_STATION)
        ),
        loads=(Load(id="pump", cabinet_id=root, worst_case_da=200, stale_after_s=300),),
    )


def _station(
    index: int, *, cabinet: CabinetId, unit: LimitUnit, floor_da: int
) -> Station:
    station_id = StationId(f"CP{index}")
    phases = ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0,), (0, 1, 2))[index]
    return Station(
        id=station_id,
        cabinet_id=cabinet,
        unit=unit,
        clock_skew_s=SKEW_S,
        evses=(
            Evse(
                ref=EvseRef(station_id=station_id, evse_id=1),
                cabinet_id=cabinet,
                phases=phases,
                max_da=RATING_DA,
                floor_da=floor_da,
            ),
        ),
    )
