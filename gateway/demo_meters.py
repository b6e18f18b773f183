"""The built-in site's engineer: reads the labels of signing meters and pins their keys.

A label is what the simulator prints, not what its stations say on the wire.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import structlog

from gateway.app import Running
from gateway.domain.ids import StationId
from gateway.errors import WattproofError
from gateway.store import signed

ENGINEER: Final = "demo"
"""Who pins, in the audit trail."""

_log = structlog.get_logger()


async def trust_label(gateway: Running, label: Mapping[str, Any]) -> None:
    """Pin the key on a meter, unless one is pinned at its EVSE already.

    Args:
        gateway: The running demo.
        label: Station, EVSE, serial and public key, as the simulator shows them.
    """
    station_id, evse_id = str(label["station"]), int(label["evse"])
    known = partial(signed.pinned, station_id=StationId(station_id), evse_id=evse_id)
    try:
        if await gateway.writer.run(known) is not None:
            return
        await gateway.meter_keys.pin(
            station_id,
            evse_id,
            public_key=str(label["public_key"]),
            meter_serial=str(label["serial"]),
            actor=ENGINEER,
        )
    except WattproofError as error:
        _log.warning("demo.key_not_pinned", station_id=station_id, why=str(error))
