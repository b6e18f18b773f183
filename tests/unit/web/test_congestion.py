from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway.web.congestion import line

START = datetime(2026, 1, 15, 16, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def plan(*steps: tuple[str | None, int], cabinet_id: str = "A") -> dict[str, Any]:
    return {
        "step_s": 900,
        "congestion": [
            {
                "cabinet_id": cabinet_id,
                "phase": phase,
                "begin": (START + number * timedelta(minutes=15)).isoformat(),
                "micro_per_kwh": 250_000 + number,
            }
            for phase, number in steps
        ],
    }


def test_steps_in_a_row_are_one_stretch_in_local_time() -> None:
    said = line(plan(("L1", 1), ("L1", 0), ("L1", 5)), "A", BERLIN, "EUR/kWh")
    assert said == (
        "Full: L1 17:00 to 17:30, L1 18:15 to 18:30."
        " One more kWh then would be worth up to 0.25 EUR/kWh."
    )


def test_many_stretches_are_counted() -> None:
    said = line(plan(*[("L1", 2 * n) for n in range(6)]), "A", BERLIN, "EUR/kWh")
    assert "and 3 more times." in said


def test_a_limit_of_the_sum_and_other_cabinets() -> None:
    assert "Full: in total 17:00" in line(plan((None, 0)), "A", BERLIN, "<b>")
    assert "&lt;b&gt;" in line(plan((None, 0)), "A", BERLIN, "<b>")
    assert line(plan(("L1", 0), cabinet_id="B"), "A", BERLIN, "EUR/kWh") == ""
    assert line(None, "A", BERLIN, "EUR/kWh") == ""
    assert line({"step_s": 900}, "A", BERLIN, "EUR/kWh") == ""
