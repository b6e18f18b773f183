"""The page of a station says why each limit is what it is, and what it costs."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.web.station_limits import limit_lines
from gateway.web.station_obedience import obedience

NOW = datetime(2026, 1, 15, 22, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
BINDING = {
    "cabinet_id": "main",
    "phase": "L1",
    "begin": NOW.isoformat(),
    "micro_per_kwh": 450_000,
    "words": "Cabinet main is full on L1",
}


def station(**evse: Any) -> dict[str, Any]:
    usual = {"evse_id": 1, "limit_a": 8.0, "limit_w": 5_520.0, "why": None}
    return {"evses": [usual | {"binding": None} | evse]}


def test_the_limit_that_binds_is_named_once_with_its_price() -> None:
    why = "Cabinet main is full on L1"
    found = limit_lines(station(why=why, binding=BINDING), "EUR/kWh")
    assert "8 A (5.5 kW)" in found
    assert found.count("full on L1") == 1
    assert "One more kWh through it now would be worth 0.45 EUR/kWh." in found


def test_another_reason_stands_beside_the_limit_that_binds() -> None:
    found = limit_lines(station(why="manual limit", binding=BINDING), "per kWh")
    assert "Manual limit." in found
    assert "Cabinet main is full on L1." in found


def test_without_a_limit_that_binds_no_price_is_named() -> None:
    found = limit_lines(station(), "EUR/kWh")
    assert "All it can use." in found
    assert "worth" not in found
    nothing = limit_lines(station(limit_a=None), "EUR/kWh")
    assert "Nothing is limited" in nothing


def test_words_never_become_markup() -> None:
    evil = "<script>1</script>"
    found = limit_lines(station(why=evil, binding=BINDING | {"words": evil}), evil)
    assert "<script>" not in found
    record = {
        "started_at": NOW.isoformat(),
        "cause": evil,
        "firmware": evil,
        "is_proven": False,
        "trouble": None,
        "steps": [{"step": evil, "passed": False, "detail": evil}],
    }
    shown = obedience({"tests": [record], "test_plan": None}, NOW, BERLIN)
    assert "<script>" not in shown
    assert "failed" in shown


def test_the_next_obedience_test_is_told_in_words() -> None:
    plan = {
        "due_at": (NOW + timedelta(days=3)).isoformat(),
        "window": (60, 300),
        "every_days": 90,
        "restart": True,
        "outage_s": 0.0,
    }
    found = obedience({"tests": [], "test_plan": plan}, NOW, BERLIN)
    assert (
        "Next test, from 18 Jan, 23:30 CET on, between 01:00 and 05:00, once nobody"
        " charges here, then every 90 days; with a restart." in found
    )
    assert "Never tested here." in found
