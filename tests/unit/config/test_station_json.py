"""Stations of the API are the stations of the file."""

import pytest

from gateway.config import station_from_json, station_to_json
from gateway.domain.topology import CurrentType, Site
from gateway.errors import ConfigError

BODY: dict[str, object] = {
    "cabinet_id": "A",
    "evses": [
        {"evse_id": 1, "phases": "L2L3L1", "max_a": 32, "floor_a": 6},
        {"evse_id": 2, "current_type": "DC", "max_w": 50000},
    ],
}


def test_a_station_survives_the_round_trip() -> None:
    station = station_from_json("CP1", BODY, known=None, site=Site())
    assert station.origin == "api"
    assert station.evses[0].phases == (1, 2, 0)
    assert station.evses[1].current_type is CurrentType.DC
    again = station_from_json("CP1", station_to_json(station), known=None, site=Site())
    assert again == station


@pytest.mark.parametrize(
    ("told", "min_a"),
    [
        ({"max_a": 32}, 6.0),
        ({"max_a": 32, "min_a": 0}, 0.0),
        ({"current_type": "DC", "max_w": 50000}, 0.0),
        ({"current_type": "DC", "max_w": 50000, "min_a": 6}, 6.0),
        ({"current_type": "DC", "max_w": 50000, "min_w": 5000}, 9.2),
    ],
)
def test_the_least_of_direct_current_is_that_of_the_station(
    told: dict[str, object], min_a: float
) -> None:
    body: dict[str, object] = {"cabinet_id": "A", "evses": [{"evse_id": 1, **told}]}
    station = station_from_json("CP1", body, known=None, site=Site())
    evse = station.evses[0]
    assert evse.min_a == min_a
    if evse.min_w is not None:
        assert evse.power_w(evse.min_da) >= evse.min_w
    again = station_from_json("CP1", station_to_json(station), known=None, site=Site())
    assert again == station


def test_members_left_out_keep_their_value() -> None:
    station = station_from_json("CP1", BODY, known=None, site=Site())
    changed = station_from_json("CP1", {"unit": "W"}, known=station, site=Site())
    assert changed.evses == station.evses
    assert changed.unit.value == "W"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"cabinets": "A"}, "cabinets"),
        ({"evses": [{"evse_id": 1, "max_kw": 3}]}, "evses[0].max_kw"),
        ({"evses": 3}, "evses"),
        ({"unit": "kW"}, "unit"),
        ({"evses": [{"evse_id": 1, "max_a": 32, "min_w": 9}]}, "evses[0].min_w"),
        ({"evses": [{"evse_id": 1, "max_a": float("nan")}]}, "evses[0].max_a"),
    ],
)
def test_a_wrong_member_is_named(body: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        station_from_json("CP1", body, known=None, site=Site())
    assert caught.value.key == key
