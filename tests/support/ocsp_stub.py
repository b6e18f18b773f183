"""A small but true OCSP responder."""

from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from tests.support import pki
from tests.support.http_stub import Answer

REVOKED = ocsp.OCSPCertStatus.REVOKED
GOOD = ocsp.OCSPCertStatus.GOOD
UNKNOWN = ocsp.OCSPCertStatus.UNKNOWN


@dataclass
class Responder:
    """Answers for certificates of one issuer.

    Attributes:
        signer: Who signs answers: the issuer itself, one it named, or a forger.
        revoked: Serial numbers.
        life: From now to ``nextUpdate``.
        carried: Certificates that travel with the answer.
    """

    issuer: pki.Holder
    signer: pki.Holder
    revoked: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    life: timedelta = timedelta(hours=1)
    age: timedelta = timedelta(minutes=1)
    carried: tuple[x509.Certificate, ...] = ()

    def __call__(self, body: bytes) -> Answer:
        """Read the request and answer it."""
        request = ocsp.load_der_ocsp_request(body)
        serial = request.serial_number
        status = GOOD
        if serial in self.revoked:
            status = REVOKED
        if serial in self.unknown:
            status = UNKNOWN
        now = pki.now()
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            issuer_name_hash=request.issuer_name_hash,
            issuer_key_hash=request.issuer_key_hash,
            serial_number=serial,
            algorithm=request.hash_algorithm,
            cert_status=status,
            this_update=now - self.age,
            next_update=now + self.life,
            revocation_time=now - timedelta(hours=2) if status is REVOKED else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(
            ocsp.OCSPResponderEncoding.HASH, self.signer.certificate
        )
        if self.carried:
            builder = builder.certificates(list(self.carried))
        response = builder.sign(self.signer.key, hashes.SHA256())
        return 200, response.public_bytes(serialization.Encoding.DER)
