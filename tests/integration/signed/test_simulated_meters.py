"""Simulated meters that sign, at the real gateway over real sockets.

Row numbers are those of ``docs/conformance.md``, Real chargers.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ledger.meter_key import read_key
from ledger.verify import Verdict, verify
from sim_chargers.charger import Charger
from sim_chargers.charger_v16 import ChargerV16
from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.faults import SIGNING
from sim_chargers.meter_spec import CARRIERS, CURVES, MeterSpec
from tests.integration.sim.test_flow import car, lines, settled, station
from tests.integration.sim.tiny_csms import TinyCsms
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.signed_site import EICHRECHT

VERSIONS = ["1.6", "2.0.1"]
REASONS = {
    "wrong-meter-key": "signature_wrong",
    "changed-meter-key": "meter_key_changed",
    "missing-pages": "signed_page_missing",
    "no-signed-begin": "signed_no_begin",
    "meter-errors": "signed_meter_error",
    "falling-registers": "signed_register_falls",
    "rewritten-records": "signature_wrong",
    "hostile-xml": "signed_hostile_xml",
    "absurd-records": "signed_bad_json",
}
"""Fault -> why its records prove nothing, or contradict the registers."""


async def charge(cp: Charger) -> int:
    """One session from plug to plug; what the meter delivered, mWh."""
    await settled(cp, 10)
    assert cp.plug_in(1, car())
    await settled(cp, 10)
    assert await cp.present_token(1, "DRIVER")
    await settled(cp, 120)
    running = cp.connectors[1].transaction
    assert running is not None, "charging is never blocked"
    assert await cp.present_token(1, "DRIVER")
    start, stop = running.samples[0], running.samples[-1]
    async with asyncio.timeout(20):
        while not lines(cp, "session_ended") or len(cp.outbox):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)
    return cp.wire_milliwh(stop.register_milliwh) - cp.wire_milliwh(
        start.register_milliwh
    )


async def session_of(
    site: ApiSite,
    version: str,
    station_id: str,
    *faults: str,
    before: Callable[[Charger], None] = lambda _cp: None,
    **meter: Any,
) -> tuple[dict[str, Any], int]:
    """A session of a station whose key is pinned, and what its meter delivered."""
    await site.register(station_id)
    where = TinyCsms(port=urlsplit(site.gateway.ocpp_url).port or 0)
    spec = MeterSpec(**meter)
    async with station(
        where, version, *faults, station_id=station_id, password=PASSWORD, meter=spec
    ) as cp:
        own = cp.connectors[1].meter
        assert own is not None
        body = {"public_key": own.label, "meter_serial": own.serial}
        await site.call("PUT", f"/stations/{station_id}/meter-keys/1", body)
        before(cp)
        delivered = await charge(cp)
    rows = await site.call("GET", f"/sessions?station_id={station_id}")
    path = f"/sessions/{rows[0]['session_id']}"

    async def is_judged() -> bool:
        answer = await site.send("GET", f"{path}/bill")
        if answer.status_code != 200:
            return False
        session = await site.call("GET", path)
        return bool(session["signed"]["verdict"] != "unsigned")

    await site.until(is_judged)
    session: dict[str, Any] = await site.call("GET", path)
    session["bill"] = await site.call("GET", f"{path}/bill")
    session["label"] = own.label
    return session, delivered


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_carrier_and_curve_proves_the_energy(
    tmp_path: Path, version: str
) -> None:
    meters: list[dict[str, Any]] = [{"carrier": carrier} for carrier in CARRIERS]
    meters += [{"curve": curve, "format": "MR"} for curve in CURVES]
    async with api_site(tmp_path, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})

        async def one(number: int, meter: dict[str, Any]) -> None:
            session, delivered = await session_of(
                site, version, f"SIGN-{number}", **meter
            )
            signed = session["signed"]
            assert (signed["verdict"], signed["reasons"]) == ("ok", []), meter
            assert session["verdict"] == "ok", meter
            bill = session["bill"]
            assert (bill["state"], bill["energy_milliwh"]) == ("settled", delivered)
            is_one = meter.get("format") == "MR"
            assert len(signed["records"]) == (1 if is_one else 2)
            path = f"/sessions/{session['session_id']}/receipt"
            receipt = json.dumps(await site.call("GET", path)).encode()
            report = verify(receipt, meter_key=read_key(session["label"]))
            assert report.verdict is not Verdict.FALSE, report.to_json()
            found = {check.name: check.verdict for check in report.checks}
            assert found["signed-registers"] is Verdict.TRUE
            assert found["meter-key"] is Verdict.TRUE

        async with asyncio.TaskGroup() as group:
            for number, meter in enumerate(meters):
                group.create_task(one(number, meter))


@pytest.mark.parametrize("version", VERSIONS)
async def test_signed_samples_in_between_belong_to_the_proof(
    tmp_path: Path, version: str
) -> None:
    def sign_all(cp: Charger) -> None:
        match cp:
            case ChargerV16():
                cp.keys["MeterValuesSignatureContexts"] = (
                    "Transaction.Begin,Sample.Periodic"
                )
                cp.keys["MeterValueSampleInterval"] = "20"
            case ChargerV201():
                cp.model.put("SampledDataCtrlr", "SignUpdatedReadings", "true")
                cp.model.put("SampledDataCtrlr", "TxUpdatedInterval", "20")
            case _:
                raise AssertionError(cp)

    async with api_site(tmp_path, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})
        session, delivered = await session_of(
            site, version, "SIGN-ALL", before=sign_all
        )
    signed = session["signed"]
    assert (signed["verdict"], signed["reasons"]) == ("ok", [])
    kinds = [one["readings"][0]["kind"] for one in signed["records"]]
    assert len(kinds) >= 4
    assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == ("B", {"C"}, "E")
    assert session["bill"]["energy_milliwh"] == delivered


@pytest.mark.quirk(28)
async def test_in_the_standard_regime_what_contradicts_nothing_settles(
    tmp_path: Path,
) -> None:
    states = {"no-signed-begin": "settled", "absurd-records": "settled"}
    states |= {"wrong-meter-key": "held", "falling-registers": "held"}
    async with api_site(tmp_path) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})

        async def one(fault: str) -> None:
            session, delivered = await session_of(site, "1.6", f"SIM-{fault}", fault)
            assert session["bill"]["state"] == states[fault], fault
            if states[fault] == "settled":
                assert session["bill"]["energy_milliwh"] == delivered

        async with asyncio.TaskGroup() as group:
            for fault in states:
                group.create_task(one(fault))


@pytest.mark.quirk(28)
@pytest.mark.parametrize("version", VERSIONS)
async def test_every_fault_of_a_signing_meter_is_named_and_blocks_no_charging(
    tmp_path: Path, version: str
) -> None:
    async with api_site(tmp_path, billing=EICHRECHT) as site:
        await site.call("PUT", "/id-tokens/DRIVER", {})

        async def one(fault: str) -> None:
            session, _ = await session_of(site, version, f"SIM-{fault}", fault)
            assert REASONS[fault] in session["signed"]["reasons"], fault
            assert session["bill"]["state"] == "held", fault

        async with asyncio.TaskGroup() as group:
            for fault in sorted(SIGNING):
                group.create_task(one(fault))
