"""A small made-up site behind the pages, and a server that shows it.

``python -m tests.support.pages_site`` serves it on a free port and prints its address.
"""

import asyncio
import math
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI

from gateway.clock import Clock, ScaledClock
from gateway.errors import RequestError, StoreError
from gateway.web.pages import mount
from tests.support.pages_bills import FakeBills
from tests.support.pages_corrections import FakeCorrections
from tests.support.pages_station import full_station
from tests.support.signed_receipt import Forge

ADMIN = "wp_admin_secret"
LINK = "one-time-link"
DRIVER = "driver-link"
EPOCH = datetime(2026, 1, 15, 20, 10, tzinfo=UTC)
EVIL = '<script>document.title="owned"</script>'
STEP_S = 900
LIMIT_A = {"A": 125.0, "B": 63.0}


@dataclass
class FakeSite:
    """Implements `gateway.web.ports.LiveView` and `Access` over made-up figures."""

    clock: Clock
    n_more: int = 0
    may_pause: bool = True
    needs: list[tuple[int | None, datetime | None]] = field(default_factory=list)
    pinned: list[tuple[str, int, str, str | None, str]] = field(default_factory=list)
    is_ended: bool = False
    is_at_risk: bool = False
    meter_signature: str | None = None
    is_link_used: bool = False
    revoked: bool = False
    calls: int = 0

    def stations(self) -> list[dict[str, Any]]:
        self.calls += 1
        t_s = (self.clock.now() - EPOCH).total_seconds()
        wave = math.sin(t_s / 8)
        charging = {"availability": "occupied", "charging_state": "charging"}
        paused = {"availability": "occupied", "charging_state": "suspended_evse"}
        rows: list[dict[str, Any]] = [
            self._station(
                "CP-01",
                10_600 + 350 * wave,
                11_040,
                charging,
                "07:30 ✓ 50 min to spare",
            ),
            self._station(
                "CP-02", 6_900 + 200 * wave, 7_360, charging, "06:45 ✓ just in time"
            ),
            self._station("CP-03", 0.0, 0.0, paused, "starts 01:15 · 07:30 ✓"),
            self._station(
                "CP-04",
                0.0,
                4_140,
                paused | {"charging_state": "suspended_ev"},
                "car has paused",
            ),
            self._station("CP-05", None, 4_140, {"availability": "available"}),
            self._station("CP-06", None, 4_140, {"availability": "faulted"}),
            self._station(
                "CP-07",
                3_900 + 100 * wave,
                4_140,
                charging,
                "07:30 18 of 24 kWh",
                online=False,
            ),
            self._station(
                "DC-1",
                41_000 + 3_000 * wave,
                46_000,
                charging,
                "21:00 ✓ 15 min to spare",
                rated_w=50_000,
                soc=62.0,
            ),
            self._station(EVIL, None, 4_140, {"availability": "reserved"}, vendor=EVIL),
        ]
        rows[4]["evses"].append(
            rows[4]["evses"][0] | {"evse_id": 2, "availability": "unavailable"}
        )
        rows += [
            self._station(f"X-{n:03d}", 5_000 + 50 * wave, 11_000, charging)
            for n in range(self.n_more)
        ]
        return rows

    def _station(
        self,
        name: str,
        power_w: float | None,
        limit_w: float | None,
        evse: dict[str, Any],
        promise: str = "",
        *,
        online: bool = True,
        rated_w: float = 11_040,
        soc: float | None = None,
        vendor: str = "Voltwerk",
    ) -> dict[str, Any]:
        seen = self.clock.now() if online else EPOCH - timedelta(minutes=22)
        is_open = "charging_state" in evse
        return {
            "station_id": name,
            "online": online,
            "ocpp_version": "2.0.1",
            "vendor": vendor,
            "model": "Duo 22",
            "firmware": "1.4.2",
            "last_seen_at": seen.isoformat(),
            "cabinet_id": "B" if name.startswith("DC") else "A",
            "evses": [
                {
                    "evse_id": 1,
                    "charging_state": "idle",
                    "power_w": power_w,
                    "limit_w": limit_w,
                    "rated_w": rated_w,
                    "soc_percent": soc,
                    "session_id": f"s-{name}" if is_open else None,
                    "energy_milliwh": 11_400_000 if is_open else None,
                    "measured_at": seen.isoformat() if is_open else None,
                    "promise": promise,
                }
                | evse
            ],
        }

    async def station(self, station_id: str) -> dict[str, Any] | None:
        """A station that has met with everything its page can show."""
        if station_id == "BUSY":
            raise StoreError("the disk is full")
        if station_id == "BROKEN":
            raise ValueError("inner details")
        found = [one for one in self.stations() if one["station_id"] == station_id]
        return full_station(found[0], self.clock.now()) if found else None

    def cabinets(self) -> list[dict[str, Any]]:
        wave = math.sin((self.clock.now() - EPOCH).total_seconds() / 200)
        return [
            {
                "cabinet_id": "A",
                "parent": None,
                "limit_a": [125.0, 125.0, 125.0],
                "limit_w": None,
                "load_a": [98.2 + 4 * wave, 71.4 + 2 * wave, 64.0],
                "worst_case_a": [118.0, 96.5, 90.1],
                "headroom_a": [26.8, 53.6, 61.0],
                "state": "control",
                "mode": "control",
            },
            {
                "cabinet_id": "B",
                "parent": "A",
                "limit_a": [63.0, 63.0, 63.0],
                "limit_w": None,
                "load_a": [59.4 + 2 * wave, 58.8, 58.1],
                "worst_case_a": [62.0, 61.0, 61.0],
                "headroom_a": [3.6, 4.2, 4.9],
                "state": "commissioning",
                "mode": "control",
            },
        ]

    def plan(self, cabinet_id: str) -> dict[str, Any] | None:
        limit_a = LIMIT_A[cabinet_id]
        now = self.clock.now()
        start = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
        steps = range(96)
        share = [
            0.78 if n < 8 else 0.3 if n < 20 else 0.9 if n < 36 else 0.15 for n in steps
        ]
        rows = [
            self._row(
                "CP-01",
                24_000,
                11_400,
                24_000,
                "Full speed now: leaves first.",
                limit_a=16.0,
            ),
            self._row(
                "CP-02",
                30_000,
                11_400,
                27_100,
                "Cabinet A is full on L1 until 23:00; three cars leave earlier.",
                limit_a=10.6,
            ),
            self._row(
                "CP-03",
                16_000,
                2_100,
                16_000,
                "Waits for the cheaper hours from 01:15 and is still in time.",
                limit_a=0.0,
            ),
            self._row(EVIL, None, 900, 9_000, EVIL, limit_a=6.0),
        ]
        return {
            "plan_id": 4411,
            "made_at": (now - timedelta(minutes=3)).isoformat(),
            "outcome": "optimal",
            "step_s": STEP_S,
            "start": start.isoformat(),
            "limit_a": [limit_a * (0.8 if 4 <= n < 12 else 1.0) for n in steps],
            "expected_a": [limit_a * one for one in share],
            "price_micro_per_kwh": [
                290_000 if n < 8 else 210_000 if n < 36 else 320_000 for n in steps
            ],
            "congestion": [
                {
                    "cabinet_id": "A",
                    "phase": phase,
                    "begin": (start + n * timedelta(seconds=STEP_S)).isoformat(),
                    "micro_per_kwh": 310_000 + n,
                }
                for phase in ("L1", "L2")
                for n in (4, 5, 6, 9, 10, 20, 30)
            ],
            "rows": rows
            if cabinet_id == "A"
            else [
                self._row(
                    "DC-1", 40_000, 22_000, 40_000, "Leaves in 50 min.", limit_a=63.0
                )
            ],
        }

    def _row(
        self,
        name: str,
        need: int | None,
        got: int,
        likely: int,
        why: str,
        *,
        limit_a: float,
    ) -> dict[str, Any]:
        return {
            "session_id": f"s-{name}",
            "station_id": name,
            "evse_id": 1,
            "need_wh": need,
            "delivered_wh": got,
            "expected_wh": likely - got,
            "at_risk": need is not None and need - likely >= 500,
            "guaranteed_wh": likely // 2,
            "is_default_need": False,
            "departure_at": (EPOCH + timedelta(hours=10)).isoformat(),
            "limit_a": limit_a,
            "why": why,
        }

    def history(self, cabinet_id: str) -> list[tuple[str, float, float]]:
        limit_a = LIMIT_A[cabinet_id]
        now = self.clock.now()
        return [
            (
                (now - timedelta(minutes=240 - n)).isoformat(),
                limit_a * (0.5 + 0.28 * math.sin(n / 38) + 0.04 * math.sin(n * 1.7)),
                limit_a,
            )
            for n in range(240)
        ]

    def site(self) -> dict[str, Any]:
        now = self.clock.now()
        return {
            "name": "Depot Nord",
            "timezone": "Europe/Berlin",
            "now": now.isoformat(),
            "speed": self.clock.speed,
            "n_station": 9 + self.n_more,
            "n_online": 8 + self.n_more,
            "n_session": 6,
            "n_left_out": 1,
            "power_w": 61_200.0,
            "allowed_w": 68_000.0,
            "supply_w": 71_400.0,
            "limit_w": 86_250.0,
            "plan_price_unit": "EUR/kWh",
            "pv_w": 14_030.0,
            "price": "0.29 EUR/kWh",
            "ledger": {
                "leaves": 1234,
                "anchored_size": 1234,
                "last_anchor_at": (EPOCH - timedelta(minutes=6)).isoformat(),
                "backlog": 0,
                "backend": "embedded",
            },
        }

    def driver(self, token: str) -> dict[str, Any] | None:
        if token != DRIVER:
            return None
        now = self.clock.now()
        return {
            "station_id": "CP-02",
            "evse_id": 1,
            "energy_milliwh": 11_400_000,
            "needed_milliwh": 24_000_000,
            "departure_at": EPOCH + timedelta(hours=10),
            "ended": self.is_ended,
            "ended_at": now if self.is_ended else None,
            "doubt": None,
            "power_w": 7_400.0,
            "guaranteed_milliwh": 16_000_000,
            "likely_milliwh": 24_000_000,
            "at_risk": self.is_at_risk,
            "energy_from": "driver",
            "is_default_need": False,
            "may_pause": self.may_pause,
            "cost": "2.74 EUR",
            "price": "0.24 EUR/kWh",
            "online": True,
            "sampled_at": now - timedelta(seconds=3),
            "charging_state": "charging",
            "why": f"Full speed from 01:15, when two cars leave. {EVIL}",
            "bill_state": "pending",
            "meter_signature": self.meter_signature,
            "signed_url": (
                f"/d/{DRIVER}/signed-data.xml" if self.meter_signature == "ok" else None
            ),
            "receipt_url": f"/d/{DRIVER}/receipt" if self.is_ended else None,
            "plan_url": None if self.is_ended else f"/d/{DRIVER}/plan",
            "register_start_milliwh": 10_432_118_000,
            "register_end_milliwh": 10_443_518_000,
        }

    async def receipt(self, token: str) -> dict[str, Any]:
        assert token == DRIVER
        if not self.is_ended:
            raise RequestError(409, "not_settled", "The bill is not made yet.")
        return Forge().receipt()

    async def plan_row(self, token: str) -> dict[str, Any]:
        assert token == DRIVER
        if self.is_ended:
            raise RequestError(404, "not_planned", "No plan has been made for it yet.")
        return {"format": "wattproof-plan-row/1"}

    async def signed_xml(self, token: str) -> str:
        assert token == DRIVER
        if not self.is_ended:
            raise RequestError(404, "no_signed_data", "No record of it was signed.")
        return "<values/>"

    async def check_need(
        self, token: str, energy_wh: int | None, departure_at: datetime | None
    ) -> str:
        assert token == DRIVER
        assert departure_at is None or departure_at > self.clock.now()
        kwh = (energy_wh or 0) / 1000
        return f"Beside the other cars 18.0 of {kwh:.1f} kWh fit by 07:30."

    async def set_need(
        self,
        token: str,
        energy_wh: int | None,
        departure_at: datetime | None,
        *,
        may_pause: bool | None = None,
    ) -> str:
        assert token == DRIVER
        if energy_wh is not None and energy_wh > 100_000:
            raise RequestError(422, "too_much", "No car here takes more than 100 kWh.")
        self.needs.append((energy_wh, departure_at))
        self.may_pause = self.may_pause if may_pause is None else may_pause
        return "Saved. You will be ready in time."

    async def redeem(self, secret: str) -> str | None:
        if secret != LINK or self.is_link_used:
            return None
        self.is_link_used = True
        return ADMIN

    async def operator_of(self, secret: str) -> str | None:
        return "t1" if secret == ADMIN and not self.revoked else None

    async def pin(
        self,
        station_id: str,
        evse_id: int,
        *,
        public_key: str,
        meter_serial: str | None,
        actor: str,
    ) -> None:
        if "no key" in public_key:
            raise RequestError(422, "bad_public_key", "it is <none>")
        self.pinned.append((station_id, evse_id, public_key, meter_serial, actor))

    async def role_of(self, secret: str) -> str | None:
        return "admin" if secret == ADMIN and not self.revoked else None


def fake_site(speed: float = 1.0, n_more: int = 0) -> FakeSite:
    """A fresh site whose evening begins now."""
    return FakeSite(ScaledClock.starting_at(EPOCH, speed), n_more)


def pages_app(site: FakeSite) -> FastAPI:
    """An application with the pages alone."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    mount(
        app,
        site,
        site,
        site,
        FakeBills(DRIVER),
        corrections=FakeCorrections(),
        clock=site.clock,
    )
    return app


async def serve(site: FakeSite) -> None:
    """Serve a site's pages on a free port until the process is ended."""
    config = uvicorn.Config(
        pages_app(site),
        port=0,
        log_level="warning",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(), name="pages.serve")
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"http://127.0.0.1:{port}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(fake_site(n_more=int(os.environ.get("PAGES_MORE", "0")))))
