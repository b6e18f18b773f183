"""The requests of ``docs/api.md`` are what the API takes, and what it answers."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pydantic import TypeAdapter

from gateway.api import app
from sim_chargers.clock import SiteClock
from sim_chargers.events import Events
from sim_chargers.evse import EvseSpec
from sim_chargers.fleet import make_charger
from sim_chargers.life import Surroundings
from sim_chargers.scenario import StationSpec
from tests.docs import pages, routes
from tests.support.api_site import PASSWORD, ApiSite, api_site

EXAMPLES: Final = list(routes.examples())
VERSIONS: Final = {"CP001": "1.6", "CP002": "2.0.1"}
EXTRA: Final = frozenset({"readonly"})
"""Members that some items of an answer have and others do not."""


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_documented_body_is_one_that_its_route_takes(example: routes.Example) -> None:
    route = routes.route_of(example)
    assert route is not None, "no such route"
    (body,) = route.dependant.body_params
    model: Any = body.field_info.annotation
    TypeAdapter(model).validate_python(example.body)


def test_every_route_with_a_body_has_an_example_or_is_told_in_words() -> None:
    shown = {str(route) for route in map(routes.route_of, EXAMPLES)}
    takes = {
        str(route): f"{routes.method_of(route)} {route.path}"
        for route in routes.routes()
        if route.dependant.body_params
    }
    missing = {told for route, told in takes.items() if route not in shown}
    assert missing == {"POST /stations/{station_id}/certificates"}


def test_every_event_of_the_stream_is_told() -> None:
    source = (pages.ROOT / "gateway/api/routes_events.py").read_text("utf-8")
    told = {
        pages.words(cells[0])[0]
        for cells in pages.rows(routes.PAGE, "Event stream")[1:]
    }
    sent = {line.split('"')[1] for line in source.splitlines() if 'return "' in line}
    assert told == sent


@dataclass
class Site:
    """A gateway with a station of each version, and somebody who reads the page."""

    api: ApiSite
    session_id: str

    async def run(self, example: routes.Example) -> httpx.Response:
        """Send a documented request, once its station is there."""
        path = example.path.replace("SESSION", self.session_id)
        station_id = next((one for one in VERSIONS if f"/{one}" in path), None)
        if station_id is not None:
            await self.api.until(lambda: self._is_ready(station_id))
        return await self.api.send(
            example.method, path, example.body, role=example.role
        )

    async def _is_ready(self, station_id: str) -> bool:
        shown = await self.api.call("GET", f"/stations/{station_id}")
        return bool(shown["online"])


@asynccontextmanager
async def stations(site: ApiSite) -> AsyncIterator[None]:
    """Simulated stations, as long as the block lasts."""
    around = Surroundings(
        url=site.gateway.ocpp_url,
        clock=SiteClock(),
        events=Events(stream=io.StringIO()),
        call_timeout_s=5.0,
    )
    async with asyncio.TaskGroup() as group:
        tasks = []
        for station_id, version in VERSIONS.items():
            spec = StationSpec(
                id=station_id,
                ocpp=version,
                evses=(EvseSpec(evse_id=1),),
                password=PASSWORD,
            )
            charger = make_charger(spec, around, frozenset())
            charger.link.backoff_first_s = 0.05
            tasks.append(group.create_task(charger.run()))
        yield
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def reader(folder: Path) -> AsyncIterator[Site]:
    evse = {"evse_id": 1, "max_a": 16, "min_a": 6, "floor_a": 6}
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(api_site(folder, {"OLD": PASSWORD}))
        for station_id in VERSIONS:
            await api.register(
                station_id, cabinet_id="main", managed=True, evses=[evse]
            )
        await api.call("PUT", "/id-tokens/DRIVER", {})
        old = await stack.enter_async_context(api.station("OLD"))
        await old.boot()
        begin = {"connectorId": 1, "idTag": "DRIVER", "meterStart": 0}
        now = api.gateway.clock.now().isoformat()
        await old.ask("StartTransaction", {**begin, "timestamp": now})
        (session,) = await api.call("GET", "/sessions?open=true")
        await stack.enter_async_context(stations(api))
        yield Site(api, session["session_id"])


async def test_every_documented_request_is_answered_as_the_page_says(
    tmp_path: Path,
) -> None:
    wrong = []
    async with reader(tmp_path) as site:
        for example in EXAMPLES:
            answer = await site.run(example)
            is_as_told = (
                answer.is_success
                if example.status is None
                else answer.status_code == example.status
            )
            if not is_as_told:
                wrong.append(f"{example}: {answer.status_code} {answer.text}")
            elif example.answer is not None:
                wrong += differences(example.answer, answer.json(), str(example))
    assert wrong == []


def differences(told: Any, real: Any, path: str) -> list[str]:
    """Members that only one of two answers has; values are free."""
    if isinstance(told, dict) and isinstance(real, dict):
        apart = (told.keys() ^ real.keys()) - EXTRA
        found = [f"{path}: only one has {name}" for name in sorted(apart)]
        for name in told.keys() & real.keys():
            found += differences(told[name], real[name], f"{path}.{name}")
        return found
    if isinstance(told, list) and isinstance(real, list) and told and real:
        return differences(told[0], real[0], f"{path}[0]")
    is_alike = type(told) is type(real) or None in {told, real} or told == real
    return [] if is_alike else [f"{path}: {real!r}"]


def test_a_member_that_only_the_page_has_is_a_difference() -> None:
    assert differences({"a": [{"b": 1}]}, {"a": [{"c": 1}]}, "$") == [
        "$.a[0]: only one has b",
        "$.a[0]: only one has c",
    ]
    assert app.PREFIX == "/api/v1", "as the page says"
