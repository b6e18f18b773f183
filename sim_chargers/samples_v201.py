"""Meter values as OCPP 2.0.1 writes them (2.49, MeterValueType)."""

from typing import Any

from sim_chargers.clock import to_wire
from sim_chargers.connector import Sample
from sim_chargers.evse import MILLIWH_PER_WH


def meter_value(sample: Sample) -> dict[str, Any]:
    """Write everything that was measured; values are numbers in 2.0.1."""
    values: list[dict[str, Any]] = [
        {
            # Exact: the shortest text of a float this small keeps three decimals.
            "value": sample.register_milliwh / MILLIWH_PER_WH,
            "measurand": "Energy.Active.Import.Register",
            "unitOfMeasure": {"unit": "Wh"},
        },
        {
            "value": round(sample.power_w, 1),
            "measurand": "Power.Active.Import",
            "unitOfMeasure": {"unit": "W"},
        },
    ]
    values.extend(
        {
            "value": round(current_a, 2),
            "measurand": "Current.Import",
            "phase": f"L{terminal + 1}",
            "unitOfMeasure": {"unit": "A"},
        }
        for terminal, current_a in enumerate(sample.phase_a)
    )
    is_dc = not sample.phase_a
    values.append(
        {
            "value": round(sample.offered, 1),
            "measurand": "Power.Offered" if is_dc else "Current.Offered",
            "unitOfMeasure": {"unit": "W" if is_dc else "A"},
        }
    )
    if sample.soc_percent is not None:
        values.append(
            {
                "value": round(sample.soc_percent, 1),
                "measurand": "SoC",
                "unitOfMeasure": {"unit": "Percent"},
            }
        )
    for value in values:
        value["context"] = sample.context
    return {"timestamp": to_wire(sample.at), "sampledValue": values}
