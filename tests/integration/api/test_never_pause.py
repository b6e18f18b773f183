"""Sessions that plans must not pause: said for the session, its token, or its group."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.domain.ids import EvseRef, SessionId, StationId
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.raw_station import RawStation

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORDS = {"FIRST": PASSWORD, "SECOND": PASSWORD}
EVSE = {"id": 1, "current_type": "AC", "phases": "L1L2L3", "max_a": 16, "min_a": 6}
STATIONS = [{"id": one, "cabinet": "main", "evse": [EVSE]} for one in PASSWORDS]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    folder = tmp_path_factory.mktemp("site")
    async with api_site(folder, PASSWORDS, station=STATIONS) as running:
        await running.call("PUT", "/id-tokens/ANYONE", {})
        await running.call("PUT", "/id-tokens/COURIER", {"may_pause": False})
        await running.call("PUT", "/id-tokens/MEMBER", {"group": "Vans"})
        for name in PASSWORDS:
            await running.gateway.dispatch.set_proof(
                StationId(name), is_proven=True, leftovers_known=True
            )
        yield running


async def started(site: ApiSite, station: RawStation, token: str) -> str:
    begin = {
        "connectorId": 1,
        "idTag": token,
        "meterStart": 0,
        "timestamp": site.parts.clock.now().isoformat(),
    }
    await station.ask("StartTransaction", begin)
    rows = await site.call("GET", f"/sessions?id_token={token}&limit=1")
    return str(rows[0]["session_id"])


async def measured(site: ApiSite, station: RawStation) -> None:
    """A sample that shows obedience: less than any limit."""
    current = {"value": "0.0", "measurand": "Current.Import", "unit": "A"}
    sampled = [{**current, "phase": phase} for phase in ("L1", "L2", "L3")]
    at = site.parts.clock.now().isoformat()
    values = [{"timestamp": at, "sampledValue": sampled}]
    await station.ask("MeterValues", {"connectorId": 1, "meterValue": values})
    await asyncio.sleep(0.2)


def may_pause(site: ApiSite, station_id: str) -> bool | None:
    """What the dispatch plans with; ``None``: it knows of no session there."""
    runner = site.gateway.dispatch.runner(StationId(station_id))
    assert runner is not None
    ref = EvseRef(station_id=StationId(station_id), evse_id=1)
    need = runner.state.evses[ref].need
    return None if need is None else need.may_pause


def planned_floor(site: ApiSite, station_id: str, session_id: str) -> float | None:
    """The least current that the newest problem keeps for a session, A."""
    runner = site.gateway.dispatch.runner(StationId(station_id))
    asked = None if runner is None else runner.planning.asked
    if asked is None:
        return None
    found = [s for s in asked.problem.sessions if s.session_id == session_id]
    return found[0].floor_a if found else None


async def test_a_session_is_not_paused_on_its_own_word(site: ApiSite) -> None:
    async with site.station("FIRST") as station:
        await station.boot()
        session_id = await started(site, station, "ANYONE")

        async def is_planned() -> bool:
            await measured(site, station)
            return planned_floor(site, "FIRST", session_id) == 0

        await site.until(is_planned)
        assert may_pause(site, "FIRST") is True
        path = f"/sessions/{session_id}/request"
        need = {"energy_wh": 20_000}
        await site.call("PUT", path, need)
        body = {"may_pause": False}
        await site.call("PUT", path, body, role="viewer", status=403)
        said = (await site.call("PUT", path, body))["request"]
        assert said["may_pause"] is False
        assert said["energy_wh"] == 20_000, "the need stays as it was"
        await site.until(lambda: _now(may_pause(site, "FIRST") is False))
        await site.until(lambda: _now(planned_floor(site, "FIRST", session_id) == 6))
        said = (await site.call("PUT", path, {"energy_wh": 9_000}))["request"]
        assert (said["energy_wh"], said["may_pause"]) == (9_000, False)
        trail = await site.call("GET", "/audit", role="auditor")
        told = [one for one in trail if one["action"] == "session.pausing"]
        assert [one["detail"] for one in told] == [{"may_pause": False}]


async def test_alone_it_states_no_need(site: ApiSite) -> None:
    async with site.station("SECOND") as station:
        await station.boot()
        session_id = await started(site, station, "COURIER")
        await site.until(lambda: _now(may_pause(site, "SECOND") is False))
        link = site.parts.live
        token = site.parts.needs.driver_token(SessionId(session_id))
        shown = link.driver(token)
        assert shown is not None
        assert shown["may_pause"] is False, "by its token"
        path = f"/sessions/{session_id}/request"
        said = (await site.call("PUT", path, {"may_pause": True}))["request"]
        assert said["is_default"] is True
        assert said["energy_wh"] is None
        await site.until(lambda: _now(may_pause(site, "SECOND") is True))
        await link.set_need(token, None, None, may_pause=False)
        await site.until(lambda: _now(may_pause(site, "SECOND") is False))
        empty = await site.call("PUT", path, {}, status=422)
        assert empty["error"] == "empty_request"


async def test_all_tokens_of_a_group_can_be_spared(site: ApiSite) -> None:
    put = await site.call("PUT", "/need-groups/vans", {"may_pause": False})
    assert put["may_pause"] is False
    listed = await site.call("GET", "/need-groups", role="viewer")
    assert [one["may_pause"] for one in listed] == [False]
    async with site.station("FIRST") as station:
        await station.boot()
        await started(site, station, "MEMBER")
        await site.until(lambda: _now(may_pause(site, "FIRST") is False))
    token = await site.call("GET", "/id-tokens/COURIER")
    assert token["may_pause"] is False
    assert (await site.call("GET", "/id-tokens/MEMBER"))["may_pause"] is True


async def _now(holds: bool) -> bool:
    return holds
