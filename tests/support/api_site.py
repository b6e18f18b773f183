"""The real application on a small site, in this process and on free ports."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from gateway.app import Running, running
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.domain.ids import StationId
from gateway.store import api_tokens
from gateway.store.api_tokens import Role
from gateway.wiring.parts import Parts
from tests.support.raw_station import RawStation
from tests.support.ready_database import place_database

PASSWORD = "correct-horse-battery"
DAY = {
    "id": "day",
    "currency": "EUR",
    "elements": [{"price_components": [{"type": "ENERGY", "price": "0.42"}]}],
}


def document(backend: str = "none", **more: Any) -> dict[str, Any]:
    """A site of one cabinet: two registered stations, a load and a feeder meter."""
    evse = {"current_type": "AC", "phases": "L1L2L3", "min_a": 6, "floor_a": 6}
    return {
        "server": {"ocpp_host": "127.0.0.1", "ocpp_port": 0, "call_timeout_s": 1.0},
        "api": {"host": "127.0.0.1", "port": 0},
        "optimizer": {"deadline_s": 2.0, "workers": 1},
        "ledger": {"backend": backend},
        "billing": {"currency": "EUR", "default_tariff": "day"},
        "tariff": [DAY],
        "site": {"name": "Test", "timezone": "UTC", "grid": "TN", "nominal_v": 230},
        "cabinet": [
            {
                "id": "main",
                "limit_a": [63, 63, 63],
                "feeder_meter": "grid-meter",
            }
        ],
        "load": [
            {
                "id": "building",
                "cabinet": "main",
                "phases": "L1L2L3",
                "source": "api",
                "worst_case_a": 10,
                "stale_after_s": 600,
            }
        ],
        "station": [
            {"id": "OLD", "cabinet": "main", "evse": [{"id": 1, "max_a": 16, **evse}]},
            {"id": "NEW", "cabinet": "main", "evse": [{"id": 1, "max_a": 16, **evse}]},
        ],
        **more,
    }


@dataclass
class ApiSite:
    """A running gateway with a client and a token for every role."""

    gateway: Running
    parts: Parts
    client: httpx.AsyncClient
    secrets: Mapping[str, str]

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: str | None = "operator",
        status: int | None = None,
    ) -> Any:
        """A request below ``/api/v1``; with ``status`` it must be answered so."""
        response = await self.send(method, path, body, role=role)
        if status is None:
            assert response.is_success, response.text
        else:
            assert response.status_code == status, response.text
        return response.json() if response.content else None

    async def send(
        self, method: str, path: str, body: Any = None, *, role: str | None = "operator"
    ) -> httpx.Response:
        """A request below ``/api/v1``."""
        headers = {}
        if role is not None:
            headers["Authorization"] = f"Bearer {self.secrets[role]}"
        return await self.client.request(
            method, f"/api/v1{path}", json=body, headers=headers
        )

    def station(
        self, station_id: str, version: str = "1.6", password: str | None = PASSWORD
    ) -> RawStation:
        """A raw station, not connected yet."""
        return RawStation(self.gateway.ocpp_url, station_id, password, version)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something has become true; 30 s at most."""
        async with asyncio.timeout(30):
            while not await condition():  # noqa: ASYNC110 - it asks over HTTP
                await asyncio.sleep(0.02)

    async def register(self, station_id: str, **members: Any) -> None:
        """Register a station that gets nothing unasked."""
        body = {"password": PASSWORD, "managed": False, **members}
        await self.call("PUT", f"/stations/{station_id}", body)

    async def token(self, role: str, *, life: timedelta | None = None) -> str:
        """A new token; ``life`` may be negative."""
        now = self.parts.wall_clock.now()
        secret, _ = await self.gateway.writer.run(
            lambda conn: api_tokens.create_token(
                conn,
                role=Role(role),
                label="test",
                now=now,
                expires_at=None if life is None else now + life,
            )
        )
        return secret


@asynccontextmanager
async def api_site(
    folder: Path, passwords: Mapping[str, str] | None = None, **more: Any
) -> AsyncIterator[ApiSite]:
    """Run the gateway on a folder, without pages: those allow one mount a process."""
    config = Config.from_dict(document(**more), folder)
    secrets = {} if passwords is None else passwords
    built: list[Parts] = []
    place_database(config.store.database_path)

    def remember(parts: Parts, _app: object) -> None:
        built.append(parts)

    async with AsyncExitStack() as stack:
        stack.enter_context(mock.patch.object(Parts, "mount_pages", remember))
        gateway = await stack.enter_async_context(
            running(
                config,
                clock=SystemClock(),
                passwords={StationId(k): v.encode() for k, v in secrets.items()},
                on_stage=lambda _line: None,
                stop=asyncio.Event(),
            )
        )
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=gateway.api_url, timeout=60, trust_env=False)
        )
        site = ApiSite(gateway, built[0], client, {})
        site.secrets = {role.value: await site.token(role.value) for role in Role}
        yield site
