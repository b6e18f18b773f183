"""Sessions told over a real socket, and the bills that they become."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.support.api_site import ApiSite
from tests.support.raw_station import RawStation

DRIVER = "DRIVER"


def wire(moment: datetime) -> str:
    """A time as stations write it."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def ago(site: ApiSite, **span: float) -> datetime:
    """So long before now."""
    return site.gateway.clock.now() - timedelta(**span)


def register(moment: datetime, wh: float | str, **more: Any) -> dict[str, Any]:
    """A meter value with one register."""
    sampled = {"value": str(wh), **more}
    return {"timestamp": wire(moment), "sampledValue": [sampled]}


def signed_16(moment: datetime, context: str, text: str) -> dict[str, Any]:
    """A meter value of 1.6 with signed data alone."""
    sampled = {"value": text, "format": "SignedData", "context": context}
    return {"timestamp": wire(moment), "sampledValue": [sampled]}


def signed_201(text: str, public_key: str = "") -> dict[str, Any]:
    """The signed part of a 2.0.1 sample; the key in hexadecimal digits."""
    return {
        "signedMeterData": base64.b64encode(text.encode()).decode(),
        "signingMethod": "",
        "encodingMethod": "OCMF",
        "publicKey": base64.b64encode(bytes.fromhex(public_key)).decode(),
    }


async def put_tariff(
    site: ApiSite, tariff_id: str, *elements: Mapping[str, Any]
) -> None:
    """Make a tariff known, or change it."""
    await site.call("PUT", f"/tariffs/{tariff_id}", {"elements": list(elements)})


def element(*prices: tuple[str, str], **restrictions: Any) -> dict[str, Any]:
    """An element of prices by type."""
    components = [{"type": kind, "price": price} for kind, price in prices]
    return {"price_components": components, "restrictions": restrictions}


async def newest(site: ApiSite, station_id: str) -> dict[str, Any]:
    """The session that began last at a station."""
    rows = await site.call("GET", f"/sessions?station_id={station_id}&limit=1")
    found: dict[str, Any] = rows[0]
    return found


async def judged(site: ApiSite, session_id: str) -> dict[str, Any]:
    """The bill of a session, held or settled, once there is one."""
    path = f"/sessions/{session_id}/bill"

    async def has_bill() -> bool:
        return (await site.send("GET", path)).is_success

    await site.until(has_bill)
    found: dict[str, Any] = await site.call("GET", path)
    return found


async def bill_of(site: ApiSite, station_id: str) -> dict[str, Any]:
    """The bill of a station's newest session."""
    session = await newest(site, station_id)
    return await judged(site, session["session_id"])


async def settled_bill(site: ApiSite, session_id: str) -> dict[str, Any]:
    """The bill of a session, once it is settled."""
    path = f"/sessions/{session_id}/bill"

    async def is_settled() -> bool:
        answer = await site.send("GET", path)
        return answer.is_success and answer.json()["state"] == "settled"

    await site.until(is_settled)
    found: dict[str, Any] = await site.call("GET", path)
    return found


@dataclass
class Talk16:
    """Transactions of a 1.6 station."""

    station: RawStation

    async def start(self, at: datetime, wh: int = 1000, **more: Any) -> int:
        """StartTransaction; its number."""
        payload = {
            "connectorId": 1,
            "idTag": DRIVER,
            "meterStart": wh,
            "timestamp": wire(at),
        }
        answer = await self.station.ask("StartTransaction", payload | more)
        number: int = answer["transactionId"]
        return number

    async def meter(
        self, at: datetime, wh: float | str, *, number: int | None = None, **more: Any
    ) -> None:
        """MeterValues with one register."""
        payload: dict[str, Any] = {"connectorId": 1, "meterValue": [register(at, wh)]}
        if number is not None:
            payload["transactionId"] = number
        await self.station.ask("MeterValues", payload | more)

    async def stop(
        self, number: int, at: datetime, wh: float, **more: Any
    ) -> dict[str, Any]:
        """StopTransaction."""
        payload = {"transactionId": number, "meterStop": wh, "timestamp": wire(at)}
        return await self.station.ask("StopTransaction", payload | more)


@dataclass
class Talk201:
    """One transaction of a 2.0.1 station."""

    station: RawStation
    transaction_id: str
    sequence: "count[int]" = field(default_factory=count)

    async def event(
        self,
        kind: str,
        at: datetime,
        wh: float | None = None,
        *,
        context: str = "Sample.Periodic",
        samples: Sequence[Mapping[str, Any]] = (),
        info: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """TransactionEvent with a register, other samples, or none."""
        sampled = [dict(one) for one in samples]
        if wh is not None:
            sampled.append({"value": wh, "context": context})
        payload: dict[str, Any] = {
            "eventType": kind,
            "timestamp": wire(at),
            "triggerReason": "MeterValuePeriodic",
            "seqNo": next(self.sequence),
            "transactionInfo": {"transactionId": self.transaction_id, **(info or {})},
        }
        if kind == "Started":
            payload["evse"] = {"id": 1, "connectorId": 1}
            payload["idToken"] = {"idToken": DRIVER, "type": "ISO14443"}
        if sampled:
            payload["meterValue"] = [{"timestamp": wire(at), "sampledValue": sampled}]
        return await self.station.ask("TransactionEvent", payload | more)
