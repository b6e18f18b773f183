"""What is expected of the hours to come is read from sessions in the store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.domain.ids import EvseRef
from gateway.services.arrivals import PastArrivals, Place
from gateway.store.past_visits import PastVisit, past_visits
from gateway.store.queries import Queries
from optimizer import CabinetLimit, CabinetProblem, EvSession, Mode
from tests.support.journal import CP1, at, ended, entry, open_store, started
from tests.support.optimizer_problems import flat
from tests.unit.services.test_car_watch import site

N_STEP = 24
DAY_MIN = 1_440
REF = EvseRef(station_id=CP1, evse_id=1)
PLACES = {REF: Place(cabinets=("A",), n_phase=3)}
NOW = at(28 * DAY_MIN)


@asynccontextmanager
async def afternoons(path: Path, n: int, *, wh: int) -> AsyncIterator[Queries]:
    """A store with a session from 14:00 to 16:00 on each of the ``n`` days before."""
    async with open_store(path) as (store, queries):
        for back in range(n, 0, -1):
            minute = (28 - back) * DAY_MIN + 120
            wire_id = f"tx{back}"
            begin = started(minute, wire_id=wire_id, wh=0, sequence=0)
            await store.append_and_wait(entry(begin))
            end = ended(minute + 120, wire_id=wire_id, wh=wh, sequence=1)
            await store.append_and_wait(entry(end))
        yield queries


def asked(mode: Mode = Mode.AUTO) -> CabinetProblem:
    return CabinetProblem(
        group_id="A",
        start=NOW,
        step_s=900,
        n_step=N_STEP,
        cabinets=(
            CabinetLimit(
                cabinet_id="A",
                limit_a=flat(N_STEP, 16.0),
                reserved_a=flat(N_STEP, 0.0),
            ),
        ),
        sessions=(
            EvSession(
                session_id="s",
                cabinet_id="A",
                phases=(0, 1, 2),
                energy_wh=11_000,
                departure_step=20,
                max_a=16.0,
            ),
        ),
        mode=mode,
    )


async def test_sessions_are_read_with_place_stay_and_energy(tmp_path: Path) -> None:
    async with afternoons(tmp_path, 1, wh=9_000) as queries:
        found = queries.read_now(
            lambda conn: past_visits(
                conn, since=NOW - timedelta(days=7), zone=ZoneInfo("UTC")
            )
        )
        later = queries.read_now(
            lambda conn: past_visits(conn, since=NOW, zone=ZoneInfo("UTC"))
        )
    begin = at(27 * DAY_MIN + 120).astimezone(UTC)
    assert found == [PastVisit(REF, begin, 7_200, 9_000)]
    assert later == []


async def test_with_room_for_those_who_come_the_price_is_followed(
    tmp_path: Path,
) -> None:
    async with afternoons(tmp_path, 27, wh=5_520) as queries:
        arrivals = PastArrivals(queries, site)
        found = await arrivals.foreseen(asked(), PLACES)
        assert found.mode is Mode.ECONOMY
        held_a = found.cabinets[0].reserved_a[0]
        assert held_a[0] == 0
        assert max(held_a) > 0
        assert await arrivals.foreseen(asked(Mode.FAIR), PLACES) == asked(Mode.FAIR)


async def test_where_those_who_come_fill_the_cabinet_cars_are_served_at_once(
    tmp_path: Path,
) -> None:
    async with afternoons(tmp_path, 27, wh=30_000) as queries:
        found = await PastArrivals(queries, site).foreseen(asked(), PLACES)
    assert found == asked(Mode.FINISH)


async def test_a_young_site_serves_cars_at_once(tmp_path: Path) -> None:
    async with afternoons(tmp_path, 3, wh=1_000) as queries:
        found = await PastArrivals(queries, site).foreseen(asked(), PLACES)
    assert found == asked(Mode.FINISH)
