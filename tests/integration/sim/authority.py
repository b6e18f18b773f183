"""A certificate authority for tests: it signs what stations ask for."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = BEGIN + timedelta(days=365 * 100)
PEM = serialization.Encoding.PEM


class Authority:
    """A root with its key."""

    def __init__(self, name: str = "Test Root") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key.public_key(), is_ca=True)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    def sign_request(self, csr: str) -> str:
        """The chain for a request: its certificate alone, as PEM."""
        request = x509.load_pem_x509_csr(csr.encode())
        assert request.is_signature_valid
        signed = self._sign(request.subject, request.public_key())
        return signed.public_bytes(PEM).decode()

    def issue(
        self, name: str, *, host: bool = False
    ) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """A certificate and its key; ``host``: for a server on 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self._sign(subject, key.public_key(), host=host)
        return signed.public_bytes(PEM).decode(), key

    def certify(self, key: rsa.RSAPublicKey) -> str:
        """A certificate for an RSA key."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RSA")])
        return self._sign(name, key).public_bytes(PEM).decode()

    def _sign(
        self,
        subject: x509.Name,
        key: object,
        *,
        is_ca: bool = False,
        host: bool = False,
    ) -> x509.Certificate:
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        constraints = x509.BasicConstraints(ca=is_ca, path_length=None)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(END)
            .add_extension(constraints, critical=True)
        )
        if host:
            names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as a server's file has it."""
    return key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
