"""The listeners of a gateway must not want the same port."""

import ipaddress
from typing import Final

from gateway.config.sections import ApiConfig, ServerConfig
from gateway.config.tls import TlsConfig
from gateway.errors import ConfigError

ANY: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - only compared
"""Hosts that take a port of every address, those of the other family included."""


def check_ports(server: ServerConfig, api: ApiConfig, tls: TlsConfig | None) -> None:
    """Refuse two listeners on one port of one address; port 0 never clashes.

    Raises:
        ConfigError: Names the setting that comes later, and the one it clashes with.
    """
    wanted = [("server.ocpp_port", server.ocpp_host, server.ocpp_port)]
    if tls is not None:
        wanted.append(("ocpp.tls.port", server.ocpp_host, tls.port))
    if tls is not None and tls.legacy_port is not None:
        wanted.append(("ocpp.tls.legacy_port", server.ocpp_host, tls.legacy_port))
    wanted.append(("api.port", api.host, api.port))
    for index, (key, host, port) in enumerate(wanted):
        for other_key, other_host, other_port in wanted[:index]:
            if port and port == other_port and _meet(host, other_host):
                raise ConfigError(
                    key,
                    f"{port} is {other_key} already: each needs a port of its own",
                )


def _meet(one: str, other: str) -> bool:
    return bool({one, other} & ANY) or _address(one) == _address(other)


def _address(host: str) -> str:
    """An address as it compares; names of this machine count as 127.0.0.1."""
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.casefold()
