"""TCP ports that this process listens on; what is wrong with one names its setting."""

import errno
import socket
from dataclasses import dataclass
from typing import Final

from gateway.errors import StartupError


@dataclass(frozen=True, slots=True, kw_only=True)
class PortName:
    """What a port is for, and the settings that choose it."""

    what: str
    host_key: str
    port_key: str


OCPP: Final = PortName(
    what="OCPP", host_key="server.ocpp_host", port_key="server.ocpp_port"
)
OCPP_TLS: Final = PortName(
    what="OCPP over TLS", host_key="server.ocpp_host", port_key="ocpp.tls.port"
)
OCPP_LEGACY_TLS: Final = PortName(
    what="OCPP over old TLS",
    host_key="server.ocpp_host",
    port_key="ocpp.tls.legacy_port",
)
API: Final = PortName(what="the API", host_key="api.host", port_key="api.port")


def bind(host: str, port: int, name: PortName) -> socket.socket:
    """Bind a port now, so that a port in use is said before anything starts.

    Nobody can connect before `listen`.

    Args:
        host: Address; one with a colon is IPv6.
        port: TCP port; 0 picks one.
        name: Whose port it is, for the error.

    Raises:
        StartupError: The port is in use or may not be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, TypeError, ValueError) as error:  # the latter: no host at all
        bound.close()
        raise _refusal(host, port, name, error) from error
    bound.set_inheritable(False)
    return bound


def listen(bound: socket.socket, backlog: int, name: PortName) -> None:
    """Listen on a port; of two programs that have bound it, one can.

    Said here because event loops do not: uvloop drops the error.

    Raises:
        StartupError: Another program listens already.
    """
    try:
        bound.listen(backlog)
    except OSError as error:
        host, port = bound.getsockname()[:2]
        raise _refusal(host, port, name, error) from error


def _refusal(host: str, port: int, name: PortName, error: Exception) -> StartupError:
    match error:
        case OSError(errno=errno.EADDRINUSE):
            why = f"in use by another program: end it, or change {name.port_key}"
        case OSError(errno=errno.EADDRNOTAVAIL):
            why = f"this machine has no such address: see {name.host_key}"
        case OSError(errno=errno.EACCES):
            why = f"only privileged programs may have it: change {name.port_key}"
        case OSError(strerror=str(said)):
            why = f"{said}: see {name.host_key}"
        case _:
            why = f"{error}: see {name.host_key}"
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return StartupError(f"cannot listen on {address} for {name.what}: {why}")
