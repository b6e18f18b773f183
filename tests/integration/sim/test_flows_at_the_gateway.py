"""The flows of the simulator at the gateway's own port, many stations at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.ids import StationId
from gateway.ocpp.adapter import Command
from sim_chargers.charger import Charger
from sim_chargers.flows.catalogue import FLOWS, play
from sim_chargers.flows.stage import Verdict
from tests.integration.sim.operator_scripts import SCRIPTS, Operator
from tests.integration.sim.test_flow import lines, station
from tests.integration.sim.tiny_csms import Payload, TinyCsms
from tests.support.ocpp_port import Port, open_port

AT_ONCE = 16
POLICY = {
    "certificate-refused",
    "certificate-renewal",
    "certificate-triggered",
    "contract-certificate",
    "charging-needs",
    "contract-unknown",
    "group-stop",
    "master-pass",
    "network-profile",
    "password-rotation",
    "unknown-token",
    "v2g-certificate",
}
"""They need tokens, contracts, keys, an authority or a planner of the operator."""


@dataclass
class Desk:
    """The gateway's port with one station, as the scripts know a central system."""

    gateway: Port
    cp: Charger
    port: int = 0
    password: str | None = None
    groups: dict[str, str] = field(default_factory=dict)
    token_status: dict[str, str] = field(default_factory=dict)

    async def call(self, station_id: str, action: str, payload: Payload) -> Payload:
        command = Command(action=action, payload=payload)
        links = self.gateway.links
        answer = await links.call(StationId(station_id), command, timeout_s=30)
        return dict(answer)

    def of(self, action: str) -> list[Payload]:
        return [
            dict(exchange.payload)
            for _, exchange in self.cp.journal.since(0)
            if exchange.is_ours and exchange.action == action
        ]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - the journal tells waiters only
                await asyncio.sleep(0.01)

    @property
    def started(self) -> list[str]:
        return [str(line["transaction"]) for line in lines(self.cp, "session_started")]

    @property
    def ended(self) -> list[str]:
        return [str(line["transaction"]) for line in lines(self.cp, "session_ended")]


async def verdict_of(gateway: Port, name: str, version: str) -> dict[str, Any]:
    """Play one flow with a station of its own; the line about its end."""
    station_id = f"FLOW-{name}"
    await gateway.register(station_id, b"pw")
    where = TinyCsms(port=gateway.number)
    async with station(where, version, station_id=station_id) as cp:
        desk: Any = Desk(gateway, cp, port=gateway.number)
        operator = Operator(desk, version, cp, station_id=station_id)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(play(cp, FLOWS[name], timeout_s=20))
            group.create_task(SCRIPTS[name](operator))
        assert task.result() in Verdict
        return lines(cp, "flow_ended")[0]


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_flows_pass_at_the_gateway(tmp_path: Path, version: str) -> None:
    names = [n for n, f in FLOWS.items() if version in f.versions and n not in POLICY]
    free = asyncio.Semaphore(AT_ONCE)
    ends: dict[str, Any] = {}

    async def one(gateway: Port, name: str) -> None:
        async with free:
            end = await verdict_of(gateway, name, version)
            ends[name] = (end["verdict"], end.get("reason"))

    async with open_port(tmp_path) as gateway, asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(one(gateway, name))
    assert {n: e for n, e in ends.items() if e[0] != "passed"} == {}
    assert len(ends) == len(names)
