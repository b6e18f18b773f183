"""Who is offered which notice."""

from datetime import UTC, datetime

from gateway.bus import (
    Bus,
    FactCommitted,
    LinkChanged,
    Notice,
    SettingChanged,
)
from gateway.domain.events import SessionUpdated, StationNotified
from gateway.domain.ids import StationId

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
CP1 = StationId("CP1")
LINK = LinkChanged(station_id=CP1, is_online=True, ocpp_version="1.6", at=NOON)
SETTING = SettingChanged(subject="station/CP1", at=NOON)
READING = FactCommitted(
    offset=1,
    event=SessionUpdated(
        station_id=CP1,
        evse=None,
        occurred_at=NOON,
        received_at=NOON,
        transaction_id="1",
    ),
)
TOLD = FactCommitted(
    offset=2,
    event=StationNotified(
        station_id=CP1, occurred_at=NOON, received_at=NOON, topic="T", body={}
    ),
)
ALL: list[Notice] = [LINK, SETTING, READING, TOLD]


def is_link(notice: Notice) -> bool:
    """What a subscriber may ask of every notice."""
    return isinstance(notice, LinkChanged)


def _publish_all(bus: Bus) -> None:
    for notice in ALL:
        bus.publish(notice)


async def test_a_class_is_one_of_notices_or_of_the_events_of_facts() -> None:
    bus = Bus()
    with (
        bus.subscribe("all") as everything,
        bus.subscribe("links", wants=is_link, of=(LinkChanged,)) as links,
        bus.subscribe("facts", of=(FactCommitted,)) as facts,
        bus.subscribe("told", of=(StationNotified, SettingChanged)) as told,
        bus.subscribe("none", wants=is_link, of=(StationNotified,)) as none,
    ):
        _publish_all(bus)
        assert everything.drain() == ALL
        assert links.drain() == [LINK]
        assert facts.drain() == [READING, TOLD]
        assert told.drain() == [SETTING, TOLD]
        assert none.drain() == []


async def test_who_comes_later_hears_what_is_said_later_and_who_left_nothing() -> None:
    bus = Bus()
    _publish_all(bus)
    with bus.subscribe("first", of=(LinkChanged,)) as first:
        _publish_all(bus)
        with bus.subscribe("second", of=(LinkChanged,)) as second:
            _publish_all(bus)
        _publish_all(bus)
    _publish_all(bus)
    assert len(first.drain()) == 3
    assert second.drain() == [LINK]
