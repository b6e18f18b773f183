"""Cabinets, limits, modes, readings, plans, commissioning and the stream of events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import pytest_asyncio

from gateway.api import routes_events
from gateway.bus import Lagged, SettingChanged
from gateway.domain.ids import StationId
from gateway.store import api_tokens
from tests.support.api_site import PASSWORD, ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    folder = tmp_path_factory.mktemp("site")
    async with api_site(folder, {"OLD": PASSWORD, "NEW": PASSWORD}) as running:
        yield running


def at(site: ApiSite, seconds: float = 0.0) -> str:
    return (site.gateway.clock.now() + timedelta(seconds=seconds)).isoformat()


async def cabinet(site: ApiSite) -> dict[str, Any]:
    found: dict[str, Any] = await site.call("GET", "/cabinets/main", role="viewer")
    return found


async def test_cabinets_and_site_are_told(site: ApiSite) -> None:
    view = await cabinet(site)
    assert view["limit_a"] == [63.0, 63.0, 63.0]
    assert {"load_a", "worst_case_a", "headroom_a", "mode", "parent"} <= view.keys()
    assert [one["cabinet_id"] for one in await site.call("GET", "/cabinets")] == [
        "main"
    ]
    whole = await site.call("GET", "/site", role="viewer")
    assert whole["name"] == "Test"
    assert {one["station_id"] for one in whole["stations"]} >= {"OLD", "NEW"}
    assert whole["loads"][0]["load_id"] == "building"
    await site.call("GET", "/cabinets/none", status=404)
    await site.call("GET", "/cabinets/none/plan", status=404)


async def test_a_plan_is_there_without_any_session(site: ApiSite) -> None:
    async def has_plan() -> bool:
        return (await site.send("GET", "/cabinets/main/plan")).status_code == 200

    await site.until(has_plan)
    plan = await site.call("GET", "/cabinets/main/plan", role="viewer")
    assert plan["outcome"]
    assert plan["step_s"] == 900
    assert plan["rows"] == []


async def test_a_mode_is_set_and_audited(site: ApiSite) -> None:
    async def is_in(mode: str) -> bool:
        return bool((await cabinet(site))["mode"] == mode)

    for mode in ("advise", "control"):
        await site.call("PUT", "/cabinets/main/mode", {"mode": mode})
        await site.until(lambda mode=mode: is_in(mode))  # type: ignore[misc]  # bound by default
        line = (await site.call("GET", "/audit?limit=1"))[0]
        assert (line["action"], line["detail"]) == ("mode.set", {"mode": mode})
    await site.call("PUT", "/cabinets/main/mode", {"mode": "off"}, status=422)
    await site.call("PUT", "/cabinets/none/mode", {"mode": "advise"}, status=404)


async def test_a_threshold_lowers_and_is_lifted_again(site: ApiSite) -> None:
    async def has_limit(limit_a: float) -> bool:
        return bool((await cabinet(site))["limit_a"] == [limit_a] * 3)

    path = "/cabinets/main/limit"
    low = await site.call("PUT", path, {"limit_a": [40.19, 40.19, 40.19]})
    assert low["threshold"] == {"limit_a": [40.1] * 3, "limit_w": None, "note": None}
    await site.until(lambda: has_limit(40.1))
    high = await site.call("PUT", path, {"limit_a": [500, 40, 63.1]})
    assert high["threshold"] == {
        "limit_a": [63.0, 40.0, 63.0],
        "limit_w": None,
        "note": "limit_a: 500 A on L1 (fuse 63 A), 63.1 A on L3 (fuse 63 A) is above"
        " the configured limit: the lower counts",
    }
    power = await site.call("PUT", path, {"limit_w": 90_000})
    assert power["threshold"]["note"] == (
        "limit_w: 90000 W is more than the fuses of 43470 W: the lower counts"
    )
    await site.call("PUT", path, {"limit_a": [500, 500, 500]})
    await site.until(lambda: has_limit(63.0))
    await site.call("PUT", path, {"limit_a": None})
    await site.until(lambda: has_limit(63.0))
    for body, code in [
        ({"limit_a": [40, 40]}, "invalid"),
        ({"limit_a": [-1, 40, 40]}, "invalid"),
        ({"limit_w": 1e300}, "invalid"),
        ({"limit_w": 9000, "from": at(site, 60), "until": at(site, 30)}, "empty_time"),
        ({"limit_w": 9000, "from": "tomorrow"}, "invalid"),
        ({"limit": 9000}, "invalid"),
    ]:
        assert (await site.call("PUT", path, body, status=422))["error"] == code, body
    low = await site.call("PUT", path, {"limit_a": [1, 1, 1]}, status=409)
    assert low["error"] == "floors_do_not_fit"
    await site.call("PUT", "/cabinets/none/limit", {"limit_w": 1}, status=404)


async def test_a_manual_limit_of_one_evse_is_checked(site: ApiSite) -> None:
    path = "/evses/OLD/1/limit"
    await site.call("PUT", path, {"limit_a": 10.0}, status=204)
    line = (await site.call("GET", "/audit?limit=1"))[0]
    assert (line["subject"], line["detail"]) == ("evse/OLD/1", {"limit_a": 10.0})
    await site.call("PUT", path, {"limit_a": None}, status=204)
    below = await site.call("PUT", path, {"limit_a": 5.9}, status=422)
    assert below["error"] == "below_floor"
    await site.call("PUT", path, {}, status=422)
    await site.call("PUT", "/evses/OLD/9/limit", {"limit_a": 10}, status=404)
    await site.call("PUT", "/evses/NONE/1/limit", {"limit_a": 10}, status=404)


async def test_readings_of_other_equipment_count_by_their_own_time(
    site: ApiSite,
) -> None:
    path = "/loads/building/reading"
    newest = at(site)
    body = {"at": newest, "current_a": [5.0, 4.0, 3.0]}
    await site.call("PUT", path, body, status=204)
    older = {"at": at(site, -30), "current_a": [9.0, 9.0, 9.0]}
    await site.call("PUT", path, older, status=204)
    whole = await site.call("GET", "/site")
    assert whole["loads"][0]["reading"]["current_a"] == [5.0, 4.0, 3.0]
    feeder = {"at": newest, "power_w": -1500.0}
    await site.call("PUT", "/loads/grid-meter/reading", feeder, status=204)
    for wrong, code in [
        ({"at": newest}, "invalid"),
        ({"at": at(site, 3600), "power_w": 1}, "future"),
        ({"power_w": 1}, "invalid"),
        ({"at": "2026-01-01T00:00:00", "power_w": 1}, "invalid"),
        ({"at": newest, "current_a": [1, 2]}, "invalid"),
        ({"at": newest, "power_w": 1e99}, "invalid"),
    ]:
        assert (await site.call("PUT", path, wrong, status=422))["error"] == code
    await site.call("PUT", "/loads/none/reading", body, status=404)


async def test_commissioning_says_why_it_cannot_run(site: ApiSite) -> None:
    path = "/stations/OLD/commissioning"
    refused = await site.call("POST", path, status=409)
    assert refused["error"] == "not_connected"
    await site.call("POST", "/stations/NOBODY/commissioning", status=404)
    await site.register("LOOSE")
    loose = await site.call("POST", "/stations/LOOSE/commissioning", status=404)
    assert loose["error"] == "no_cabinet"


Next = Any


@asynccontextmanager
async def stream(site: ApiSite, secret: str | None = None) -> AsyncIterator[Next]:
    """The stream of events; yields a function for the next event of a name."""
    headers = {"Authorization": f"Bearer {secret or site.secrets['viewer']}"}
    async with site.client.stream("GET", "/api/v1/events", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        assert await anext(lines) == ": connected"

        async def next_of(name: str) -> dict[str, Any]:
            async with asyncio.timeout(30):
                async for line in lines:
                    if line == f"event: {name}":
                        data = await anext(lines)
                        found: dict[str, Any] = json.loads(data.removeprefix("data: "))
                        return found
            raise AssertionError(f"the stream ended before {name}")

        next_of.lines = lines  # type: ignore[attr-defined]  # for comments
        yield next_of


async def test_events_tell_of_stations_sessions_limits_and_plans(
    site: ApiSite,
) -> None:
    await site.call("PUT", "/id-tokens/DRIVER", {})
    async with stream(site) as next_of, site.station("OLD") as station:
        online = await next_of("station")
        assert (online["station_id"], online["online"]) == ("OLD", True)
        await station.boot()
        assert (await next_of("station"))["kind"] == "StationBooted"
        await site.gateway.dispatch.set_proof(
            StationId("OLD"), is_proven=True, leftovers_known=True
        )
        limit = await next_of("limit")
        assert limit["station_id"] == "OLD"
        await station.ask(
            "StartTransaction",
            {
                "connectorId": 1,
                "idTag": "DRIVER",
                "meterStart": 0,
                "timestamp": at(site),
            },
        )
        session = await next_of("session")
        assert session["station_id"] == "OLD"
        stored = await site.call("GET", f"/sessions/{session['session_id']}")
        assert stored["transaction_id"] == session["transaction_id"]
        plan = await next_of("plan")
        assert plan["cabinet_id"] == "main"
        assert plan["outcome"]
        await site.call(
            "PUT", f"/sessions/{session['session_id']}/request", {"energy_wh": 900}
        )
        asked = await next_of("request")
        assert asked["session_id"] == session["session_id"]

        async def is_planned() -> bool:
            rows = (await site.call("GET", "/cabinets/main/plan"))["rows"]
            mine = [r for r in rows if r["session_id"] == session["session_id"]]
            return bool(mine and mine[0]["why"] and not mine[0]["is_default_need"])

        await site.until(is_planned)


async def test_a_quiet_stream_says_that_it_lives_and_ends_with_its_token(
    site: ApiSite,
) -> None:
    secret = await site.token("viewer")
    with mock.patch.object(routes_events, "KEEP_ALIVE_S", 0.1):
        async with stream(site, secret) as next_of, asyncio.timeout(30):
            async for line in next_of.lines:
                if line == ": still here":
                    break
            rows = await site.gateway.queries.rows(
                "SELECT token_id FROM api_token WHERE sha256 = ?",
                (api_tokens.sha256_of(secret),),
            )
            now = site.parts.wall_clock.now()
            await site.gateway.writer.run(
                lambda conn: api_tokens.revoke_token(conn, rows[0][0], now)
            )
            async for _line in next_of.lines:
                pass


async def test_a_reader_that_falls_behind_is_told(site: ApiSite) -> None:
    bus = site.parts.bus
    with bus.subscribe("slow", limit=2) as subscription:
        for _ in range(5):
            bus.publish(SettingChanged(subject="x", at=site.gateway.clock.now()))
        first = (await subscription.batch())[0]
    assert isinstance(first, Lagged)
    assert routes_events.described(first) == ("lagged", {"dropped": 3})
