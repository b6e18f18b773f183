"""What speaks against counting a car on fewer phases outlives the gateway."""

from datetime import timedelta
from pathlib import Path

from gateway.bus import FactCommitted
from gateway.domain.events import SessionUpdated
from gateway.domain.ids import EvseRef, StationId
from gateway.domain.metering import ALL_TOLD, Sample
from gateway.domain.phase_use import PhaseUse
from gateway.domain.session import SessionPhase
from tests.integration.dispatch.yard import FakeSessions, Yard, site_of, until, yard

CP1 = StationId("CP1")
ROWS = "SELECT session_id, used, is_barred FROM car_phase"


def use_of(place: Yard) -> PhaseUse:
    runner = place.dispatch.runner(CP1)
    assert runner is not None
    return runner.state.evses[EvseRef(station_id=CP1, evse_id=1)].use


def sample(place: Yard, current_a: tuple[float, float, float]) -> None:
    session, now = place.report(1), place.clock.now()
    told = Sample(
        sampled_at=now,
        context="Sample.Periodic",
        current_a=current_a,
        current_told=ALL_TOLD,
    )
    event = SessionUpdated(
        station_id=CP1,
        evse=session.evse,
        occurred_at=now,
        received_at=now,
        transaction_id="1",
        samples=(told,),
    )
    place.bus.publish(FactCommitted(offset=3, event=event, session=session))


async def test_where_current_flowed_is_known_after_a_restart_until_the_car_leaves(
    tmp_path: Path,
) -> None:
    sessions = FakeSessions()
    async with yard(tmp_path, site_of(1), sessions=sessions) as place:
        sample(place, (16.0, 16.0, 0.0))
        await until(lambda: place.rows(ROWS) == [("s1", 3, 0)])
        stopped_at = place.clock.now()
    later = stopped_at + timedelta(minutes=1)
    async with yard(tmp_path, site_of(1), sessions=sessions, epoch=later) as place:
        await until(lambda: use_of(place).used == {0, 1})
        assert not use_of(place).is_known
        place.report(1, phase=SessionPhase.ENDED)
        await until(lambda: place.rows(ROWS) == [])
