"""A station that its obedience test keeps out, at the real port."""

import asyncio
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from gateway.domain.ids import StationId
from tests.support.api_site import api_site

OLD = StationId("OLD")


@pytest.mark.quirk(26)
async def test_a_station_is_refused_until_its_time_is_over(tmp_path: Path) -> None:
    async with api_site(tmp_path) as site:
        await site.register("OLD")
        links = site.parts.api_context().links
        async with site.station("OLD") as station:
            await station.boot()
            links.keep_out(OLD, 6.0)  # type: ignore[attr-defined]  # the real registry
            async with asyncio.timeout(30):
                while links.is_online(OLD):  # noqa: ASYNC110 - another task closes it
                    await asyncio.sleep(0.01)
        with pytest.raises(InvalidStatus) as refused:
            async with site.station("OLD"):
                pass
        response = refused.value.response
        assert response.status_code == 503
        assert 1 <= int(response.headers["Retry-After"]) <= 6
        await asyncio.sleep(6.1)
        async with site.station("OLD") as station:
            assert (await station.boot())["status"] == "Accepted"
