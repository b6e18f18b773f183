"""What a station's page says."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.web.station_parts import parts
from gateway.web.station_tables import until
from gateway.web.station_words import clock_words, limit_words
from gateway.web.times import moment, span
from tests.support.pages_site import EPOCH, EVIL, fake_site
from tests.support.pages_station import bare_station, full_station

BERLIN = ZoneInfo("Europe/Berlin")


def station(**members: Any) -> dict[str, Any]:
    (first, *_) = fake_site().stations()
    return full_station(first | members, EPOCH)


def test_every_part_of_a_full_page_says_something() -> None:
    found = parts(station(), EPOCH, BERLIN)
    whole = "".join(found.values())
    for text in (
        "10.0.0.7 and 10.0.0.9",
        "fought over",
        "60000",
        "20 min ahead of ours",
        "could not be brought up to date",
        "3 · TLS with a certificate",
        "expires soon",
        "waits for the station",
        "accepted, but nothing came of it",
        "EVSE 1: 16.0 A, then 0.0 A",
        "any EVSE",
        "0f1e2d3c4b5a6978",
        "not the pinned one",
        "1207",
        "TypeConstraintViolation",
        "21:09:00 CET",
    ):
        assert text in whole
    assert all(found.values())


def test_a_station_that_never_came_says_what_to_do() -> None:
    (first, *_) = fake_site().stations()
    found = parts(bare_station(first, EPOCH), EPOCH, BERLIN)
    assert "✕" in found["top"]
    assert "Last heard never" in found["top"]
    assert "until it is accepted" in found["trouble"]
    assert "PUT /api/v1/stations/ID" in found["evses"]
    assert "POST /api/v1/stations/ID/commands" in found["commands"]
    assert found["facts"].count("not known yet") == 3
    assert "none was ever sent" in found["facts"]


def test_a_calm_station_has_no_trouble() -> None:
    calm = station() | {
        "alarms": [],
        "unbelieved_evses": [],
        "connection": None,
        "online": True,
    }
    assert parts(calm, EPOCH, BERLIN)["trouble"] == ""


@pytest.mark.parametrize(
    ("version", "is_marked"), [("TLSv1", True), ("TLSv1.1", True), ("TLSv1.2", False)]
)
def test_tls_below_1_2_is_marked(version: str, *, is_marked: bool) -> None:
    calm = station()
    used = calm["connection"] | {"tls_version": version, "cipher": "AES128-SHA"}
    shown = parts(calm | {"connection": used}, EPOCH, BERLIN)["security"]
    assert f"{version} · AES128-SHA" in shown
    assert (f"too old: {version} " in shown) is is_marked


def test_an_offline_station_says_so_first() -> None:
    found = parts(station(online=False), EPOCH, BERLIN)
    assert "offline" in found["top"]
    assert "last known" in found["trouble"]
    assert "no</dd>" in found["facts"]


def test_nothing_a_station_says_becomes_markup() -> None:
    evil = station(station_id=EVIL, vendor=EVIL, firmware=EVIL, serial=EVIL)
    evil["deviations"] = [evil["deviations"][0] | {"path": EVIL, "detail": EVIL}]
    evil["commands"] = [evil["commands"][2] | {"detail": EVIL, "action": EVIL}]
    evil["refused"] = [evil["refused"][0] | {"description": EVIL, "action": EVIL}]
    evil["orphans"] = [evil["orphans"][0] | {"transaction_id": EVIL}]
    evil["reservations"] = [evil["reservations"][0] | {"id_token": EVIL}]
    evil["local_list"] |= {"detail": EVIL}
    evil["alarms"] = [{"component": EVIL, "variable": EVIL, "value": EVIL}]
    evil["certificates"] = [evil["certificates"][0] | {"serial": EVIL}]
    evil["meter_keys"] = [evil["meter_keys"][0] | {"meter_serial": EVIL}]
    html = "".join(parts(evil, EPOCH, BERLIN).values())
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 14


@pytest.mark.parametrize(
    ("offset_s", "words", "is_bad"),
    [
        (None, "not known yet", False),
        (-4.9, "right within 5 s", False),
        (30.0, "30 s ahead of ours", False),
        (-1203.0, "20 min behind ours; 60 s are allowed for", True),
    ],
)
def test_a_clock_is_judged_by_what_is_allowed_for(
    offset_s: float | None, words: str, *, is_bad: bool
) -> None:
    said, is_flagged = clock_words(offset_s, 60.0)
    assert said.startswith(words)
    assert is_flagged is is_bad


@pytest.mark.parametrize(
    ("days", "words"),
    [(-1, "expired"), (29, "expires soon"), (31, "valid until"), (None, "unknown")],
)
def test_a_certificate_says_when_it_ends(days: int | None, words: str) -> None:
    end = None if days is None else (EPOCH + timedelta(days=days)).isoformat()
    said = until(end, EPOCH, BERLIN)
    assert words in said
    assert ("class=" in said) is (days is not None and days < 30)


def test_times_have_their_zone_and_the_date_where_it_matters() -> None:
    assert moment("2026-01-15T20:09:00Z", EPOCH, BERLIN) == "21:09:00 CET"
    assert moment("2026-01-15T23:30:00Z", EPOCH, BERLIN) == "16 Jan, 00:30 CET"
    assert moment("2025-07-01T10:00:00Z", EPOCH, BERLIN) == "01 Jul 2025, 12:00 CEST"
    assert moment(None, EPOCH, BERLIN) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(61, "61 s"), (1203, "20 min"), (9000, "2 h"), (400_000, "5 days")],
)
def test_a_span_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_limit_without_a_step_is_shown_as_that() -> None:
    assert limit_words({"payload": {"evse_id": 0, "steps": []}}) == (
        "whole station: no step"
    )
