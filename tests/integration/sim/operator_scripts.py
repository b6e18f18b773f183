"""What a central system does in each flow of the simulator, in both versions."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sim_chargers.blocks.cost import COST_VENDOR
from sim_chargers.certificates import Certificate
from sim_chargers.charger import Charger
from sim_chargers.clock import to_wire
from tests.integration.sim.authority import Authority
from tests.integration.sim.tiny_csms import Payload, TinyCsms

EARLIER = "2020-01-01T00:00:00Z"
LATER = "2099-01-01T00:00:00Z"
NOWHERE = "https://files.example.com/firmware-2.4.1.bin"
CARD, OTHER = "SIMTOKEN01", "SIMTOKEN02"
MONITORED = {
    "component": {"name": "TemperatureSensor"},
    "variable": {"name": "Temperature"},
}


@dataclass
class Operator:
    """One who uses the central system by hand."""

    csms: TinyCsms
    version: str
    station: Charger
    root: Authority = field(default_factory=Authority)
    station_id: str = "CP1"

    @property
    def is_v16(self) -> bool:
        return self.version == "1.6"

    async def call(self, action: str, payload: Payload) -> Payload:
        return await self.csms.call(self.station_id, action, payload)

    async def seen(self, action: str, **members: object) -> Payload:
        """Wait for a message with some members."""

        def found() -> list[Payload]:
            return [
                p
                for p in self.csms.of(action)
                if all(p.get(k) == v for k, v in members.items())
            ]

        await self.csms.until(found)
        return found()[-1]

    async def running(self) -> str:
        """Wait until the station knows its transaction; the id."""
        await self.csms.until(lambda: self.csms.started)
        while self._wire_id is None:  # noqa: ASYNC110 - the station tells nobody
            await asyncio.sleep(0.01)
        return self._wire_id

    @property
    def _wire_id(self) -> str | None:
        transaction = self.station.connectors[1].transaction
        return None if transaction is None else transaction.wire_id


Script = Callable[[Operator], Coroutine[Any, Any, None]]


def variable(component: str, name: str, value: str) -> Payload:
    row = {
        "component": {"name": component},
        "variable": {"name": name},
        "attributeValue": value,
    }
    return {"setVariableData": [row]}


async def nothing(_op: Operator) -> None:
    """The station begins by itself."""


# --- firmware and logs ----------------------------------------------------------------


async def order(op: Operator, number: int = 1) -> None:
    if op.is_v16:
        await op.call("UpdateFirmware", {"location": NOWHERE, "retrieveDate": EARLIER})
        return
    await signed_order(op, number)


async def signed_order(op: Operator, number: int = 1) -> None:
    signing, _ = op.root.issue("Firmware signer")
    firmware = {
        "location": NOWHERE,
        "retrieveDateTime": EARLIER,
        "signingCertificate": signing,
        "signature": "c2lnbmVk",
    }
    action = "SignedUpdateFirmware" if op.is_v16 else "UpdateFirmware"
    await op.call(action, {"requestId": number, "firmware": firmware})


async def order_twice(op: Operator) -> None:
    await signed_order(op)
    report = "FirmwareStatusNotification"
    await op.seen(f"Signed{report}" if op.is_v16 else report, status="Downloading")
    await signed_order(op, 2)


async def order_while_charging(op: Operator) -> None:
    await op.running()
    await order(op)


async def publish(op: Operator) -> None:
    checksum = "d41d8cd98f00b204e9800998ecf8427e"
    payload = {"requestId": 3, "location": NOWHERE, "checksum": checksum}
    await op.call("PublishFirmware", payload)
    report = "PublishFirmwareStatusNotification"
    await op.csms.until(
        lambda: (
            {p["status"] for p in op.csms.of(report)} & {"Published", "InvalidChecksum"}
        )
    )
    await op.call("UnpublishFirmware", {"checksum": checksum})


async def fetch_log(op: Operator, number: int = 7) -> None:
    log = {"remoteLocation": "https://files.example.com/logs/"}
    payload = {"logType": "DiagnosticsLog", "requestId": number, "log": log}
    await op.call("GetLog", payload)


async def fetch_log_twice(op: Operator) -> None:
    await fetch_log(op)
    await op.seen("LogStatusNotification", status="Uploading")
    await fetch_log(op, 8)


# --- security -------------------------------------------------------------------------


async def rotate(op: Operator) -> None:
    op.csms.password = "another-password"
    if op.is_v16:
        change = {"key": "AuthorizationKey", "value": op.csms.password}
        await op.call("ChangeConfiguration", change)
    else:
        change = variable("SecurityCtrlr", "BasicAuthPassword", op.csms.password)
        await op.call("SetVariables", change)


async def sign(op: Operator) -> None:
    asked = await op.seen("SignCertificate")
    payload: Payload = {"certificateChain": op.root.sign_request(asked["csr"])}
    if "certificateType" in asked:
        payload["certificateType"] = asked["certificateType"]
    await op.call("CertificateSigned", payload)


async def trigger_and_sign(op: Operator) -> None:
    if op.is_v16:
        wanted = {"requestedMessage": "SignChargePointCertificate"}
        await op.call("ExtendedTriggerMessage", wanted)
    else:
        wanted = {"requestedMessage": "SignChargingStationCertificate"}
        await op.call("TriggerMessage", wanted)
    await sign(op)


async def store(op: Operator) -> None:
    kind = "CentralSystemRootCertificate" if op.is_v16 else "CSMSRootCertificate"
    root = {"certificateType": kind, "certificate": op.root.pem}
    answer = await op.call("InstallCertificate", root)
    if answer["status"] == "Failed":
        return
    asked = {"certificateType": kind if op.is_v16 else [kind]}
    answer = await op.call("GetInstalledCertificateIds", asked)
    if op.is_v16:
        (found,) = answer["certificateHashData"]
    else:
        (row,) = answer["certificateHashDataChain"]
        found = row["certificateHashData"]
    assert found == Certificate(op.root.certificate).hash_data()
    await op.call("DeleteCertificate", {"certificateHashData": found})


# --- monitors, customers, display -----------------------------------------------------


async def set_monitor(op: Operator) -> None:
    row = {**MONITORED, "type": "UpperThreshold", "value": 60.0, "severity": 5}
    answer = await op.call("SetVariableMonitoring", {"setMonitoringData": [row]})
    assert answer["setMonitoringResult"][0]["status"] == "Accepted"


async def use_monitors(op: Operator) -> None:
    await op.call("SetMonitoringBase", {"monitoringBase": "All"})
    await op.call("SetMonitoringLevel", {"severity": 6})
    await set_monitor(op)
    await op.call("GetMonitoringReport", {"requestId": 5})
    report = await op.seen("NotifyMonitoringReport", tbc=False)
    ids = [v["id"] for m in report["monitor"] for v in m["variableMonitoring"]]
    answer = await op.call("ClearVariableMonitoring", {"id": ids})
    states = {row["status"] for row in answer["clearMonitoringResult"]}
    assert states == {"Accepted", "Rejected"}  # the factory's own stays


async def ask_customer(op: Operator) -> None:
    await op.csms.until(lambda: op.csms.ended)
    token = {"idToken": CARD, "type": "ISO14443"}
    payload = {"requestId": 6, "report": True, "clear": True, "idToken": token}
    await op.call("CustomerInformation", payload)


def message(number: int, **more: object) -> Payload:
    content = {"format": "UTF8", "content": f"Message {number}"}
    return {"id": number, "priority": "NormalCycle", "message": content, **more}


async def use_display(op: Operator) -> None:
    for number in (1, 2, 3):
        await op.call("SetDisplayMessage", {"message": message(number)})
    await op.call("GetDisplayMessages", {"requestId": 4})
    await op.seen("NotifyDisplayMessages", tbc=False)
    await op.call("ClearDisplayMessage", {"id": 1})


async def display_session(op: Operator) -> None:
    shown = message(4, transactionId=await op.running())
    await op.call("SetDisplayMessage", {"message": shown})


# --- settings, resets, lists ----------------------------------------------------------


async def settings(op: Operator) -> None:
    if op.is_v16:
        await op.call("GetConfiguration", {})
        change = {"key": "HeartbeatInterval", "value": "120"}
        await op.call("ChangeConfiguration", change)
        return
    row = variable("OCPPCommCtrlr", "HeartbeatInterval", "120")["setVariableData"][0]
    asked = {k: row[k] for k in ("component", "variable")}
    await op.call("GetVariables", {"getVariableData": [asked]})
    await op.call("SetVariables", {"setVariableData": [row]})


async def change_for_reboot(op: Operator) -> None:
    if op.is_v16:
        change = {"key": "ConnectorPhaseRotation", "value": "1.RST"}
        await op.call("ChangeConfiguration", change)
    else:
        change = variable("ChargingStation", "PilotReaction", "5")
        await op.call("SetVariables", change)
    await reset(op)


async def reset(op: Operator) -> None:
    await op.call("Reset", {"type": "Hard" if op.is_v16 else "Immediate"})


async def reset_charging(op: Operator) -> None:
    await op.running()
    await reset(op)


async def reset_on_idle(op: Operator) -> None:
    await op.running()
    await op.call("Reset", {"type": "OnIdle"})


async def reset_evse(op: Operator) -> None:
    await op.call("Reset", {"type": "Immediate", "evseId": 1})


async def move(op: Operator) -> None:
    profile = {
        "ocppVersion": "OCPP20",
        "ocppTransport": "JSON",
        "ocppCsmsUrl": f"ws://localhost:{op.csms.port}/ocpp",
        "messageTimeout": 30,
        "securityProfile": 1,
        "ocppInterface": "Wired0",
    }
    slot = {"configurationSlot": 1, "connectionData": profile}
    await op.call("SetNetworkProfile", slot)
    order_ = variable("OCPPCommCtrlr", "NetworkConfigurationPriority", "1,0")
    await op.call("SetVariables", order_)
    await reset(op)


async def report(op: Operator) -> None:
    base = {"requestId": 1, "reportBase": "FullInventory"}
    await op.call("GetBaseReport", base)
    await op.seen("NotifyReport", tbc=False, requestId=1)
    rows = [{"component": {"name": "EVSE", "evse": {"id": 1}}}]
    await op.call("GetReport", {"requestId": 2, "componentVariable": rows})


def listed(op: Operator, version: int, *, full: bool) -> Payload:
    kind = "Full" if full else "Differential"
    if op.is_v16:
        row: Payload = {"idTag": CARD, "idTagInfo": {"status": "Accepted"}}
        return {
            "listVersion": version,
            "updateType": kind,
            "localAuthorizationList": [row],
        }
    token = {"idToken": CARD, "type": "ISO14443"}
    row = {"idToken": token, "idTokenInfo": {"status": "Accepted"}}
    return {
        "versionNumber": version,
        "updateType": kind,
        "localAuthorizationList": [row],
    }


async def send_list(op: Operator) -> None:
    await op.call("SendLocalList", listed(op, 3, full=True))


async def send_changes(op: Operator) -> None:
    await op.call("SendLocalList", listed(op, 4, full=False))


async def use_list(op: Operator) -> None:
    await send_list(op)
    answer = await op.call("GetLocalListVersion", {})
    assert 3 in answer.values()
    await send_changes(op)


async def clear_cache(op: Operator) -> None:
    await op.csms.until(lambda: op.csms.ended)
    await op.call("ClearCache", {})


async def unlock(op: Operator) -> None:
    where = {"connectorId": 1} if op.is_v16 else {"evseId": 1, "connectorId": 1}
    await op.call("UnlockConnector", where)


async def trigger(op: Operator) -> None:
    await op.call("TriggerMessage", {"requestedMessage": "Heartbeat"})


async def availability(op: Operator) -> None:
    await op.running()

    async def change(kind: str) -> None:
        if op.is_v16:
            await op.call("ChangeAvailability", {"connectorId": 1, "type": kind})
        else:
            where = {"operationalStatus": kind, "evse": {"id": 1}}
            await op.call("ChangeAvailability", where)

    await change("Inoperative")
    name = "status" if op.is_v16 else "connectorStatus"
    await op.seen("StatusNotification", **{name: "Unavailable"})
    await change("Operative")


# --- transactions and reservations ----------------------------------------------------


async def remote_start(op: Operator) -> None:
    if op.is_v16:
        start = {"idTag": CARD, "connectorId": 1}
        await op.call("RemoteStartTransaction", start)
        return
    token = {"idToken": CARD, "type": "ISO14443"}
    start = {"idToken": token, "remoteStartId": 9, "evseId": 1}
    await op.call("RequestStartTransaction", start)


async def remote(op: Operator) -> None:
    await remote_start(op)
    transaction = await op.running()
    if op.is_v16:
        stop: Payload = {"transactionId": int(transaction)}
        await op.call("RemoteStopTransaction", stop)
    else:
        await op.call("RequestStopTransaction", {"transactionId": transaction})


async def reserve(op: Operator, until: str = LATER) -> None:
    if op.is_v16:
        wanted: Payload = {
            "connectorId": 1,
            "expiryDate": until,
            "idTag": CARD,
            "reservationId": 4,
        }
    else:
        token = {"idToken": CARD, "type": "ISO14443"}
        wanted = {"id": 4, "expiryDateTime": until, "idToken": token, "evseId": 1}
    answer = await op.call("ReserveNow", wanted)
    assert answer == {"status": "Accepted"}


async def reserve_briefly(op: Operator) -> None:
    await reserve(op, to_wire(op.station.now() + timedelta(seconds=120)))


async def reserve_and_cancel(op: Operator) -> None:
    await reserve(op)
    name = "status" if op.is_v16 else "connectorStatus"
    await op.seen("StatusNotification", **{name: "Reserved"})
    await op.call("CancelReservation", {"reservationId": 4})


async def ask_status(op: Operator) -> None:
    transaction = await op.running()
    answer = await op.call("GetTransactionStatus", {"transactionId": transaction})
    assert answer["ongoingIndicator"] is True


async def set_master_pass(op: Operator) -> None:
    op.csms.groups[OTHER] = "BOSSES"
    change = variable("AuthCtrlr", "MasterPassGroupId", "BOSSES")
    await op.call("SetVariables", change)


async def group(op: Operator) -> None:
    op.csms.groups |= {CARD: "FAMILY", OTHER: "FAMILY"}


async def refuse_stranger(op: Operator) -> None:
    op.csms.token_status["NOBODYSCARD"] = "Invalid"


async def refuse_contract(op: Operator) -> None:
    op.csms.token_status["DE-SIM-C00000001-1"] = "Invalid"


# --- costs and limits -----------------------------------------------------------------


async def tell_cost(op: Operator, name: str, body: Payload) -> None:
    payload = {"vendorId": COST_VENDOR, "messageId": name, "data": json.dumps(body)}
    answer = await op.call("DataTransfer", payload)
    assert answer == {"status": "Accepted"}


async def california(op: Operator) -> None:
    number = int(await op.running())
    later = to_wire(op.station.now() + timedelta(seconds=1))
    body: Payload = {
        "transactionId": number,
        "cost": 1.25,
        "state": "Charging",
        "triggerMeterValue": {"atTime": later},
    }
    await tell_cost(op, "RunningCost", body)
    await op.csms.until(lambda: op.csms.ended)
    final = {"transactionId": number, "cost": 2.5, "priceText": "$2.50"}
    await tell_cost(op, "FinalCost", final)


async def user_price(op: Operator) -> None:
    price = {"idToken": CARD, "priceText": "$0.15/kWh"}
    await tell_cost(op, "SetUserPrice", price)


async def update_cost(op: Operator) -> None:
    transaction = await op.running()
    await op.call("CostUpdated", {"transactionId": transaction, "totalCost": 1.25})


def profile(op: Operator, **more: object) -> Payload:
    schedule = {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}],
        "startSchedule": EARLIER,
    }
    made: Payload = {
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        **more,
    }
    if op.is_v16:
        made |= {"chargingProfileId": 5, "chargingSchedule": schedule}
        return {"connectorId": 1, "csChargingProfiles": made}
    made |= {"id": 5, "chargingSchedule": [{"id": 1, **schedule}]}
    return {"evseId": 1, "chargingProfile": made}


async def limit(op: Operator) -> None:
    await op.running()
    await op.call("SetChargingProfile", profile(op))
    where = {"connectorId": 1} if op.is_v16 else {"evseId": 1}
    await op.call("GetCompositeSchedule", {**where, "duration": 600})
    number = {"id": 5} if op.is_v16 else {"chargingProfileId": 5}
    await op.call("ClearChargingProfile", number)


async def report_profiles(op: Operator) -> None:
    await op.call("SetChargingProfile", profile(op))
    await op.call("GetChargingProfiles", {"requestId": 8, "chargingProfile": {}})


async def answer_needs(op: Operator) -> None:
    await op.seen("NotifyEVChargingNeeds")
    own = {
        "chargingProfilePurpose": "TxProfile",
        "transactionId": op.csms.started[-1],
    }
    await op.call("SetChargingProfile", profile(op, **own))


SCRIPTS: dict[str, Script] = {
    "availability": availability,
    "cache-cleared": clear_cache,
    "california-pricing": california,
    "certificate-refused": sign,
    "certificate-renewal": sign,
    "certificate-triggered": trigger_and_sign,
    "charge": nothing,
    "charging-needs": answer_needs,
    "clock-aligned": nothing,
    "connector-faulted": nothing,
    "contract-certificate": nothing,
    "contract-unknown": refuse_contract,
    "cost-updates": update_cost,
    "customer-information": ask_customer,
    "data-transfer": nothing,
    "display-messages": use_display,
    "display-transaction": display_session,
    "ev-certificate": nothing,
    "external-limit": nothing,
    "firmware": order,
    "firmware-bad-certificate": signed_order,
    "firmware-bad-signature": signed_order,
    "firmware-download-fails": order,
    "firmware-install-fails": order,
    "firmware-replaced": order_twice,
    "firmware-revoked-certificate": signed_order,
    "firmware-while-charging": order_while_charging,
    "group-stop": group,
    "install-certificate-fails": store,
    "install-certificates": store,
    "local-list": use_list,
    "local-list-fails": send_list,
    "local-list-mismatch": send_changes,
    "local-list-offline": send_list,
    "log-upload": fetch_log,
    "log-upload-denied": fetch_log,
    "log-upload-fails": fetch_log,
    "log-upload-replaced": fetch_log_twice,
    "master-pass": set_master_pass,
    "monitoring-alert": set_monitor,
    "monitoring-report": use_monitors,
    "network-profile": move,
    "nobody-plugs-in": nothing,
    "offline-session": nothing,
    "password-rotation": rotate,
    "power-cut": nothing,
    "profiles-report": report_profiles,
    "publish-bad-checksum": publish,
    "publish-firmware": publish,
    "reboot-required": change_for_reboot,
    "remote-start": remote,
    "remote-start-no-car": remote_start,
    "reports": report,
    "reservation-cancelled": reserve_and_cancel,
    "reservation-expires": reserve_briefly,
    "reservation-removed": reserve,
    "reservation-used": reserve,
    "reset": reset,
    "reset-evse": reset_evse,
    "reset-on-idle": reset_on_idle,
    "reset-while-charging": reset_charging,
    "security-events": nothing,
    "settings": settings,
    "smart-charging": limit,
    "start-on-cable": nothing,
    "start-on-token": nothing,
    "transaction-status": ask_status,
    "triggers": trigger,
    "unknown-token": refuse_stranger,
    "unlock": unlock,
    "unlock-fails": unlock,
    "user-price": user_price,
    "v2g-certificate": sign,
}
"""Flow -> what the central system does, besides answering."""
