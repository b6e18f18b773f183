"""What tests of commands do: ask, look, begin and end a session."""

import asyncio
import itertools
from typing import Any

from tests.support.api_site import ApiSite
from tests.support.queue_station import stamp
from tests.support.raw_station import RawStation

_numbers = itertools.count(1)


async def named(site: ApiSite) -> str:
    name = f"CMD-{next(_numbers)}"
    await site.register(name)
    return name


async def asked(site: ApiSite, name: str, **body: Any) -> dict[str, Any]:
    body = {"deadline_s": 60, **body}
    found: dict[str, Any] = await site.call(
        "POST", f"/stations/{name}/commands", body, status=202
    )
    return found


async def state_of(site: ApiSite, command: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = await site.call("GET", f"/commands/{command['command_id']}")
    return found


async def until(site: ApiSite, command: dict[str, Any], *states: str) -> dict[str, Any]:
    """Wait until a command is in one of these states."""
    found = command
    try:
        async with asyncio.timeout(30):
            while True:
                found = await state_of(site, command)
                if found["state"] in states:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"it never was {states}: {found}") from None


async def begin(station: RawStation, token: str, **info: Any) -> Any:
    if station.version == "1.6":
        return await station.ask(
            "StartTransaction",
            {
                "connectorId": 1,
                "idTag": token,
                "meterStart": 0,
                "timestamp": stamp(),
            },
        )
    transaction = {"transactionId": f"tx-{station.station_id}", **info}
    return await station.ask(
        "TransactionEvent",
        {
            "eventType": "Started",
            "timestamp": stamp(),
            "triggerReason": "RemoteStart",
            "seqNo": 0,
            "transactionInfo": transaction,
            "evse": {"id": 1, "connectorId": 1},
            "idToken": {"idToken": token, "type": "Central"},
        },
    )


async def end(station: RawStation, started: dict[str, Any]) -> None:
    if station.version == "1.6":
        await station.ask(
            "StopTransaction",
            {
                "transactionId": started["transactionId"],
                "meterStop": 10,
                "timestamp": stamp(),
                "reason": "Remote",
            },
        )
        return
    await station.ask(
        "TransactionEvent",
        {
            "eventType": "Ended",
            "timestamp": stamp(),
            "triggerReason": "RemoteStop",
            "seqNo": 1,
            "transactionInfo": {
                "transactionId": f"tx-{station.station_id}",
                "stoppedReason": "Remote",
            },
        },
    )
