"""Network profiles, and stations on their way to a higher security profile."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from gateway.bus import LinkChanged
from gateway.domain.ids import StationId
from gateway.store import networks as rows
from tests.support import pki
from tests.support.api_site import ApiSite, api_site
from tests.support.certificates import Authority
from tests.support.raw_station import RawStation
from tests.support.trust_store import TrustStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Authority.new()
URL = "wss://csms.example.com/ocpp"
CONNECTION = {
    "ocppVersion": "OCPP20",
    "ocppTransport": "JSON",
    "ocppCsmsUrl": URL,
    "messageTimeout": 30,
    "securityProfile": 1,
    "ocppInterface": "Wired0",
}
VPN = {
    "server": "vpn.example.com",
    "user": "u",
    "password": "vpn-password",
    "key": "vpn-key",
    "type": "IPSec",
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    folder = tmp_path_factory.mktemp("site")
    files, clients = (
        ROOT.issue(folder, "csms.example.com"),
        Authority.new("Station root"),
    )
    tls = {
        "port": 0,
        "certificates": [{"cert": str(files.cert), "key": str(files.key)}],
        "client_ca": str(clients.file(folder)),
    }
    async with api_site(folder, ocpp={"tls": tls}) as running:
        yield running


def trusts(station: RawStation) -> None:
    """Have the station list the root of our certificate."""
    held = pki.Holder(certificate=ROOT.certificate, key=pki.new_key())
    kinds = {"1.6": "CentralSystemRootCertificate", "2.0.1": "CSMSRootCertificate"}
    TrustStore(station).put(kinds[station.version], held)


@pytest.mark.use_case("B09")
async def test_a_network_profile_is_set_and_kept_without_its_passwords(
    site: ApiSite,
) -> None:
    await site.register("NET")
    path = "/stations/NET/network-profiles"
    async with site.station("NET", "2.0.1") as station:
        await station.boot()
        body = {"slot": 2, "connection": {**CONNECTION, "vpn": VPN}}
        said = await site.call("POST", path, body)
        assert said == {"slot": 2, "outcome": "result", "status": "Accepted"}
        (asked,) = station.calls("SetNetworkProfile")
        assert asked == {
            "configurationSlot": 2,
            "connectionData": {**CONNECTION, "vpn": VPN},
        }
        station.handlers["SetNetworkProfile"] = lambda _: {"status": "Failed"}
        other = {**CONNECTION, "ocppCsmsUrl": "wss://other"}
        said = await site.call("POST", path, {"slot": 2, "connection": other})
        assert said["status"] == "Failed"
        (known,) = await site.call("GET", path)
        assert (known["url"], known["status"]) == (URL, "Accepted")
        assert "vpn-" not in str(known["connection"]).replace("vpn.", "")
        await site.call("POST", path, {"slot": 1, "connection": {}}, status=422)
    await site.call("POST", path, body, status=409)


@pytest.mark.use_case("A05", "B10")
async def test_an_upgrade_sets_chooses_restarts_and_is_done_when_the_station_is_back(
    site: ApiSite,
) -> None:
    await site.register("UP")
    path = "/stations/UP/security-upgrade"
    await site.call("GET", path, status=404)
    async with site.station("UP", "2.0.1") as station:
        await station.boot()
        trusts(station)
        station.handlers["SetVariables"] = _accepts
        body = {"security_profile": 2, "url": URL, "slot": 3}
        said = await site.call("POST", path, body)
        assert (said["state"], said["problem"]) == ("resetting", None)
        actions = [action for action, _, _ in station.heard]
        assert actions[0] == "GetInstalledCertificateIds"
        assert actions[1:] == ["SetNetworkProfile", "SetVariables", "Reset"]
        (profile,) = station.calls("SetNetworkProfile")
        assert profile["configurationSlot"] == 3
        assert profile["connectionData"]["securityProfile"] == 2
        (chosen,) = station.calls("SetVariables")
        (variable,) = chosen["setVariableData"]
        assert variable["variable"]["name"] == "NetworkConfigurationPriority"
        assert variable["attributeValue"].split(",")[0] == "3"
        assert station.calls("Reset") == [{"type": "OnIdle"}]
    await site.parts.directory.note_profile(StationId("UP"), 2)  # as the TLS port does
    site.parts.bus.publish(
        LinkChanged(
            station_id=StationId("UP"),
            is_online=True,
            ocpp_version="2.0.1",
            at=site.gateway.clock.now(),
        )
    )

    async def is_done() -> bool:
        return bool((await site.call("GET", path))["state"] == "done")

    await site.until(is_done)
    assert (await site.call("GET", "/stations/UP"))["security_profile"] == 2
    with pytest.raises(InvalidStatus):
        async with site.station("UP", "2.0.1"):
            pass
    await site.call("PUT", "/stations/UP", {"security_profile": 1}, status=403)
    lowered = {"security_profile": 1}
    await site.call("PUT", "/stations/UP", lowered, role="admin")
    async with site.station("UP", "2.0.1") as station:
        assert (await station.boot())["status"] == "Accepted"


def _accepts(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "setVariableResult": [
            {
                "attributeStatus": "Accepted",
                "component": one["component"],
                "variable": one["variable"],
            }
            for one in asked["setVariableData"]
        ]
    }


async def test_an_upgrade_under_way_is_expected_again_after_a_restart_but_not_for_ever(
    site: ApiSite,
) -> None:
    networks, directory = site.parts.device.networks, site.parts.directory
    now = site.gateway.clock.now()
    for name, age in (("FRESH", timedelta(hours=1)), ("STALE", timedelta(days=2))):
        await site.register(name)
        begun = now - age

        def begin(
            conn: sqlite3.Connection, name: str = name, begun: datetime = begun
        ) -> None:
            rows.start_upgrade(conn, name, target=2, slot=1, url=URL, now=begun)
            rows.note_upgrade(conn, name, "resetting", begun)

        await site.gateway.writer.run(begin)
    await networks._resume()
    for name, state, profile in (("FRESH", "resetting", 2), ("STALE", "failed", 1)):
        known = await site.call("GET", f"/stations/{name}/security-upgrade")
        assert known["state"] == state
        await directory.note_profile(StationId(name), 2)
        station = await site.call("GET", f"/stations/{name}")
        assert station["security_profile"] == profile


async def test_a_refused_step_ends_an_upgrade_and_says_which(site: ApiSite) -> None:
    await site.register("FAILS")
    path = "/stations/FAILS/security-upgrade"
    body = {"security_profile": 2, "url": URL}
    async with site.station("FAILS", "2.0.1") as station:
        await station.boot()
        trusts(station)
        station.handlers["SetNetworkProfile"] = lambda _: {"status": "Rejected"}
        said = await site.call("POST", path, body)
        assert said["state"] == "failed"
        assert said["problem"] == "SetNetworkProfile: Rejected"
        assert station.calls("Reset") == []
        station.handlers["SetNetworkProfile"] = lambda _: None
        said = await site.call("POST", path, {**body, "timeout_s": 0.2})
        assert said["problem"] == "SetNetworkProfile: timeout"


async def test_what_an_upgrade_needs_is_asked_for_first(site: ApiSite) -> None:
    await site.register("NEEDS")
    path = "/stations/NEEDS/security-upgrade"
    body = {"security_profile": 2, "url": URL}
    await site.call("POST", path, body, status=409)
    async with site.station("NEEDS", "2.0.1") as station:
        await station.boot()
        three = {**body, "security_profile": 3}
        refused = await site.call("POST", path, three, status=409)
        assert refused["error"] == "no_client_certificate"
        await site.call("POST", path, {**three, "force": True}, status=403)
        await site.call("POST", path, {**body, "url": "ws://plain"}, status=422)
        assert station.heard == []


async def test_without_a_tls_port_there_is_nowhere_to_send_a_station(
    tmp_path: Path,
) -> None:
    async with api_site(tmp_path) as site, AsyncExitStack() as stack:
        await site.register("PLAIN")
        station = await stack.enter_async_context(site.station("PLAIN"))
        await station.boot()
        for force in (False, True):
            body = {"security_profile": 2, "force": force}
            path = "/stations/PLAIN/security-upgrade"
            refused = await site.call("POST", path, body, role="admin", status=409)
            assert refused["error"] == "no_tls_port"
        assert station.heard == []


async def test_1_6_is_upgraded_by_its_key(site: ApiSite) -> None:
    await site.register("KEY")
    async with site.station("KEY") as station:
        await station.boot()
        trusts(station)
        station.handlers["ChangeConfiguration"] = lambda _: {"status": "RebootRequired"}
        path = "/stations/KEY/security-upgrade"
        said = await site.call("POST", path, {"security_profile": 2})
        assert said["state"] == "resetting"
        assert "restarted" in said["problem"]
        assert station.calls("ChangeConfiguration") == [
            {"key": "SecurityProfile", "value": "2"}
        ]
        assert station.calls("Reset") == []
