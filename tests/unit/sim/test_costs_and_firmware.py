"""Prices and costs, firmware orders and logs, without a network."""

import json
from pathlib import Path
from typing import Any

import pytest

import sim_chargers
from sim_chargers.blocks.cost import COST_VENDOR
from sim_chargers.charger import Charger
from sim_chargers.connector import Reason
from sim_chargers.flows.catalogue import FLOWS, UnknownFlowError, assign, table
from sim_chargers.outcomes import Answer
from sim_chargers.transfer import TransferError, fetch, is_loopback, upload
from sim_chargers.uploads import Errand, write_log
from sim_chargers.vehicle import Vehicle
from tests.integration.sim.authority import Authority
from tests.unit.sim.desk import Payload, ask, said, station, status, told, v16, v201

ROOT = Path(sim_chargers.__file__).parents[1]
LATER = "2099-01-01T00:00:00Z"


def transfer(cp: Charger, name: str, body: object, vendor: str = COST_VENDOR) -> str:
    data = body if isinstance(body, str) else json.dumps(body)
    return status(cp, "DataTransfer", vendorId=vendor, messageId=name, data=data)


def test_californian_prices_and_costs_are_shown() -> None:
    cp = v16()
    price = {"idToken": "CARD", "priceText": "$0.15/kWh"}
    assert transfer(cp, "SetUserPrice", price) == "Accepted"
    running = {"transactionId": 7, "cost": 1.25, "state": "Charging"}
    assert transfer(cp, "RunningCost", running) == "Accepted"
    final = {"transactionId": 7, "cost": 2.5, "priceText": "$2.50"}
    assert transfer(cp, "FinalCost", final) == "Accepted"
    assert told(cp, "price_shown")[0]["text"] == "$0.15/kWh"
    shown = [(c["cost"], c["is_final"], c["text"]) for c in told(cp, "cost_shown")]
    assert shown == [(1.25, False, ""), (2.5, True, "$2.50")]


@pytest.mark.parametrize(
    ("name", "body", "vendor", "expected"),
    [
        ("SetUserPrice", {}, "somebody", "UnknownVendorId"),
        ("SetMood", {}, COST_VENDOR, "UnknownMessageId"),
        ("RunningCost", {"cost": 1}, COST_VENDOR, "Rejected"),
        ("RunningCost", "no json", COST_VENDOR, "Rejected"),
    ],
)
def test_transfers_that_say_nothing_useful_are_refused(
    name: str, body: object, vendor: str, expected: str
) -> None:
    assert transfer(v16(), name, body, vendor) == expected


def car() -> Vehicle:
    return Vehicle(capacity_wh=60_000.0, stored_wh=20_000.0, wake_s=2.0)


def test_an_energy_alarm_sends_the_meter_once() -> None:
    cp = v16()
    cp.plug_in(1, car())
    cp.start(cp.connectors[1], "CARD", trigger="Authorized")
    transaction = cp.connectors[1].transaction
    assert transaction is not None
    transaction.wire_id = "7"
    register_kwh = cp.connectors[1].evse.register_milliwh / 1e6
    body = {
        "transactionId": 7,
        "cost": 1,
        "triggerMeterValue": {"atEnergykWh": register_kwh + 0.001},
    }
    assert transfer(cp, "RunningCost", body) == "Accepted"
    cp.observe()
    assert said(cp, "MeterValues") == []
    cp.connectors[1].evse.register_milliwh += 1_001
    cp.observe()
    cp.observe()
    assert len(said(cp, "MeterValues")) == 1


def test_the_cost_of_2_0_1_is_shown() -> None:
    cp = v201()
    assert ask(cp, "CostUpdated", transactionId="T", totalCost=3.5) == {}
    assert told(cp, "cost_shown")[0]["cost"] == 3.5


def test_queued_messages_of_a_transaction_are_told() -> None:
    cp = v201()
    assert ask(cp, "GetTransactionStatus") == {"messagesInQueue": False}
    cp.plug_in(1, car())
    cp.start(cp.connectors[1], "CARD", trigger="Authorized")
    transaction = cp.connectors[1].transaction
    assert transaction is not None
    cp.stop(cp.connectors[1], Reason.LOCAL)
    answer = ask(cp, "GetTransactionStatus", transactionId=transaction.wire_id)
    assert answer == {"ongoingIndicator": False, "messagesInQueue": True}
    answer = ask(cp, "GetTransactionStatus", transactionId="another")
    assert answer == {"ongoingIndicator": False, "messagesInQueue": False}


def order(certificate: str | None) -> Payload:
    firmware: dict[str, Any] = {
        "location": "https://files.example.com/fw-2.1.bin",
        "retrieveDateTime": LATER,
    }
    if certificate is not None:
        firmware |= {"signingCertificate": certificate, "signature": "c2ln"}
    return {"requestId": 1, "firmware": firmware}


ACTIONS = {"1.6": "SignedUpdateFirmware", "2.0.1": "UpdateFirmware"}


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_signing_certificate_of_a_stranger_is_not_trusted(version: str) -> None:
    cp, maker = station(version), Authority("Manufacturer")
    root = {
        "certificateType": "ManufacturerRootCertificate",
        "certificate": maker.pem,
    }
    assert status(cp, "InstallCertificate", **root) == "Accepted"
    stranger, _ = Authority("Stranger").issue("Signer")
    answer = status(cp, ACTIONS[version], **order(stranger))
    assert answer == "InvalidCertificate"
    (event,) = said(cp, "SecurityEventNotification")
    assert event["type"] == "InvalidFirmwareSigningCertificate"
    assert status(cp, ACTIONS[version], **order("no certificate")) == answer
    signing, _ = maker.issue("Signer")
    reply = cp.on_call(ACTIONS[version], order(signing))
    assert reply.payload == {"status": "Accepted"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/fw.bin", True),
        ("http://localhost/fw.bin", True),
        ("http://[::1]:8000/fw.bin", True),
        ("http://127.0.0.1.example.com/fw.bin", False),
        ("http://127.0.0.1@example.com/fw.bin", False),
        ("ftp://127.0.0.1/fw.bin", False),
        ("http://[", False),
    ],
)
def test_only_loopback_is_reached_for_real(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


async def test_elsewhere_files_are_only_played() -> None:
    assert await fetch("https://files.example.com/fw.bin") is None
    await upload("https://files.example.com/", "log", b"")
    with pytest.raises(TransferError):
        await fetch("https://files.example.com/fw.bin", is_lost=True)


def test_a_security_log_holds_security_events_only() -> None:
    cp = v201()
    cp.note("Heartbeat", {}, Answer(payload={}), ours=True)
    event = {"type": "FirmwareUpdated", "timestamp": LATER}
    cp.note("SecurityEventNotification", event, Answer(payload={}), ours=True)

    def lines(*, is_security: bool) -> list[str]:
        errand = Errand(
            action="LogStatusNotification",
            failed="UploadFailure",
            location="",
            name="log",
            is_security=is_security,
        )
        rows = write_log(cp, errand).decode().splitlines()
        return [json.loads(row)["action"] for row in rows]

    assert lines(is_security=False) == ["Heartbeat", "SecurityEventNotification"]
    assert lines(is_security=True) == ["SecurityEventNotification"]


def test_flows_are_given_to_stations_that_can_play_them() -> None:
    versions = {"A": "1.6", "B": "2.0.1"}
    given = assign(["charge", "firmware@B", "monitoring-alert"], versions)
    assert given == {"A": ("charge",), "B": ("charge", "firmware", "monitoring-alert")}
    for request, hint in (
        ("sulk", "no flow"),
        ("charge@C", "no station"),
        ("monitoring-alert@A", "a 2.0.1 station"),
    ):
        with pytest.raises(UnknownFlowError, match=hint):
            assign([request], versions)


def test_the_document_lists_every_flow_as_it_is() -> None:
    text = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert table() in text


def test_every_flow_has_a_line_and_a_version() -> None:
    for name, flow in FLOWS.items():
        assert name == flow.name
        assert flow.line
        assert flow.versions
