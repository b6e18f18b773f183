"""The little of the operator's HTTP API that meters and drivers of a site use."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import httpx

from sim_chargers.clock import Clock, to_wire
from sim_chargers.site import Phases, Site

MAX_REQUESTS_PER_S: Final = 4.0
READING_INTERVAL_S: Final = 10.0  # site seconds between readings of one meter
REQUEST_TIMEOUT_S: Final = 5.0
ASK_TRIES: Final = 8
ASK_PAUSE_S: Final = 1.5  # real seconds between two looks for a session
UNKNOWN_PAUSE_S: Final = 30.0  # real seconds before an unknown meter is tried again

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Api:
    """A client with a bearer token; failures are logged, never raised."""

    client: httpx.AsyncClient
    failures: int = 0

    async def put_reading(self, meter_id: str, reading: dict[str, Any]) -> bool:
        """Report a measurement; False where it was not taken."""
        path = f"/api/v1/loads/{quote(meter_id, safe='')}/reading"
        return await self._put(path, reading)

    async def put_request(
        self, session_id: str, *, energy_wh: int, departure_at: datetime
    ) -> bool:
        """Tell what the driver needs."""
        body = {"energy_wh": energy_wh, "departure_at": to_wire(departure_at)}
        return await self._put(f"/api/v1/sessions/{quote(session_id)}/request", body)

    async def find_session(self, station_id: str, transaction_id: str) -> str | None:
        """Find the session of a running transaction."""
        try:
            answer = await self.client.get(
                "/api/v1/sessions", params={"station_id": station_id, "open": "true"}
            )
            answer.raise_for_status()
            found = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            self._note(f"sessions of {station_id}", error)
            return None
        rows = found.get("items", []) if isinstance(found, dict) else found
        for row in rows:
            if str(row.get("transaction_id")) == transaction_id:
                return str(row["session_id"])
        return None

    async def _put(self, path: str, body: dict[str, Any]) -> bool:
        try:
            answer = await self.client.put(path, json=body)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self._note(path, error)
            return False
        return True

    def _note(self, what: str, error: Exception) -> None:
        self.failures += 1
        # The first failures tell what is wrong; a dead API must not fill the log.
        level = logging.WARNING if self.failures <= 5 else logging.DEBUG  # noqa: PLR2004 - log hygiene
        _log.log(level, "API: %s: %r", what, error)


@dataclass(slots=True, kw_only=True)
class Meters:
    """Reports loads, PV, batteries and feeders in turn, within a request budget."""

    api: Api
    site: Site
    clock: Clock
    interval_s: float = READING_INTERVAL_S
    _muted_until_s: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Report until cancelled."""
        loop = asyncio.get_running_loop()
        pause_s = 1.0 / MAX_REQUESTS_PER_S
        await asyncio.sleep(pause_s)  # the physics takes its first step
        while True:
            round_began_s = loop.time()
            for meter_id, reading in self.readings():
                if self._muted_until_s.get(meter_id, 0.0) > loop.time():
                    continue
                sent_s = loop.time()
                fresh = {"at": to_wire(self.clock.now()), **reading}
                if not await self.api.put_reading(meter_id, fresh):
                    self._muted_until_s[meter_id] = loop.time() + UNKNOWN_PAUSE_S
                await asyncio.sleep(max(0.0, pause_s - (loop.time() - sent_s)))
            left_s = self.interval_s / self.clock.speed - (loop.time() - round_began_s)
            await asyncio.sleep(max(pause_s, left_s))

    def readings(self) -> list[tuple[str, dict[str, Any]]]:
        """List what every meter shows now.

        Currents and powers of loads and charging batteries are positive; PV power is
        positive when it feeds in; a feeder shows the net current, negative for export.
        """
        site = self.site
        found: list[tuple[str, dict[str, Any]]] = [
            (cabinet.feeder_meter, {"current_a": rounded(site.net_a[cabinet.id])})
            for cabinet in site.scenario.cabinets
            if cabinet.feeder_meter
        ]
        found.extend(
            (load.spec.id, {"current_a": rounded(load.current_a)})
            for load in site.loads
        )
        found.extend((pv.spec.id, {"power_w": round(pv.power_w, 1)}) for pv in site.pv)
        found.extend(
            (battery.spec.id, {"power_w": round(battery.power_w, 1)})
            for battery in site.batteries
        )
        return found


async def tell_need(  # the driver's phone
    api: Api,
    *,
    station_id: str,
    transaction_id: str,
    energy_wh: int,
    departure_at: datetime,
) -> bool:
    """Find the driver's session and state the need; False after some tries."""
    for _ in range(ASK_TRIES):
        session_id = await api.find_session(station_id, transaction_id)
        if session_id is not None and await api.put_request(
            session_id, energy_wh=energy_wh, departure_at=departure_at
        ):
            return True
        await asyncio.sleep(ASK_PAUSE_S)
    return False


def rounded(current_a: Phases) -> list[float]:
    """Write currents with the resolution of a cheap meter."""
    return [round(a, 2) for a in current_a]
