"""A meter that signs its readings: records in the Open Charge Metering Format.

The text is put together as firmware does it, by hand: numbers keep the zeros at their
end, and members stand in the order of the meter. Nothing of a central system's code is
used, so that both sides can be wrong in their own ways only.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sim_chargers.meter_spec import MeterSpec

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "secp256r1": ec.SECP256R1(),
    "secp256k1": ec.SECP256K1(),
    "secp384r1": ec.SECP384R1(),
    "brainpool256r1": ec.BrainpoolP256R1(),
    "brainpool384r1": ec.BrainpoolP384R1(),
}
_SECRET_BYTES: Final = 31
"""Of a key: below the order of every curve here."""
_MILLIWH_DIGITS: Final = 6
"""Decimals of a register in kWh that is exact to the milliwatt-hour."""
BEGIN: Final = "B"
END: Final = "E"
CHARGING: Final = "C"
FALL_MILLIWH: Final = 100_000_000
"""How much a falling register loses: more than any car takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    """What the meter shows at one instant.

    Attributes:
        kind: `BEGIN`, `END` or `CHARGING`.
        register_milliwh: As exact as the station tells it unsigned.
    """

    kind: str
    at: datetime
    register_milliwh: int


@dataclass(slots=True, kw_only=True)
class SigningMeter:
    """The meter of one EVSE.

    Attributes:
        page: Number of its next record.
    """

    station_id: str
    evse_id: int
    spec: MeterSpec
    faults: frozenset[str]
    page: int = 1
    _key: ec.EllipticCurvePrivateKey = field(init=False)

    def __post_init__(self) -> None:
        """Make the key: the same for the same station, whenever it is simulated."""
        is_other = bool(self.faults & {"wrong-meter-key", "changed-meter-key"})
        self._key = self._derived("other" if is_other else "own")

    @property
    def serial(self) -> str:
        """The number on the meter."""
        digest = hashlib.sha256(f"{self.station_id}/{self.evse_id}".encode())
        return f"1WSM{int.from_bytes(digest.digest()[:5]):013d}"

    @property
    def label(self) -> str:
        """The public key on the meter: SubjectPublicKeyInfo, hexadecimal digits."""
        return _public(self._derived("own"))

    @property
    def told_key(self) -> str:
        """The public key that the station tells."""
        is_told = "changed-meter-key" in self.faults
        return _public(self._key) if is_told else self.label

    def record(self, readings: list[MeterReading], token: str) -> str:
        """Sign readings: the next record."""
        if "missing-pages" in self.faults and readings[-1].kind == END:
            self.page += 1
        shown = [self._reading(one) for one in self._falling(readings)]
        payload = (
            f'{{"FV" : "1.0","GI" : "SIM-GATEWAY","GS" : {json.dumps(self.station_id)},'
            f'"GV" : "1.0","PG" : "T{self.page}","MV" : "Wattproof Sim",'
            f'"MM" : "SIM-METER","MS" : "{self.serial}","MF" : "1.0",'
            f'"IS" : {"true" if token else "false"},"IL" : "VERIFIED",'
            f'"IF" : ["RFID_PLAIN", "OCPP_RS"],"IT" : "ISO14443",'
            f'"ID" : {json.dumps(token)},"RD" : [{",".join(shown)}]}}'
        )
        self.page += 1
        signature = self._key.sign(payload.encode(), ec.ECDSA(hashes.SHA256()))
        proof = f'{{"SA":"ECDSA-{self.spec.curve}-SHA256","SD":"{signature.hex()}"}}'
        if "rewritten-records" in self.faults:
            payload = json.dumps(json.loads(payload))
        return f"OCMF|{payload}|{proof}"

    def _falling(self, readings: list[MeterReading]) -> list[MeterReading]:
        """The readings; with its fault an end below the begin."""
        if "falling-registers" not in self.faults:
            return readings
        return [_fallen(one) if one.kind == END else one for one in readings]

    def _reading(self, one: MeterReading) -> str:
        at = one.at.astimezone(UTC)
        whole, part = divmod(one.register_milliwh, 10**_MILLIWH_DIGITS)
        flags = "E" if "meter-errors" in self.faults else ""
        return (
            f'{{"TM":"{at:%Y-%m-%dT%H:%M:%S},{at.microsecond // 1000:03d}+0000 S",'
            f'"TX":"{one.kind}","RV":{whole}.{part:06d},"RI":"1-0:1.8.0","RU":"kWh",'
            f'"RT":"AC","EF":"{flags}","ST":"G"}}'
        )

    def _derived(self, which: str) -> ec.EllipticCurvePrivateKey:
        seed = f"simulated meter/{self.station_id}/{self.evse_id}/{which}"
        secret = hashlib.sha256(seed.encode()).digest()[:_SECRET_BYTES]
        return ec.derive_private_key(int.from_bytes(secret), _CURVES[self.spec.curve])


def _fallen(one: MeterReading) -> MeterReading:
    left = max(0, one.register_milliwh - FALL_MILLIWH)
    return replace(one, register_milliwh=left)


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    form = PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.DER, form).hex().upper()
