"""Certificates that a station is given, asked about, or told to forget (A, M)."""

from __future__ import annotations  # the station and its calls know each other

import logging
from typing import TYPE_CHECKING, Any, Final

from sim_chargers.answers import ACCEPTED, REJECTED, rejected
from sim_chargers.certificates import (
    BadCertificateError,
    Certificate,
    Identity,
    accept_chain,
    is_same_hash,
)
from sim_chargers.outcomes import Reply
from sim_chargers.renewal import COMBINED_KIND, STATION_KIND, V2G_KIND
from sim_chargers.twists import Twist

if TYPE_CHECKING:
    from sim_chargers.charger import Charger
    from sim_chargers.frames import Payload

FAILED: Final[dict[str, Any]] = {"status": "Failed"}
NOT_FOUND: Final[dict[str, Any]] = {"status": "NotFound"}
CHAIN_KIND: Final = "V2GCertificateChain"

_log = logging.getLogger(__name__)


def install_certificate(station: Charger, payload: Payload) -> Reply:
    """Add a root certificate (M05)."""
    if Twist.INSTALL_CERTIFICATE_FAILS in station.twists:
        return Reply(payload=FAILED)
    try:
        found = Certificate.parse(str(payload["certificate"]))
    except BadCertificateError as error:
        _log.info("%s: refused a root: %s", station.spec.id, error)
        return Reply(payload=REJECTED)
    if not found.is_valid_at(station.now()):
        return Reply(payload=REJECTED)
    stored = station.trust.install(str(payload["certificateType"]), found)
    return Reply(payload=ACCEPTED if stored else FAILED)


def delete_certificate(station: Charger, payload: Payload) -> Reply:
    """Forget a root; the station's own certificate stays (M04.FR.06)."""
    wanted = payload["certificateHashData"]
    for identity in station.trust.own.values():
        if is_same_hash(identity.chain[0], _above(station, identity), wanted):
            return Reply(payload=FAILED)
    found = station.trust.find(wanted)
    if found is None:
        return Reply(payload=NOT_FOUND)
    station.trust.remove(found[1])
    return Reply(payload=ACCEPTED)


def installed_ids_v16(station: Charger, payload: Payload) -> Reply:
    """List the roots of one kind (security whitepaper, M03)."""
    rows = [
        found.hash_data(station.trust.issuer_of(found))
        for found in station.trust.of_kind(str(payload["certificateType"]))
    ]
    if not rows:
        return Reply(payload=NOT_FOUND)
    return Reply(payload={"status": "Accepted", "certificateHashData": rows})


def installed_ids_v201(station: Charger, payload: Payload) -> Reply:
    """List roots and the V2G chain, of all kinds or of some (M03)."""
    kinds = payload.get("certificateType")
    rows: list[dict[str, Any]] = [
        {
            "certificateType": kind,
            "certificateHashData": found.hash_data(station.trust.issuer_of(found)),
        }
        for kind, found in station.trust.installed
        if kinds is None or kind in kinds
    ]
    identity = station.trust.own.get(V2G_KIND)
    if identity is not None and (kinds is None or CHAIN_KIND in kinds):
        rows.append(_chain_row(station, identity))
    if not rows:
        return Reply(payload=NOT_FOUND)
    return Reply(payload={"status": "Accepted", "certificateHashDataChain": rows})


def certificate_signed_v16(station: Charger, payload: Payload) -> Reply:
    """Take over a signed certificate (security whitepaper, A02)."""
    if not _take_over(station, payload, STATION_KIND):
        return Reply(payload=REJECTED)
    return Reply(payload=ACCEPTED, after=station.use_identity)


def certificate_signed_v201(station: Charger, payload: Payload) -> Reply:
    """Take over a signed certificate of either kind (A02)."""
    is_combined = "certificateType" not in payload
    is_asked = is_combined and COMBINED_KIND in station.trust.pending
    untyped = COMBINED_KIND if is_asked else STATION_KIND
    kind = str(payload.get("certificateType", untyped))
    if not _take_over(station, payload, kind):
        return rejected("InvalidCertificate")
    after = None if kind == V2G_KIND else station.use_identity
    return Reply(payload=ACCEPTED, after=after)


def _take_over(station: Charger, payload: Payload, kind: str) -> bool:
    try:
        identity = _identity(station, kind, str(payload["certificateChain"]))
    except BadCertificateError as error:
        _log.info("%s: refused a certificate: %s", station.spec.id, error)
        station.security_event("InvalidChargingStationCertificate", str(error))
        return False
    del station.trust.pending[kind]
    both = (STATION_KIND, V2G_KIND)
    for used in both if kind == COMBINED_KIND else (kind,):
        station.trust.own[used] = identity
    station.around.events.emit(
        "certificate_installed",
        station=station.spec.id,
        kind=kind,
        serial=f"{identity.chain[0].x509.serial_number:x}",
    )
    return True


def _identity(station: Charger, kind: str, text: str) -> Identity:
    key = station.trust.pending.get(kind)
    if key is None:
        raise BadCertificateError("none was asked for")
    if Twist.REFUSES_SIGNED_CERTIFICATE in station.twists:
        raise BadCertificateError("a flow wants it refused")
    return Identity(key=key, chain=accept_chain(key, text, station.now()))


def _above(station: Charger, identity: Identity) -> Certificate | None:
    """Find who signed the station's own certificate."""
    if len(identity.chain) > 1:
        return identity.chain[1]
    return station.trust.issuer_of(identity.chain[0])


def _chain_row(station: Charger, identity: Identity) -> dict[str, Any]:
    row: dict[str, Any] = {
        "certificateType": CHAIN_KIND,
        "certificateHashData": identity.chain[0].hash_data(_above(station, identity)),
    }
    children = [
        one.hash_data(station.trust.issuer_of(one)) for one in identity.chain[1:]
    ]
    if children:
        row["childCertificateHashData"] = children[:4]
    return row
