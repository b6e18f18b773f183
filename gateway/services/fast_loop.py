"""The fast loop: feeder meters against limits every few seconds, by rule, no solver.

It reads what the runners of the groups know, decides by `gateway.services.shedding`
and hands what is withheld to the runner, which cuts limits in its next turn. Loads are
measured by whoever puts readings (the API, main meters of stations, adapters).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

import structlog

from gateway.bus import Bus, CabinetWatched
from gateway.clock import Clock
from gateway.domain.envelope import NOTHING, Draw
from gateway.domain.ids import CabinetId
from gateway.domain.topology import Battery, Cabinet, Mode, Pv
from gateway.services import shed_words
from gateway.services.evse_state import key_of
from gateway.services.feeder import is_steered, measure, quick_look
from gateway.services.group_items import Withheld
from gateway.services.group_state import GroupState
from gateway.services.shedding import Measured, Shed, decide, withheld


class Watched(Protocol):
    """A group as the fast loop needs it: its runner."""

    @property
    def state(self) -> GroupState:
        """What is known; only read."""
        ...

    def offer(self, item: Withheld) -> None:
        """Take over what is withheld, in its next turn."""
        ...


Runners: TypeAlias = Callable[[], Mapping[CabinetId, Watched]]

_log = structlog.get_logger()


@dataclass(slots=True)
class _Watch:
    """What was said last about one cabinet.

    Attributes:
        since: When it was looked at first: a meter has until then plus
            ``feeder_stale_after_s`` to tell something.
    """

    since: datetime
    held: Shed | None = None
    is_lost: bool = False
    is_exporting: bool = False
    is_stuck: bool = False


class FastLoop:
    """Run it as a task. Loop thread only."""

    def __init__(
        self, *, runners: Runners, bus: Bus, clock: Clock, interval_s: float
    ) -> None:
        self._runners = runners
        self._bus = bus
        self._clock = clock
        self._interval_s = interval_s
        self._watched: dict[CabinetId, _Watch] = {}

    async def run(self) -> None:
        """Look at every cabinet that has a feeder meter, for ever."""
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the outermost edge of the loop
                _log.exception("fast_loop.failed")

    def look(self) -> None:
        """Look once."""
        now = self._clock.now()
        for runner in tuple(self._runners().values()):
            found: dict[CabinetId, Draw] = {}
            for cabinet in runner.state.group.cabinets:
                if cabinet.feeder_meter is None:
                    continue
                taken = self._look_at(runner.state, cabinet, now)
                if any(taken):
                    found[cabinet.id] = taken
            if found != runner.state.withheld:
                runner.offer(Withheld(taken=found))

    def _look_at(self, state: GroupState, cabinet: Cabinet, now: datetime) -> Draw:
        watch = self._watched.setdefault(cabinet.id, _Watch(since=now))
        measured = quick_look(state, cabinet, now)
        is_calm = watch.held is None and not any(measured.over)
        if not is_calm:
            measured = measure(state, cabinet, now)
        before, watch.held = watch.held, decide(measured, watch.held, now)
        grace = timedelta(seconds=cabinet.feeder_stale_after_s)
        is_lost = measured.feeder is None and now >= watch.since + grace
        is_advice = state.modes[cabinet.id] is Mode.ADVISE
        self._tell(
            state, watch, measured, before, now, is_lost=is_lost, is_advice=is_advice
        )
        if watch.held is None or is_advice:
            return NOTHING
        return withheld(measured, watch.held)

    def _tell(
        self,
        state: GroupState,
        watch: _Watch,
        measured: Measured,
        before: Shed | None,
        now: datetime,
        *,
        is_lost: bool,
        is_advice: bool,
    ) -> None:
        """Say what has become different, in the log and to whoever listens."""
        held = watch.held
        if held is not None and (before is None or held.since > before.since):
            text = shed_words.cut(measured, held, is_advice=is_advice)
            self._say("cut", text, measured, now)
        elif held is None and before is not None:
            self._say("released", shed_words.RELEASED, measured, now)
        is_stuck = held is not None and any(held.residual) and not is_advice
        if held is not None and is_stuck and not watch.is_stuck:
            unreached = _unreached(state, measured.cabinet_id)
            text = shed_words.stuck(held, unreached)
            self._say("cannot_shed", text, measured, now)
        if is_lost != watch.is_lost:
            kind = "feeder_lost" if is_lost else "feeder_back"
            text = shed_words.LOST if is_lost else shed_words.BACK
            self._say(kind, text, measured, now)
        is_exporting = any(measured.exported)
        if is_exporting and not watch.is_exporting:
            names = _generators(state, measured.cabinet_id)
            text = shed_words.exporting(measured, names)
            self._say("exporting", text, measured, now)
        goes_on = held is not None and held.is_over  # samples lag behind a cut
        watch.is_stuck = is_stuck or (watch.is_stuck and goes_on)
        watch.is_lost, watch.is_exporting = is_lost, is_exporting

    def _say(self, kind: str, text: str, measured: Measured, now: datetime) -> None:
        cabinet_id = measured.cabinet_id
        match kind:
            case "cannot_shed":
                _log.critical("feeder.cannot_shed", cabinet_id=cabinet_id, why=text)
            case "cut":
                _log.critical("feeder.over_limit", cabinet_id=cabinet_id, why=text)
            case "feeder_lost":
                _log.warning("feeder.lost", cabinet_id=cabinet_id, why=text)
            case "exporting":
                _log.warning("feeder.exporting", cabinet_id=cabinet_id, why=text)
            case _:
                _log.info("feeder.well", cabinet_id=cabinet_id, kind=kind, why=text)
        self._bus.publish(
            CabinetWatched(cabinet_id=cabinet_id, kind=kind, text=text, at=now)
        )

    def shed(self, cabinet_id: CabinetId) -> Shed | None:
        """What is withheld from a cabinet now."""
        watch = self._watched.get(cabinet_id)
        return None if watch is None else watch.held


def _unreached(state: GroupState, cabinet_id: CabinetId) -> list[str]:
    """EVSEs with a car behind a cabinet that no limit of ours reaches now."""
    return [
        str(key_of(one.evse.ref))
        for ref, one in state.evses.items()
        if cabinet_id in state.paths[ref]
        and one.session is not None
        and not is_steered(state, one)
    ]


def _generators(state: GroupState, cabinet_id: CabinetId) -> list[str]:
    below = {one.id for one in state.site.subtree(cabinet_id)}
    assets: tuple[Pv | Battery, ...] = (*state.group.pvs, *state.group.batteries)
    return [one.id for one in assets if one.cabinet_id in below]
