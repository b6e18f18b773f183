from typing import Any

from gateway.services import live


def test_the_drawn_plan_is_its_limits_and_other_equipment_whatever_cars_draw_now() -> (
    None
):
    stations: list[dict[str, Any]] = [
        {
            "station_id": "CP1",
            "cabinet_id": "yard",
            "path": ["yard"],
            "evses": [{"evse_id": 1, "phases": "L2L3L1", "power_w": 7360.0}],
        }
    ]
    cabinet = {
        "cabinet_id": "yard",
        "limit_a": [63.0, 63.0, 63.0],
        "load_a": [10.0, 42.0, 10.0],  # a car on one phase of three
        "other_a": [10.0, 10.0, 10.0],
    }
    plan = {"rows": [{"station_id": "CP1", "evse_id": 1, "limits_a": [32.0, 6.0]}]}
    drawn = live._drawn(plan, cabinet, stations)
    assert drawn["expected_a"] == [42.0, 16.0]
    assert drawn["limit_a"] == [63.0, 63.0]
