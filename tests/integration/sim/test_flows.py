"""Every named flow, in every version that it claims, against a small operator."""

import asyncio

import pytest

from sim_chargers.flows.catalogue import FLOWS, play
from sim_chargers.flows.stage import Verdict
from tests.integration.sim.operator_scripts import SCRIPTS, Operator
from tests.integration.sim.test_flow import lines, station
from tests.integration.sim.tiny_csms import TinyCsms, tiny_csms

CASES = [(name, version) for name, flow in FLOWS.items() for version in flow.versions]


def test_every_flow_has_a_script() -> None:
    assert set(SCRIPTS) == set(FLOWS)


@pytest.mark.parametrize(("name", "version"), CASES)
async def test_a_flow_passes_with_a_central_system_that_plays_along(
    name: str, version: str
) -> None:
    system = TinyCsms(password="pw")
    async with tiny_csms(system) as csms, station(csms, version) as cp:
        operator = Operator(csms=csms, version=version, station=cp)
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(play(cp, FLOWS[name], timeout_s=30))
            group.create_task(SCRIPTS[name](operator))
        told = lines(cp, "flow_ended")
    assert (flow.result(), told[0].get("reason")) == (Verdict.PASSED, None)
