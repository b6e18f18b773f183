"""Flows about passwords, certificates and security events (A, M; whitepaper)."""

import base64
from typing import Final

from sim_chargers.charger_v201 import ChargerV201
from sim_chargers.clock import to_wire
from sim_chargers.contracts import Contract, make_contract
from sim_chargers.flows.stage import V201, Flow, Stage
from sim_chargers.renewal import STATION_KIND, V2G_KIND, renew
from sim_chargers.twists import Twist

SIGN: Final = "SignCertificate"
SIGNED: Final = "CertificateSigned"
EVENT: Final = "SecurityEventNotification"
CRITICAL_EVENTS: Final = (
    "FirmwareUpdated",
    "SettingSystemTime",
    "StartupOfTheDevice",
    "ResetOrReboot",
    "SecurityLogWasCleared",
    "MemoryExhaustion",
    "TamperDetectionActivated",
)
"""Events that have to be reported (appendix 1 of part 2)."""

SCHEMA: Final = "urn:iso:15118:2:2013:MsgDef"
EXI_REQUEST: Final = base64.b64encode(b"\x80\x98\x02\x10").decode()  # handed through


async def _password(stage: Stage) -> None:
    link = stage.station.link
    old = link.password
    n_connect = link.traffic.connects
    await stage.heard("ChangeConfiguration", "SetVariables")
    await stage.until(
        lambda: link.password != old and link.traffic.connects > n_connect,
        "connected with the new password",
    )
    await stage.until(lambda: stage.station.is_online, "accepted again")


async def _renewal(stage: Stage) -> None:
    stage.station.spawn(renew(stage.station))
    await stage.sent(SIGN, answered="Accepted")
    await stage.heard(SIGNED, answered="Accepted")
    stage.check(STATION_KIND in stage.station.trust.own, "no certificate is in use")


async def _triggered(stage: Stage) -> None:
    await stage.heard("TriggerMessage", "ExtendedTriggerMessage", answered="Accepted")
    await stage.sent(SIGN, answered="Accepted")
    await stage.heard(SIGNED, answered="Accepted")


async def _refused(stage: Stage) -> None:
    stage.twist(Twist.REFUSES_SIGNED_CERTIFICATE)
    stage.station.spawn(renew(stage.station))
    await stage.sent(SIGN, answered="Accepted")
    await stage.heard(SIGNED, answered="Rejected")
    await stage.sent(EVENT, type="InvalidChargingStationCertificate")
    stage.station.trust.pending.clear()  # it does not ask again


async def _v2g(stage: Stage) -> None:
    stage.station.spawn(renew(stage.station, V2G_KIND))
    await stage.sent(SIGN, certificateType=V2G_KIND, answered="Accepted")
    await stage.heard(SIGNED, certificateType=V2G_KIND, answered="Accepted")


async def _events(stage: Stage) -> None:
    for kind in CRITICAL_EVENTS:
        now = to_wire(stage.station.now())
        await stage.say(EVENT, {"type": kind, "timestamp": now})


async def _store(stage: Stage) -> None:
    await stage.heard("InstallCertificate", answered="Accepted")
    await stage.heard("GetInstalledCertificateIds", answered="Accepted")
    await stage.heard("DeleteCertificate", answered="Accepted")


async def _store_fails(stage: Stage) -> None:
    stage.twist(Twist.INSTALL_CERTIFICATE_FAILS)
    await stage.heard("InstallCertificate", answered="Failed")


async def _contract(stage: Stage) -> None:
    assert isinstance(stage.station, ChargerV201), "2.0.1 only"
    contract = make_contract(stage.station.now())
    stage.station.contracts[contract.emaid.casefold()] = contract.leaf
    answer = await stage.say("Authorize", _authorize(contract))
    entry = stage.station.token_entry(answer)
    stage.station.tokens.remember(contract.emaid, entry)
    known = answer.get("certificateStatus", "Accepted")
    stage.check(entry.is_accepted, f"the contract is {entry.status}: {known}")
    await stage.plug_in()
    stage.station.start(stage.connector, contract.emaid, trigger="Authorized")
    await stage.started()
    await stage.settle()
    await stage.finish()


async def _contract_unknown(stage: Stage) -> None:
    contract = make_contract(stage.station.now())
    answer = await stage.say("Authorize", _authorize(contract))
    entry = stage.station.token_entry(answer)
    stage.check(not entry.is_accepted, "a contract that nobody knows was accepted")


async def _ev_certificate(stage: Stage) -> None:
    contract = make_contract(stage.station.now())
    answer = await stage.say(
        "GetCertificateStatus", {"ocspRequestData": contract.ocsp_data()}
    )
    stage.tell(f"certificate status: {answer['status']}")
    request = {
        "iso15118SchemaVersion": SCHEMA,
        "action": "Install",
        "exiRequest": EXI_REQUEST,
    }
    answer = await stage.say("Get15118EVCertificate", request)
    stage.tell(f"EV certificate: {answer['status']}")


def _authorize(contract: Contract) -> dict[str, object]:
    return {
        "idToken": {"idToken": contract.emaid, "type": "eMAID"},
        "certificate": contract.pem,
        "iso15118CertificateHashData": [contract.ocsp_data()],
    }


FLOWS: Final = (
    Flow(
        name="password-rotation",
        line="obeys a new password and comes back with it",
        play=_password,
        waits_for=("ChangeConfiguration", "SetVariables"),
    ),
    Flow(
        name="certificate-renewal",
        line="asks for a certificate with a key of its own, and uses it",
        play=_renewal,
        waits_for=(SIGNED,),
    ),
    Flow(
        name="certificate-triggered",
        line="asks for a certificate when it is told to",
        play=_triggered,
        waits_for=("TriggerMessage", "ExtendedTriggerMessage", SIGNED),
    ),
    Flow(
        name="certificate-refused",
        line="asks for a certificate and does not like what it gets",
        play=_refused,
        waits_for=(SIGNED,),
    ),
    Flow(
        name="v2g-certificate",
        line="asks for a certificate towards cars",
        play=_v2g,
        waits_for=(SIGNED,),
        versions=V201,
    ),
    Flow(
        name="security-events",
        line="reports every critical security event",
        play=_events,
    ),
    Flow(
        name="install-certificates",
        line="lets roots be installed, listed and deleted",
        play=_store,
        waits_for=(
            "InstallCertificate",
            "GetInstalledCertificateIds",
            "DeleteCertificate",
        ),
    ),
    Flow(
        name="install-certificate-fails",
        line="cannot store a root",
        play=_store_fails,
        waits_for=("InstallCertificate",),
    ),
    Flow(
        name="contract-certificate",
        line="a car pays with its contract certificate (Plug & Charge)",
        play=_contract,
        versions=V201,
    ),
    Flow(
        name="contract-unknown",
        line="a car shows a contract certificate that must be refused",
        play=_contract_unknown,
        versions=V201,
    ),
    Flow(
        name="ev-certificate",
        line="asks for a certificate's status and for a car's new certificate",
        play=_ev_certificate,
        versions=V201,
    ),
)
