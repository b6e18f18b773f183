"""Thousands of readings a second wake nobody who has no use for them."""

from pathlib import Path

from gateway.bus import FactCommitted
from gateway.domain import session as folding
from gateway.domain.ids import SessionId
from tests.support.api_site import api_site
from tests.support.journal import CP2, eight_readings, updated


async def test_a_reading_of_a_station_outside_of_cabinets_wakes_no_service(
    tmp_path: Path,
) -> None:
    event = updated(1, wire_id="7", station=CP2, readings=eight_readings(1, 1000))
    session = folding.empty(SessionId("s"), CP2, "7")
    notice = FactCommitted(offset=1, event=event, session=folding.apply(session, event))
    async with api_site(tmp_path) as site:
        subscriptions = site.parts.bus.subscriptions
        assert {"dispatch", "settlement"} <= {one.name for one in subscriptions}
        assert [one.name for one in subscriptions if one.wants(notice)] == []
