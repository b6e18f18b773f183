"""How a station gets a certificate of its own (A02; 1.6: security whitepaper)."""

from __future__ import annotations  # the station and its stories know each other

import logging
from typing import TYPE_CHECKING, Final

from sim_chargers.certificates import new_key, signing_request

if TYPE_CHECKING:
    from sim_chargers.charger import Charger

STATION_KIND: Final = "ChargingStationCertificate"
V2G_KIND: Final = "V2GCertificate"
COMBINED_KIND: Final = "Combined"  # one for both: the type is left out on the wire
WAIT_MINIMUM_S: Final = 60.0  # CertSigningWaitMinimum, site seconds
REPEAT_TIMES: Final = 3  # CertSigningRepeatTimes
ORGANISATION: Final = "Wattproof Sim"

_log = logging.getLogger(__name__)


async def renew(station: Charger, kind: str = STATION_KIND) -> None:
    """Ask for a certificate, again and again while none comes (A02.FR.17 to .19)."""
    wait_s = WAIT_MINIMUM_S
    for _ in range(REPEAT_TIMES + 1):
        key = new_key()
        station.trust.pending[kind] = key
        csr = signing_request(
            key, common_name=station.spec.id, organisation=ORGANISATION
        )
        answer = await station.ask(
            "SignCertificate", station.sign_certificate_payload(csr, kind)
        )
        if answer is not None and answer.get("status") != "Accepted":
            _log.info("%s: SignCertificate was refused", station.spec.id)
            return
        await station.clock.sleep(wait_s)
        if station.trust.pending.get(kind) is not key:
            return
        wait_s *= 2
