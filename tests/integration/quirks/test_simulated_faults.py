"""Simulated chargers with every fault against the real port: no wrong bill.

What settles by itself is exactly what the meter delivered; everything else is held.
Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gateway.domain.ids import StationId
from gateway.domain.session import Session, SessionPhase
from gateway.services.register_doubt import CONTRADICTED, register_doubt
from sim_chargers.charger import Charger
from tests.integration.sim.test_flow import car, lines, settled, station
from tests.integration.sim.tiny_csms import TinyCsms
from tests.support.ocpp_port import open_port

SETTLES = ("ok", "ok-unsigned")
HELD = ("reconstructed", "suspicious", "unbillable")
FAULTS = {
    "no-subprotocol": SETTLES,
    "duplicate-frames": SETTLES,
    "lost-answers": SETTLES,
    "wrong-version": SETTLES,
    "odd-url": SETTLES,
    "double-connect": SETTLES,
    "no-pong": SETTLES,
    "reserved-bits": SETTLES,
    "flapping": SETTLES,
    "hex-password": SETTLES,
    "crossing-calls": SETTLES,
    "late-answers": SETTLES,
    "stray-answers": SETTLES,
    "odd-errors": SETTLES,
    "schema-breaks": SETTLES,
    "absurd-values": SETTLES + HELD,
    "fragile": SETTLES,
    "restart-to-set": SETTLES,
    "odd-transaction-ids": SETTLES + HELD,
    "restarted-starts": SETTLES,
    "repeated-stops": SETTLES,
    "differing-stops": HELD,
    "lost-starts": HELD,
    "relative-registers": HELD,
    "register-drops": HELD,
    "fresh-registers": SETTLES,
    "placeholder-start": HELD,
    "kilo-registers": SETTLES + HELD,
    "odd-units": SETTLES,
    "no-transaction-id": SETTLES,
    "local-time": SETTLES,
    "accepts-only": SETTLES,
}
"""Fault -> verdicts that are right for a session of such a station."""


def unrated(_station_id: StationId, _evse_id: int) -> float | None:
    """Nothing is known of any EVSE."""
    return None


async def seen(condition: Callable[[], object]) -> None:
    """Wait until something of the simulator is true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def charge(cp: Charger) -> int:
    """One session with some samples; what the meter delivered, mWh."""
    await settled(cp, 10)
    assert cp.plug_in(1, car())
    await settled(cp, 10)
    await seen(lambda: cp.is_online)
    for _ in range(200):  # an answer may get lost
        if await cp.present_token(1, "CARD"):
            break
        await asyncio.sleep(0.05)
    await settled(cp, 240)
    transaction = cp.connectors[1].transaction
    assert transaction is not None
    start_milliwh = cp.wire_milliwh(transaction.register_start_milliwh)
    assert await cp.present_token(1, "CARD")
    stop_milliwh = cp.wire_milliwh(transaction.samples[-1].register_milliwh)
    await seen(lambda: lines(cp, "session_ended"))
    await seen(lambda: len(cp.outbox) == 0)
    return stop_milliwh - start_milliwh


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_fault_makes_a_wrong_bill(
    tmp_path: Path, fault: str, version: str
) -> None:
    """Rows 1 to 24, 27."""
    async with open_port(tmp_path) as port:
        await port.register("CP1", b"pw")
        if fault == "no-subprotocol":  # served where its operator says so only
            change = {"assume_version": version}
            await port.directory.put(StationId("CP1"), change, is_admin=False)
        where = TinyCsms(port=port.number)
        async with station(where, version, fault) as cp:
            if fault == "fragile":  # it restarts over the questions of its first boots
                await settled(cp, 600)
            delivered = await charge(cp)
            await port.writer.run(lambda _conn: None)
            sessions = await port.queries.sessions()
        if version == "2.0.1" and fault == "odd-transaction-ids":
            # Its ids are the station's own there: three sessions, none settles.
            assert {s.verdict for s in sessions} <= {None, *HELD}
            return
        assert len(sessions) == 1
        session: Session = sessions[0]
        assert session.phase is SessionPhase.ENDED
        assert session.verdict is not None
        if fault == "kilo-registers":  # a bill is held whatever the registers say
            doubt = await port.writer.run(
                partial(register_doubt, session=session, rating=unrated)
            )
            assert doubt == CONTRADICTED
        elif session.verdict in SETTLES:
            assert session.energy_milliwh == delivered
        assert delivered > 0
        assert session.verdict in FAULTS[fault]
