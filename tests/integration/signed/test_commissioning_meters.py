"""A station that could sign is told to, where signed readings are wanted."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sim_chargers.charger import Charger
from sim_chargers.charger_v16 import ChargerV16
from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.meter_spec import MeterSpec
from tests.integration.sim.test_flow import settled, station
from tests.integration.sim.tiny_csms import TinyCsms
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.ocmf import Meter
from tests.support.signed_site import EICHRECHT

VERSIONS = ["1.6", "2.0.1"]
STANDARD = {**EICHRECHT, "regime": "standard"}


def signs(cp: Charger) -> bool:
    """Whether a station signs begin and end."""
    match cp:
        case ChargerV16():
            contexts = cp.keys["StopTransactionSignatureContexts"]
            return contexts == "Transaction.Begin,Transaction.End"
        case ChargerV201():
            return cp.model.is_true("SampledDataCtrlr", "SignReadings")
        case _:
            raise AssertionError(cp)


async def has_set_up(site: ApiSite, cp: Charger) -> None:
    """Wait for the last thing that a set-up does to every station."""

    async def is_done() -> bool:
        said = {
            str(exchange.payload)
            for _, exchange in cp.journal.since(0)
            if not exchange.is_ours
        }
        return any("WebSocketPingInterval" in one for one in said)

    await site.until(is_done)
    await settled(cp, 100)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("billing", "is_pinned", "wanted"),
    [(EICHRECHT, False, True), (STANDARD, True, True), (STANDARD, False, False)],
)
async def test_the_regime_or_a_pinned_key_has_a_station_sign(
    tmp_path: Path,
    version: str,
    billing: dict[str, Any],
    is_pinned: bool,
    wanted: bool,
) -> None:
    async with api_site(tmp_path, billing=billing) as site:
        await site.register("SIGN", managed=True)
        if is_pinned:
            body = {"public_key": Meter().public_key}
            await site.call("PUT", "/stations/SIGN/meter-keys/1", body)
        async with station(
            TinyCsms(port=urlsplit(site.gateway.ocpp_url).port or 0),
            version,
            station_id="SIGN",
            password=PASSWORD,
            meter=MeterSpec(is_on=False),
        ) as cp:
            assert not signs(cp)
            if wanted:

                async def is_told() -> bool:
                    return signs(cp)

                await site.until(is_told)
            else:
                await has_set_up(site, cp)
                assert not signs(cp)
