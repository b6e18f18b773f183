"""A station's certificate store for raw stations, in the words of both versions."""

from dataclasses import dataclass, field
from typing import Any

from gateway.domain.certificates import CertificateHash
from gateway.services.x509 import hash_of
from tests.support import pki
from tests.support.raw_station import RawStation


def wire(hashed: CertificateHash) -> dict[str, str]:
    return {
        "hashAlgorithm": hashed.algorithm,
        "issuerNameHash": hashed.issuer_name_hash.upper(),
        "issuerKeyHash": hashed.issuer_key_hash,
        "serialNumber": hashed.serial_number,
    }


@dataclass
class TrustStore:
    """A station's store, answering as both versions have it."""

    station: RawStation
    algorithm: str = "SHA256"
    roots: dict[str, list[pki.Holder]] = field(default_factory=dict)
    extra: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.station.handlers["GetInstalledCertificateIds"] = self._listed
        self.station.handlers["DeleteCertificate"] = self._deleted

    def put(self, kind: str, holder: pki.Holder) -> None:
        self.roots.setdefault(kind, []).append(holder)

    def hash(self, holder: pki.Holder) -> dict[str, str]:
        one = holder.certificate
        return wire(hash_of(one, one, self.algorithm))

    def _listed(self, payload: dict[str, Any]) -> dict[str, Any]:
        asked = payload.get("certificateType")
        kinds = [asked] if isinstance(asked, str) else asked or list(self.roots)
        found = [(kind, one) for kind in kinds for one in self.roots.get(kind, ())]
        if not found and not self.extra:
            return {"status": "NotFound"}
        if self.station.version == "1.6":
            return {
                "status": "Accepted",
                "certificateHashData": [self.hash(one) for _, one in found],
            }
        chains = [
            {"certificateType": kind, "certificateHashData": self.hash(one)}
            for kind, one in found
        ]
        return {
            "status": "Accepted",
            "certificateHashDataChain": [*chains, *self.extra],
        }

    def _deleted(self, payload: dict[str, Any]) -> dict[str, Any]:
        for holders in self.roots.values():
            for one in holders:
                if self.hash(one) == payload["certificateHashData"]:
                    holders.remove(one)
                    return {"status": "Accepted"}
        return {"status": "NotFound"}
