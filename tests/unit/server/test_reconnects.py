"""Flapping and fights are counted per station, over the last minute only."""

from gateway.domain.ids import StationId
from gateway.server.reconnects import (
    MAX_CONNECTS,
    MAX_TAKEOVERS,
    WINDOW_S,
    Reconnects,
    Takeovers,
)

CP1, CP2 = StationId("CP1"), StationId("CP2")


def test_a_station_may_come_back_so_often_and_no_more() -> None:
    reconnects = Reconnects()
    assert all(reconnects.may_connect(CP1, 0.5) for _ in range(MAX_CONNECTS))
    assert not reconnects.may_connect(CP1, 1.0)
    assert reconnects.may_connect(CP2, 1.0)


def test_what_was_refused_does_not_prolong_the_wait() -> None:
    reconnects = Reconnects()
    for _ in range(3 * MAX_CONNECTS):
        reconnects.may_connect(CP1, 0.0)
    assert reconnects.may_connect(CP1, WINDOW_S)


def test_quiet_stations_are_forgotten() -> None:
    reconnects = Reconnects()
    reconnects.may_connect(CP1, 0.0)
    reconnects.may_connect(CP2, WINDOW_S)
    reconnects.forget(WINDOW_S)
    assert list(reconnects._connects) == [CP2]


def test_a_fight_is_told_once_and_is_over_after_a_minute() -> None:
    takeovers = Takeovers()
    told = [
        takeovers.note(CP1, 1.0, "10.0.0.1:500", "10.0.0.2:600")
        for _ in range(MAX_TAKEOVERS + 3)
    ]
    assert told == [False] * MAX_TAKEOVERS + [True, False, False]
    assert takeovers.contested(CP1, 2.0) == ("10.0.0.1", "10.0.0.2")
    assert takeovers.contested(CP2, 2.0) == ()
    assert takeovers.contested(CP1, 1.0 + WINDOW_S) == ()
    assert takeovers._seen == {}


def test_one_address_fights_with_nobody() -> None:
    takeovers = Takeovers()
    for port in range(50):
        assert not takeovers.note(CP1, 1.0, f"10.0.0.1:{port}", f"10.0.0.1:{port + 1}")
    assert takeovers.contested(CP1, 1.0) == ()
