"""Simulated stations that do not take every limit, at the whole gateway."""

from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import StationId
from gateway.services import limit_answers, read_back
from sim_chargers.charger import Charger
from tests.integration.sim.test_flow import car, station
from tests.integration.sim.tiny_csms import TinyCsms
from tests.support.api_site import ApiSite, api_site

STATION = StationId("CP1")
SECRET = "picky-horse"
VERSIONS = ("1.6", "2.0.1")
REFUSED = {
    "no-session-limits": ["session"],
    "watts-only": ["ampere"],
    "relative-only": ["absolute"],
    "no-zero-limit": ["zero"],
    "three-periods": [],
}
"""Fault -> what is learned of such a station."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_answers, "RETRY_S", 0.1)
    monkeypatch.setattr(read_back, "AGAIN_S", 0.1)


async def register(site: ApiSite) -> None:
    evse = {"evse_id": 1, "current_type": "AC", "phases": "L1L2L3", "max_a": 16}
    await site.call("PUT", "/id-tokens/CARD", {"status": "Accepted"})
    await site.register(
        "CP1", managed=True, cabinet_id="main", evses=[evse], password=SECRET
    )


async def begin(cp: Charger) -> None:
    assert cp.plug_in(1, car())
    assert await cp.present_token(1, "CARD")


async def capability(site: ApiSite) -> dict[str, Any]:
    found: dict[str, Any] = await site.call("GET", "/stations/CP1/capability")
    return found


@pytest.mark.quirk(25)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fault", REFUSED)
async def test_a_picky_station_is_told_what_it_takes_and_charges(
    tmp_path: Path, fault: str, version: str
) -> None:
    async with api_site(tmp_path) as site:
        await register(site)
        where = TinyCsms(port=int(site.gateway.ocpp_url.split(":")[2].split("/")[0]))
        async with station(where, version, fault, password=SECRET) as cp:
            await begin(cp)

            async def is_limited() -> bool:
                rows = site.gateway.writer.run(
                    lambda conn: conn.execute(
                        "SELECT count(*) FROM limit_command WHERE station_id = 'CP1'"
                        " AND session_id IS NOT NULL AND outcome = 'accepted'"
                    ).fetchone()
                )
                return bool((await rows)[0])

            await site.until(is_limited)
            known = await capability(site)
            assert known["refused"] == REFUSED[fault]
            assert known["controlled"]
            assert len(cp.profiles) > 0


@pytest.mark.quirk(25)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_false_schedule_is_found_out(tmp_path: Path, version: str) -> None:
    async with api_site(tmp_path) as site:
        await register(site)
        where = TinyCsms(port=int(site.gateway.ocpp_url.split(":")[2].split("/")[0]))
        async with station(where, version, "false-schedules", password=SECRET):

            async def is_doubted() -> bool:
                evse = site.gateway.dispatch.evse(STATION, 1)
                return evse is not None and evse.doubt == "false_schedule"

            await site.until(is_doubted)


@pytest.mark.quirk(25)
async def test_a_forgetful_station_has_no_limits_after_a_restart(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path) as site:
        await register(site)
        where = TinyCsms(port=int(site.gateway.ocpp_url.split(":")[2].split("/")[0]))
        async with station(where, "1.6", "forgetful", password=SECRET) as cp:

            async def is_set_up() -> bool:
                return len(cp.profiles) > 0

            await site.until(is_set_up)
            runner = site.gateway.dispatch.runner(STATION)
            assert runner is not None
            runner.state.stations[STATION].is_tested = True  # nothing is set again
            reset = {"action": "Reset", "payload": {"type": "Soft"}}
            await site.call("POST", "/stations/CP1/calls", reset)

            async def is_forgotten() -> bool:
                return len(cp.profiles) == 0

            await site.until(is_forgotten)
            runner.state.stations[STATION].is_tested = False
            await site.until(is_set_up)
