"""Contract certificates of simulated cars: real keys, a real chain of two."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from sim_chargers.certificates import Certificate, PrivateKey, new_key

VALIDITY: Final = timedelta(days=365)
RESPONDER: Final = "http://127.0.0.1:1/ocsp"  # nobody is there: a demo's responder
EMAID: Final = "DE-SIM-C00000001-1"
ROOT_NAME: Final = "Wattproof Sim MO Root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A contract: its eMAID, its certificate, and who signed it."""

    emaid: str
    leaf: Certificate
    root: Certificate

    @property
    def pem(self) -> str:
        """The chain without its root, as Authorize wants it."""
        return self.leaf.pem

    def ocsp_data(self) -> dict[str, Any]:
        """Write OCSPRequestDataType of the contract certificate."""
        return {**self.leaf.hash_data(self.root), "responderURL": RESPONDER}


def make_contract(now: datetime, emaid: str = EMAID) -> Contract:
    """Make a contract with fresh keys, valid for a year from yesterday on."""
    root_key, leaf_key = new_key(), new_key()
    root = _issue(root_key, root_key, (ROOT_NAME, ROOT_NAME), now)
    leaf = _issue(leaf_key, root_key, (emaid, ROOT_NAME), now)
    return Contract(emaid=emaid, leaf=leaf, root=root)


def _issue(
    key: PrivateKey, issuer: PrivateKey, names: tuple[str, str], now: datetime
) -> Certificate:
    subject, above = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in names
    )
    begin = now - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALIDITY)
        .add_extension(
            x509.BasicConstraints(ca=key is issuer, path_length=None), critical=True
        )
    )
    return Certificate(builder.sign(issuer, hashes.SHA256()))
