"""How misbehaving firmware connects and frames its messages."""

import base64
import ssl
import warnings
from typing import Final

from typing_extensions import override
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from sim_chargers.faults import Faults

_PONG: Final = 0x80 | Opcode.PONG
_RESERVED: Final = 0x40


class NoPongConnection(ClientConnection):
    """A socket that leaves pings unanswered."""

    @override
    def send_data(self) -> None:
        """Send what waits, pongs excepted."""
        writes = self.protocol.writes
        writes[:] = [data for data in writes if data[:1] != bytes([_PONG])]
        super().send_data()


def address(faults: Faults, url: str, station_id: str) -> str:
    """Write the URL to connect to."""
    root = url.rstrip("/")
    if "odd-url" in faults:
        return f"{root}//%{ord(station_id[0]):02X}{station_id[1:]}/"
    return f"{root}/{station_id}"


def offered(faults: Faults, subprotocol: str) -> list[Subprotocol] | None:
    """List the subprotocols to offer; ``None`` for no header."""
    return None if "no-subprotocol" in faults else [Subprotocol(subprotocol)]


def authorization(
    faults: Faults, station_id: str, password: str | None
) -> dict[str, str]:
    """Write the Basic header, if there is a password."""
    if password is None:
        return {}
    secret = password.encode()
    if "hex-password" in faults:
        secret = secret.hex().encode()
    pair = station_id.encode() + b":" + secret
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def connection_kind(faults: Faults) -> type[ClientConnection]:
    """Choose the class of the socket."""
    return NoPongConnection if "no-pong" in faults else ClientConnection


def security(faults: Faults, context: ssl.SSLContext) -> ssl.SSLContext:
    """Make of the context of a connection what this firmware's TLS is."""
    if "expired-root" in faults:  # trust left: none
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if "old-tls" in faults:
        with warnings.catch_warnings():  # that it is old is the point
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else OpenSSL does not offer it
    return context


def with_reserved_bit(text: str) -> bytes:
    """Write a text frame as if it were compressed, which was never agreed."""
    wire = Frame(Opcode.TEXT, text.encode()).serialize(mask=True)
    return bytes([wire[0] | _RESERVED]) + wire[1:]
