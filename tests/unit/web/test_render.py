"""The pieces of the cockpit."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from gateway.clock import ScaledClock
from gateway.web import plan_table, render
from gateway.web.attention import attention
from gateway.web.chart import Point, chart_json, corners, thinned, wall_ms
from gateway.web.header import header
from tests.support.pages_site import EPOCH, EVIL, FakeSite

BERLIN = ZoneInfo("Europe/Berlin")


class _Still(ScaledClock):
    @override
    def now(self) -> datetime:
        return EPOCH


def still_site() -> FakeSite:
    return FakeSite(_Still.starting_at(EPOCH, 1.0))


def _station(**evse: Any) -> dict[str, Any]:
    one = {"evse_id": 1, "rated_w": 11_000, "limit_w": 8_000, "power_w": None}
    return {
        "station_id": "CP-1",
        "online": True,
        "last_seen_at": EPOCH.isoformat(),
        "evses": [one | evse],
    }


@pytest.mark.parametrize(
    ("evse", "word"),
    [
        ({"availability": "available"}, "free"),
        ({"availability": None}, "free"),
        ({"availability": "occupied"}, "plugged in"),
        ({"availability": "reserved"}, "reserved"),
        ({"availability": "unavailable"}, "out of service"),
        ({"availability": "faulted", "session_id": "s"}, "fault"),
        ({"session_id": "s", "charging_state": "charging"}, "charging"),
        ({"session_id": "s", "charging_state": "suspended_ev"}, "car paused"),
        ({"session_id": "s", "charging_state": "suspended_evse"}, "paused by us"),
        ({"session_id": "s", "charging_state": "finishing"}, "finishing"),
        ({"session_id": "s", "charging_state": None}, "waiting"),
    ],
)
def test_every_state_has_a_word(evse: dict[str, Any], word: str) -> None:
    station = _station(**evse)
    assert render.mark_of(station, station["evses"][0]).word == word
    assert word in render.evse_tile(station, station["evses"][0], EPOCH)


def test_an_offline_station_says_so_whatever_its_last_state_was() -> None:
    station = _station(session_id="s", charging_state="charging") | {"online": False}
    assert render.mark_of(station, station["evses"][0]) is render.OFFLINE


def test_a_power_that_is_half_an_hour_old_is_not_shown_as_a_number() -> None:
    old = (EPOCH - timedelta(minutes=31)).isoformat()
    station = _station(session_id="s", power_w=7_000, measured_at=old)
    tile = render.evse_tile(station, station["evses"][0], EPOCH)
    assert "7.0" not in tile
    assert "31 min ago" in tile


def test_texts_of_stations_never_become_markup() -> None:
    site = still_site()
    plans = {c["cabinet_id"]: site.plan(c["cabinet_id"]) for c in site.cabinets()}
    html = "".join(
        [
            render.evse_wall(render.evse_tiles(site.stations(), EPOCH)),
            plan_table.table(plans, EPOCH, BERLIN),
            attention(site.stations(), site.cabinets(), plans, EPOCH),
            header(site.site() | {"name": EVIL, "price": EVIL}, EPOCH, BERLIN),
            render.cabinet_panel(site.cabinets()[0] | {"cabinet_id": EVIL}),
            render.ledger_strip(site.site()["ledger"] | {"backend": EVIL}, EPOCH),
        ]
    )
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 6


def test_a_station_without_described_sockets_is_still_on_the_wall() -> None:
    tiles = render.evse_tiles([_station() | {"evses": []}], EPOCH)
    assert "not in any cabinet yet" in tiles["tile:CP-1/–"]


def test_what_needs_a_person_comes_worst_first() -> None:
    site = still_site()
    over = site.cabinets()[0] | {"state": "over_limit"}
    html = attention(site.stations(), [over], {"A": site.plan("A")}, EPOCH)
    places = [
        html.index(text)
        for text in ("over its limit", "reports a fault", "is offline", "will be short")
    ]
    assert places == sorted(places)
    assert "4 things need you" in html


@pytest.mark.parametrize(
    ("state", "line", "badge"),
    [
        ("shedding", "Cabinet A holds back", "holding back"),
        ("feeder_lost", "Cabinet A has lost its feeder meter", "feeder meter lost"),
    ],
)
def test_a_cabinet_says_what_its_feeder_meter_means(
    state: str, line: str, badge: str
) -> None:
    cabinet = still_site().cabinets()[0] | {"state": state, "note": "why <b>"}
    html = attention([], [cabinet], {}, EPOCH)
    assert line in html
    assert "why &lt;b&gt;" in html
    panel = render.cabinet_panel(cabinet)
    assert badge in panel
    assert "why &lt;b&gt;" in panel


def test_who_was_refused_of_late_is_shown_as_text() -> None:
    late, old = EPOCH - timedelta(minutes=2), EPOCH - timedelta(hours=5)
    knocks = [
        {
            "station_id": station_id,
            "reason": "not registered <b>",
            "attempts": 3,
            "last_seen_at": at.isoformat(),
        }
        for station_id, at in (("NEW-1", late), ("OLD-1", old))
    ]
    html = attention([], [], {}, EPOCH, knocks)
    assert "NEW-1 is knocking" in html
    assert "not registered &lt;b&gt;; 3 attempts, the last 2 min ago" in html
    assert "OLD-1" not in html


def test_bills_that_wait_lead_to_where_they_are_decided() -> None:
    html = attention([], [], {}, EPOCH, undecided={"bills": 1, "proposals": 2})
    assert '<a href="/corrections"><b>1 bill waits for you</b></a>' in html
    assert "2 settled bills are doubted" in html
    calm = attention([], [], {}, EPOCH, undecided={"bills": 0, "proposals": 0})
    assert "Nothing needs you" in calm


def test_a_command_that_came_to_nothing_is_told_in_words() -> None:
    command = {
        "station_id": "CP<1>",
        "action": "RequestStartTransaction",
        "state": "no_effect",
        "reason": "no_effect",
        "detail": "",
    }
    wrong = command | {
        "action": "GetLog",
        "state": "failed",
        "reason": "went_wrong",
        "detail": "UploadFailure",
    }
    html = attention([], [], {}, EPOCH, commands=[command, wrong])
    assert "Remote start at CP&lt;1&gt; had no effect" in html
    assert "accepted, but nothing came of it" in html
    assert "GetLog at CP&lt;1&gt; failed" in html
    assert "UploadFailure" in html


def test_a_calm_site_says_that_nothing_is_needed() -> None:
    assert "Nothing needs you" in attention([], [], {}, EPOCH)


def test_a_load_above_the_limit_is_marked_and_drawn_beyond_it() -> None:
    cabinet = still_site().cabinets()[0] | {"load_a": [140.0, 1.0, 1.0]}
    html = render.cabinet_panel(cabinet)
    assert html.count("bar over") == 1
    assert "L1 140.0 A of 125 A" in html


def test_an_expectation_counts_what_was_delivered_already() -> None:
    row = {"need_wh": 24_000, "delivered_wh": 11_000, "expected_wh": 12_000}
    assert plan_table.expected_in_all_wh(row) == 23_000
    assert plan_table.shortfall_wh(row) == 1_000
    assert plan_table.shortfall_wh(row | {"need_wh": None}) == 0


def test_a_waiting_car_without_a_reason_is_told_when_it_starts() -> None:
    plan = still_site().plan("A")
    assert plan is not None
    plan["rows"] = [
        plan["rows"][0] | {"why": None, "limit_a": 0.0, "limits_a": [0, 0, 16.0]}
    ]
    assert "planned to start at 21:30" in plan_table.table({"A": plan}, EPOCH, BERLIN)


def test_the_chart_shows_the_wall_clock_of_the_site() -> None:
    summer = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    shown = datetime.fromtimestamp(wall_ms(summer, BERLIN) / 1000, UTC)
    assert f"{shown:%H:%M}" == "14:00"


def test_a_chart_without_a_plan_has_history_only() -> None:
    drawn = chart_json(still_site().history("A"), None, EPOCH, BERLIN)
    assert '"plan":[]' in drawn
    assert '"load":[[' in drawn


def test_a_cabinet_without_a_limit_gets_no_limit_line() -> None:
    history = [(at, load_a, 0.0) for at, load_a, _ in still_site().history("A")]
    assert '"limit":[]' in chart_json(history, None, EPOCH, BERLIN)


@given(st.lists(st.floats(0, 1e4), max_size=900), st.integers(1, 300))
def test_thinning_keeps_the_peak_and_the_bound(values: list[float], most: int) -> None:
    points: list[Point] = list(enumerate(values))
    kept = thinned(points, most)
    assert len(kept) <= max(most, 0)
    assert [at for at, _ in kept] == sorted({at for at, _ in kept})
    if values:
        assert max(value for _, value in kept) == round(max(values), 1)


@given(st.lists(st.sampled_from([63.0, 80.0, 125.0]), max_size=60))
def test_a_step_line_is_the_same_without_its_treads(values: list[float]) -> None:
    points: list[Point] = list(enumerate(values))
    kept = corners(points)
    redrawn = [
        max((p for p in kept if p[0] <= at), key=lambda p: p[0])[1] for at, _ in points
    ]
    assert redrawn == values


def test_a_station_that_two_senders_fight_for_needs_a_person() -> None:
    rivals = {"connection": {"contested_by": ["10.0.0.1", "10.0.0.2"]}}
    html = attention([_station() | rivals], [], {}, EPOCH)
    assert "CP-1 is fought over" in html
    assert "10.0.0.1 and 10.0.0.2" in html
    calm = attention([_station() | {"connection": None}], [], {}, EPOCH)
    assert "Nothing needs you" in calm


def many_offline(number: int) -> list[dict[str, Any]]:
    return [
        _station() | {"station_id": f"CP-{n}", "online": False} for n in range(number)
    ]


def test_troubles_beyond_five_can_be_unfolded() -> None:
    html = attention(many_offline(12), [], {}, EPOCH)
    first, _, rest = html.partition('<details class="more">')
    assert "12 things need you" in first
    assert first.count("<li") == 5
    assert "and 7 more</summary>" in rest
    assert rest.count("<li") == 7


def test_a_trouble_leads_to_its_station() -> None:
    html = attention(
        [_station() | {"station_id": "A:1", "online": False}], [], {}, EPOCH
    )
    assert 'href="/cockpit/stations/A%3A1"' in html


def test_an_offline_station_shows_its_last_power_as_past() -> None:
    station = _station(session_id="s", power_w=7_000, measured_at=EPOCH.isoformat()) | {
        "online": False
    }
    tile = render.evse_tile(station, station["evses"][0], EPOCH)
    assert '<span class="soft">was</span> <b>7.0</b>' in tile
    assert " stale" in tile
    assert '<i class="drawn" style="width:0.0%">' in tile


def test_a_planned_car_at_an_offline_station_says_so() -> None:
    plan = still_site().plan("A")
    html = plan_table.table({"A": plan}, EPOCH, BERLIN, offline={"CP-02"})
    assert html.count("offline") == 2  # colour and word of one row
    assert "Leaves (CET)" in html


def test_the_header_says_what_it_does_not_count() -> None:
    site = still_site().site()
    html = header(site, EPOCH, BERLIN)
    assert "1 not counted" in html
    assert "of 86.2 kW" in html
    assert "68.0 kW allowed" in header(site | {"n_left_out": 0}, EPOCH, BERLIN)
    assert html.count('class="means"') == html.count("<dt>")


def test_a_header_of_nothing_claims_nothing() -> None:
    empty = dict.fromkeys(
        ("allowed_w", "supply_w", "limit_w", "pv_w", "price", "power_w")
    )
    html = header(still_site().site() | empty | {"n_left_out": 0}, EPOCH, BERLIN)
    assert "no limit set" in html
    assert "no tariff" in html
    assert "no fresh reading" in html


def test_an_offline_station_without_a_car_shows_no_power() -> None:
    station = _station(power_w=0.0, rated_w=None) | {"online": False}
    tile = render.evse_tile(station, station["evses"][0], EPOCH)
    assert "0.0</b>" not in tile
    assert "not registered" in tile
