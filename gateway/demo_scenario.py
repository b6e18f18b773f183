"""The built-in site as the simulator reads it."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.config import station_to_json
from gateway.domain.ids import StationId
from gateway.domain.phases import rotation_text
from gateway.domain.topology import Site

METERS: Final[Mapping[str, Mapping[str, str]]] = {
    "YARD-01": {"carrier": "json", "curve": "secp256r1"},
    "YARD-04": {"carrier": "hex", "curve": "secp256k1", "format": "MR"},
    "MAIN-02": {"carrier": "base64", "curve": "brainpool256r1"},
}
"""Stations whose meters sign, each in its own way."""


def scenario(
    site: Site, passwords: Mapping[StationId, bytes], tokens: tuple[str, ...]
) -> dict[str, Any]:
    """The site as the simulator reads it; OCPP versions alternate by cabinet."""
    stations = []
    for station in site.stations:
        definition = station_to_json(station)
        stations.append(
            {
                "id": station.id,
                "ocpp": "1.6" if station.id.startswith("YARD") else "2.0.1",
                "password": passwords[station.id].decode(),
                "cabinet": station.cabinet_id,
                "meter": METERS.get(station.id),
                "evses": [
                    {
                        key: evse[key]
                        for key in (
                            "evse_id",
                            "current_type",
                            "phases",
                            "max_a",
                            "min_a",
                            "max_w",
                        )
                        if evse[key] is not None
                    }
                    for evse in definition["evses"]  # type: ignore[attr-defined]  # a list of dicts
                ],
            }
        )
    return {
        "site": {
            "nominal_v": site.nominal_v,
            "timezone": site.timezone,
            "cabinets": [
                {
                    "id": cabinet.id,
                    "limit_a": cabinet.limit_a,
                    "feeder_meter": cabinet.feeder_meter or "",
                    **({} if cabinet.parent is None else {"parent": cabinet.parent}),
                }
                for cabinet in site.cabinets
            ],
            "stations": stations,
            "loads": [
                {
                    "id": load.id,
                    "cabinet": load.cabinet_id,
                    "phases": rotation_text(load.phases),
                    "base_a": 12,
                    "peak_a": 32,
                    "worst_case_a": load.worst_case_da / 10,
                }
                for load in site.loads
            ],
            "pv": [
                {
                    "id": pv.id,
                    "cabinet": pv.cabinet_id,
                    "peak_w": pv.peak_w,
                    "phases": rotation_text(pv.phases),
                }
                for pv in site.pvs
            ],
            "batteries": [
                {
                    "id": battery.id,
                    "cabinet": battery.cabinet_id,
                    "capacity_wh": battery.capacity_wh,
                    "max_charge_w": battery.max_charge_w,
                    "max_discharge_w": battery.max_discharge_w,
                    "phases": rotation_text(battery.phases),
                }
                for battery in site.batteries
            ],
        },
        "tokens": list(tokens),
    }
