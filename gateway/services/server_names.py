"""Our own server certificates as stations will see them: chain and names."""

from cryptography import x509

from gateway.config.tls import CertificateFiles
from gateway.services.certificate_intake import UNREADABLE, load_pem
from gateway.services.x509 import common_name, walk


def server_chain(files: CertificateFiles) -> list[x509.Certificate]:
    """A server certificate and whoever signed the one before, as far as it goes.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no certificates; others of `UNREADABLE` too.
    """
    return walk(load_pem(files.cert.read_bytes()))


def names_of(certificate: x509.Certificate) -> list[str]:
    """Hosts that a server certificate is for, its common name included.

    OCPP asks for the name of the host there (2.0.1, A00.FR.510).
    """
    common = common_name(certificate.subject)
    found = [] if common is None else [common]
    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return found
    found += names.get_values_for_type(x509.DNSName)
    found += map(str, names.get_values_for_type(x509.IPAddress))
    return list(dict.fromkeys(found))


def is_name_of(name: str, host: str) -> bool:
    """Whether a name, or one with ``*`` for its first label, is that of a host."""
    name, host = name.casefold().rstrip("."), host.casefold().rstrip(".")
    label, dot, rest = host.partition(".")
    return name == host or bool(label and dot and name == f"*.{rest}")
