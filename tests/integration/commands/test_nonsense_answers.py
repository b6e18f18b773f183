"""Stations answer anything: whoever asked gets it as it came, and nothing fails."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.commands.steps import asked, named, until
from tests.support import pki
from tests.support.api_site import ApiSite, api_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

VARIABLE = {"component": {"name": "C"}, "variable": {"name": "V"}}
PEM = pki.root("Somebody").pem
HASH = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "aa",
    "issuerKeyHash": "bb",
    "serialNumber": "1",
}
CALLS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "1.6": [
        ("CancelReservation", {"reservationId": 3}),
        ("CertificateSigned", {"certificateChain": PEM}),
        (
            "ChangeConfiguration",
            {"key": "AuthorizationKey", "value": "0123456789abcdef"},
        ),
        ("ClearChargingProfile", {}),
        ("DeleteCertificate", {"certificateHashData": HASH}),
        ("GetConfiguration", {}),
        ("GetDiagnostics", {"location": "ftp://files.example/x"}),
        (
            "GetInstalledCertificateIds",
            {"certificateType": "CentralSystemRootCertificate"},
        ),
        (
            "GetLog",
            {
                "logType": "SecurityLog",
                "requestId": 1,
                "log": {"remoteLocation": "ftp://files.example/x"},
            },
        ),
        (
            "InstallCertificate",
            {"certificateType": "CentralSystemRootCertificate", "certificate": PEM},
        ),
        (
            "ReserveNow",
            {
                "connectorId": 1,
                "expiryDate": "2030-01-01T00:00:00Z",
                "idTag": "T",
                "reservationId": 3,
            },
        ),
        ("SendLocalList", {"listVersion": 1, "updateType": "Full"}),
    ],
    "2.0.1": [
        ("CertificateSigned", {"certificateChain": PEM}),
        (
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "attributeValue": "0123456789abcdef",
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                    }
                ]
            },
        ),
        ("ClearDisplayMessage", {"id": 1}),
        ("ClearVariableMonitoring", {"id": [1]}),
        ("DeleteCertificate", {"certificateHashData": HASH}),
        ("GetBaseReport", {"requestId": 7, "reportBase": "FullInventory"}),
        ("GetInstalledCertificateIds", {}),
        ("GetVariables", {"getVariableData": [VARIABLE]}),
        (
            "InstallCertificate",
            {"certificateType": "CSMSRootCertificate", "certificate": PEM},
        ),
        ("SendLocalList", {"versionNumber": 1, "updateType": "Full"}),
        (
            "SetDisplayMessage",
            {
                "message": {
                    "id": 1,
                    "priority": "AlwaysFront",
                    "message": {"format": "UTF8", "content": "x"},
                }
            },
        ),
        (
            "SetNetworkProfile",
            {
                "configurationSlot": 1,
                "connectionData": {
                    "ocppVersion": "OCPP20",
                    "ocppTransport": "JSON",
                    "ocppCsmsUrl": "wss://here.example",
                    "messageTimeout": 30,
                    "securityProfile": 2,
                    "ocppInterface": "Wired0",
                },
            },
        ),
        (
            "SetVariableMonitoring",
            {
                "setMonitoringData": [
                    {"value": 1, "type": "Delta", "severity": 5, **VARIABLE}
                ]
            },
        ),
        (
            "UpdateFirmware",
            {
                "requestId": 9,
                "firmware": {
                    "location": "https://files.example/f",
                    "retrieveDateTime": "2030-01-01T00:00:00Z",
                },
            },
        ),
    ],
}
ODD: list[Any] = [
    None,
    10**30,
    {"a": [1]},
    ["x", None],
    [{}],
    [{"status": ["Accepted"], "id": 10**30, "key": 5, "value": {}}],
    [
        {
            "attributeStatus": "Accepted",
            "attributeValue": [1],
            "component": 5,
            "variable": None,
        }
    ],
    [{"attributeStatus": {}, "component": {"name": 5}, "variable": {"name": []}}],
]
LISTS = {
    "certificateHashData",
    "certificateHashDataChain",
    "clearMonitoringResult",
    "configurationKey",
    "getVariableResult",
    "setMonitoringResult",
    "setVariableResult",
    "unknownKey",
}


def answers() -> list[dict[str, Any]]:
    """Objects that no schema allows, each with one member that is read somewhere."""
    found: list[dict[str, Any]] = [{}, {"status": "Nonsense"}]
    for odd in ODD:
        lists = {key: odd for key in LISTS}  # noqa: C420 - lists are no constants
        found.append({"status": "Accepted", **lists})
        found.append({"status": odd, "fileName": odd, "filename": odd})
    return found


def _said(answer: dict[str, Any], _payload: dict[str, Any]) -> dict[str, Any]:
    return answer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiSite]:
    async with api_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.mark.parametrize(
    ("version", "action", "payload"),
    [(version, *call) for version, calls in CALLS.items() for call in calls],
)
async def test_whatever_is_answered_comes_back_as_it_came(
    site: ApiSite, version: str, action: str, payload: dict[str, Any]
) -> None:
    name = await named(site)
    async with site.station(name, version) as station:
        await station.boot()
        for answer in answers():
            station.handlers[action] = partial(_said, answer)
            said = await site.call(
                "POST",
                f"/stations/{name}/calls",
                {"action": action, "payload": payload},
            )
            assert said == {"outcome": "result", "payload": answer}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_nonsense_answer_to_what_waited_harms_no_other_station(
    site: ApiSite, version: str
) -> None:
    bad, good = await named(site), await named(site)
    action, payload = {
        "1.6": ("GetConfiguration", {}),
        "2.0.1": ("GetVariables", {"getVariableData": [VARIABLE]}),
    }[version]
    async with site.station(bad, version) as one, site.station(good, version) as other:
        await one.boot()
        await other.boot()
        other.handlers["ClearCache"] = lambda _: None
        held = await asked(site, good, action="ClearCache", timeout_s=2)
        await other.heard_so_far("ClearCache", 1)
        one.handlers[action] = lambda _: {key: [1] for key in LISTS}
        await asked(site, bad, action=action, payload=payload)
        after = await asked(site, bad, action="ClearCache")
        await until(site, after, "effected")
        other.handlers["ClearCache"] = lambda _: {"status": "Accepted"}
        assert (await until(site, held, "failed"))["reason"] == "timeout"
