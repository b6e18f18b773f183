"""Thousands of readings a second wake nobody who has no use for them."""

from pathlib import Path

from gateway.bus import (
    CommandChanged,
    FactCommitted,
    LinkChanged,
    Notice,
    SessionSettled,
    SettingChanged,
)
from gateway.domain import session as folding
from gateway.domain.events import SessionUpdated, StationBooted, StationNotified
from gateway.domain.ids import SessionId
from tests.support.api_site import api_site
from tests.support.journal import CP2, NOON, eight_readings, ended, started, updated


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
        asked = [
            one.name
            for one in subscriptions
            if one.of is None or {FactCommitted, SessionUpdated} & set(one.of)
        ]
        assert set(asked) <= {
            "commands.effects",
            "dispatch",
            "late-data",
            "main_meters",
            "pricing",
            "settlement",
        }, "who has no use for readings names the classes that it has a use for"


async def test_what_a_service_wants_is_of_a_class_that_it_named(tmp_path: Path) -> None:
    session = folding.empty(SessionId("s"), CP2, "7")
    topics = (
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "NotifyEvent",
        "SecurityEventNotification",
    )
    start, end = started(station=CP2), ended(5, wire_id="7", wh=1, station=CP2)
    boot = StationBooted(
        station_id=CP2, occurred_at=NOON, received_at=NOON, vendor="V", model="M"
    )
    notices: list[Notice] = [
        LinkChanged(station_id=CP2, is_online=True, ocpp_version="1.6", at=NOON),
        SettingChanged(subject="station/CP2", at=NOON),
        SessionSettled(session_id=SessionId("s"), status="settled", at=NOON),
        CommandChanged(
            command_id="c",
            station_id=CP2,
            action="Reset",
            state="queued",
            reason="",
            is_late=False,
            at=NOON,
        ),
        FactCommitted(offset=1, event=boot),
        *(
            FactCommitted(offset=2, event=event, session=folding.apply(session, event))
            for event in (start, end)
        ),
        *(
            FactCommitted(
                offset=3,
                event=StationNotified(
                    station_id=CP2,
                    occurred_at=NOON,
                    received_at=NOON,
                    topic=topic,
                    body={},
                ),
            )
            for topic in topics
        ),
    ]
    async with api_site(tmp_path) as site:
        wanted = set()
        for one in site.parts.bus.subscriptions:
            for notice in notices:
                kinds = {type(notice), type(getattr(notice, "event", notice))}
                if one.wants(notice):
                    wanted.add(one.name)
                    assert one.of is None or kinds & set(one.of), one.name
        assert {"directory", "settlement", "gaps", "commands.queue"} <= wanted
