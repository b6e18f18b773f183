"""Transport security of a station's link: whom it trusts, and as whom it comes."""

import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from sim_chargers.certificates import Certificate, Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of the command line; the client's certificate needs its key.

    Raises:
        ValueError: Only one of certificate and key is given.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """Refuse half a client certificate."""
        if (self.cert is None) is not (self.key is None):
            raise ValueError("--cert and --key belong together")


def client_context(
    files: TlsFiles, *, roots: list[Certificate], identity: Identity | None
) -> ssl.SSLContext:
    """Make the context of one connection.

    Args:
        files: What was given at the start.
        roots: Roots that the central system installed; trusted besides ``files.ca``.
        identity: The station's newest certificate; it replaces ``files.cert``.

    Raises:
        OSError: A file cannot be read, or holds no usable certificate or key.
    """
    context = ssl.create_default_context(
        cafile=None if files.ca is None else str(files.ca)
    )
    if roots:
        context.load_verify_locations(cadata="".join(root.pem for root in roots))
    if identity is not None:
        _load(context, identity)
    elif files.cert is not None and files.key is not None:
        context.load_cert_chain(files.cert, files.key)
    return context


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    """Hand over a key that exists in memory only; the module reads files alone."""
    key = identity.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = "".join(one.pem for one in identity.chain)
    with tempfile.TemporaryDirectory() as folder:  # readable by its owner only
        path = Path(folder) / "identity.pem"
        path.write_bytes(key + chain.encode())
        context.load_cert_chain(path)
