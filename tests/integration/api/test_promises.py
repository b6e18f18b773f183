"""What drivers are promised: assumed needs, and what a request comes to at once."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from gateway.domain.ids import StationId
from gateway.domain.topology import Site
from gateway.services.need_policy import LEAST_ERRORS, NeedPolicy
from gateway.store import requests
from tests.support.api_site import ApiSite, api_site
from tests.support.billed import Talk16, ago

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    folder = tmp_path_factory.mktemp("site")
    passwords = {"OLD": "correct-horse-battery", "NEW": "correct-horse-battery"}
    async with api_site(folder, passwords) as running:
        await running.call("PUT", "/id-tokens/WORKER", {"group": "Crew"})
        await running.call("PUT", "/id-tokens/GUEST", {})
        for name in passwords:
            await running.gateway.dispatch.set_proof(
                StationId(name), is_proven=True, leftovers_known=True
            )
        yield running


async def promised(site: ApiSite, station_id: str) -> dict[str, Any]:
    """The newest session of a station, once a plan promises it something."""
    found: dict[str, Any] = {}

    async def is_promised() -> bool:
        rows = await site.call("GET", f"/sessions?station_id={station_id}&limit=1")
        found.update(rows[0] if rows else {})
        return bool(rows and rows[0]["promise"])

    await site.until(is_promised)
    return found


async def test_a_need_of_a_group_is_kept_and_checked(site: ApiSite) -> None:
    path = "/need-groups/crew"
    body = {"energy_wh": 8_000, "stay_s": 32_400}
    put = await site.call("PUT", path, body)
    assert put["group"] == "crew"
    assert await site.call("GET", "/need-groups", role="viewer") == [put]
    empty = await site.call("PUT", path, {}, status=422)
    assert empty["error"] == "empty_request"
    for bad in ({"stay_s": 10}, {"energy_wh": -1}, {"energy": 1}):
        await site.call("PUT", path, bad, status=422)
    await site.call("PUT", path, body, role="viewer", status=403)
    unknown = await site.call("DELETE", "/need-groups/nobody", status=404)
    assert unknown["error"] == "unknown_group"


async def test_who_says_nothing_is_assumed_to_need_what_the_group_does(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/need-groups/crew", {"energy_wh": 8_000, "stay_s": 32_400})
    async with site.station("OLD") as station:
        await station.boot()
        start = {
            "connectorId": 1,
            "idTag": "WORKER",
            "meterStart": 0,
            "timestamp": site.parts.clock.now().isoformat(),
        }
        await station.ask("StartTransaction", start)
        promise = (await promised(site, "OLD"))["promise"]
        assert promise["energy_from"] == "token_group"
        assert promise["departure_from"] == "token_group"
        assert promise["is_default"] is True
        assert promise["likely_wh"] == 8_000
        assert promise["guaranteed_wh"] == 8_000, "its floor of 6 A is enough for that"
        assert promise["at_risk"] is False
    await site.call("DELETE", "/need-groups/CREW", status=204)
    assert await site.call("GET", "/need-groups") == []


async def test_a_request_says_at_once_whether_it_can_be_met(site: ApiSite) -> None:
    async with site.station("NEW") as station:
        await station.boot()
        now = site.parts.clock.now()
        start = {
            "connectorId": 1,
            "idTag": "GUEST",
            "meterStart": 0,
            "timestamp": now.isoformat(),
        }
        await station.ask("StartTransaction", start)
        session = await promised(site, "NEW")
        assert session["promise"]["energy_from"] == "built_in"
        path = f"/sessions/{session['session_id']}"

        async def verdict(energy_wh: int, **left: float) -> str:
            by = (now + timedelta(**left)).isoformat().replace("+00:00", "Z")
            query = f"energy_wh={energy_wh}&departure_at={by}"
            found = await site.call("GET", f"{path}/feasibility?{query}", role="viewer")
            assert found["sure_wh"] <= found["most_wh"]
            return str(found["verdict"])

        assert await verdict(10_000, hours=5) == "fits"
        assert await verdict(50_000, hours=1) == "beyond"
        assert (await site.call("GET", path))["request"] is None, "nothing was changed"
        later = (now + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        body = {"energy_wh": 40_000, "departure_at": later}
        answer = await site.call("PUT", f"{path}/request", body)
        assert answer["feasibility"]["verdict"] == "beyond"
        most_wh = answer["feasibility"]["most_wh"]
        assert 10_000 < most_wh <= 16 * 230 * 3

        async def is_at_risk() -> bool:
            promise = (await site.call("GET", path))["promise"]
            if not promise["at_risk"]:
                await site.call("PUT", f"{path}/request", body)
            return bool(promise["at_risk"] and promise["energy_from"] == "driver")

        await site.until(is_at_risk)
        promise = (await site.call("GET", path))["promise"]
        assert promise["likely_wh"] <= most_wh + 4, "a plan starts on a whole second"
        assert promise["guaranteed_wh"] < promise["likely_wh"]
        assert promise["reason"].startswith("16 A until ")
        rows = (await site.call("GET", "/cabinets/main/plan"))["rows"]
        mine = next(r for r in rows if r["session_id"] == session["session_id"])
        assert mine["at_risk"] is True
        assert mine["guaranteed_wh"] == promise["guaranteed_wh"]


async def test_of_a_session_without_a_plan_nothing_is_said(site: ApiSite) -> None:
    await site.register("FREE")
    async with site.station("FREE") as station:
        await station.boot()
        start = {
            "connectorId": 1,
            "idTag": "GUEST",
            "meterStart": 0,
            "timestamp": site.parts.clock.now().isoformat(),
        }
        await station.ask("StartTransaction", start)
        row = (await site.call("GET", "/sessions?station_id=FREE"))[0]
        path = f"/sessions/{row['session_id']}"
        missing = await site.call("GET", f"{path}/feasibility", status=404)
        assert missing["error"] == "no_plan"
        answer = await site.call("PUT", f"{path}/request", {"energy_wh": 5_000})
        assert answer["feasibility"] is None


async def test_what_sessions_of_this_hour_needed_is_read_from_the_store(
    site: ApiSite,
) -> None:
    await site.register("PAST")
    async with site.station("PAST") as station:
        await station.boot()
        talk = Talk16(station)
        for index in range(14):
            number = await talk.start(ago(site, hours=50 - 2 * index), 0)
            stop = ago(site, hours=49 - 2 * index)
            await talk.stop(number, stop, 9_000 + 100 * index)
    policy = NeedPolicy(site.parts.queries, lambda: Site(timezone="UTC"))
    rows = await site.call("GET", "/sessions?station_id=PAST&open=true")
    assert rows == []
    session = await site.parts.queries.session(
        (await site.call("GET", "/sessions?station_id=PAST&limit=1"))[0]["session_id"]
    )
    assert session is not None
    found = await policy.of_history(session, site.parts.clock.now())
    assert found.energy_wh == 10_000
    assert found.stay_s == pytest.approx(3_600, abs=2)
    now = site.parts.clock.now()
    leaves = await policy.departures(session, None, now)
    assert len(leaves) == 14
    assert session.started_at is not None
    stays_s = [(at - session.started_at).total_seconds() for at in leaves]
    assert stays_s == pytest.approx([3_600] * 14, abs=2)
    assert await policy.departures(session, now, now) == (), "nobody said anything"


async def test_how_right_drivers_were_is_read_from_the_store(site: ApiSite) -> None:
    await site.register("SAID")
    async with site.station("SAID") as station:
        await station.boot()
        talk = Talk16(station)
        for index in range(LEAST_ERRORS):
            number = await talk.start(ago(site, hours=80 - 2 * index), 0)
            await talk.stop(number, ago(site, hours=79 - 2 * index), 9_000)
    parts = site.parts
    rows = await site.call("GET", "/sessions?station_id=SAID&limit=100")
    assert len(rows) == LEAST_ERRORS
    policy = NeedPolicy(parts.queries, lambda: Site(timezone="UTC"))
    now = parts.clock.now()
    leaves: tuple[datetime, ...] = ()
    for index, row in enumerate(rows):
        session = await parts.queries.session(row["session_id"])
        assert session is not None
        assert session.ended_at is not None
        await parts.writer.run(
            partial(
                requests.put,
                session_id=session.session_id,
                energy_wh=None,
                target_soc_percent=None,
                departure_at=session.ended_at + timedelta(minutes=index),
                is_default=False,
                source="test",
                now=session.ended_at,
            )
        )
        if index == LEAST_ERRORS - 1:
            leaves = await policy.departures(session, now + timedelta(hours=1), now)
    sooner = [now + timedelta(hours=1) - at for at in leaves]
    assert sooner == [timedelta(minutes=n) for n in reversed(range(LEAST_ERRORS))]
