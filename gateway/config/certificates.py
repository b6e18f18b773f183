"""Sections about certificates: ``[ca]``, ``[ocsp]`` and ``[iso15118]``."""

import ipaddress
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from gateway.config.reader import Range, read
from gateway.config.tls import MAX_ORGANIZATION_CHARS
from gateway.errors import ConfigError

MAX_VALIDITY_DAYS: Final = 3_650
_HOST: Final = re.compile(r"[a-z0-9_.:-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaConfig:
    """Who signs the certificates of stations.

    Attributes:
        cert: The embedded authority's certificate (PEM), itself or with what is above
            it; made at the first start if neither file exists.
        key: Its private key (PEM, not encrypted), readable by the owner only.
        command: A program instead: CSR in PEM on its standard input, the chain in PEM,
            leaf first, on its standard output.
        command_timeout_s: Real seconds that the program may take.
        cpo_name: What the organization (O) in a station's request must be.
        validity_days: Of certificates that the embedded authority signs.
        expiry_warning_days: How long before its end a certificate is worth a warning.
    """

    cert: Path | None = None
    key: Path | None = None
    command: tuple[str, ...] = ()
    command_timeout_s: Annotated[float, Range(low=1, high=600)] = 60.0
    cpo_name: str | None = None
    validity_days: Annotated[int, Range(low=1, high=MAX_VALIDITY_DAYS)] = 365
    expiry_warning_days: Annotated[int, Range(low=1, high=365)] = 30

    def __post_init__(self) -> None:
        if self.command and (self.cert is not None or self.key is not None):
            raise ConfigError("command", "give cert and key, or command, not both")
        if not self.command and (self.cert is None) != (self.key is None):
            missing = "cert" if self.cert is None else "key"
            raise ConfigError(missing, "cert and key go together")
        if self.cpo_name is not None and not (
            0 < len(self.cpo_name) <= MAX_ORGANIZATION_CHARS
        ):
            raise ConfigError(
                "cpo_name", f"has 1 to {MAX_ORGANIZATION_CHARS} characters"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OcspConfig:
    """Whom we ask about revocation, whatever a station says.

    Attributes:
        allowed_responders: Hosts, ``host:port`` or URLs; a host without a port allows
            every port of it. Nothing else is ever fetched.
        timeout_s: Real seconds for one question.
    """

    allowed_responders: tuple[str, ...] = ()
    timeout_s: Annotated[float, Range(low=0.5, high=60)] = 5.0

    def __post_init__(self) -> None:
        for index, entry in enumerate(self.allowed_responders):
            if _host_of(entry) is None:
                raise ConfigError(
                    f"allowed_responders[{index}]",
                    f'must be a host such as "ocsp.example.com", not {entry!r}',
                )

    def allows(self, url: SplitResult) -> bool:
        """Whether a URL's host is on the list, exactly."""
        for entry in self.allowed_responders:
            allowed = _host_of(entry)
            if allowed is None or allowed.hostname != url.hostname:
                continue
            if allowed.port in {None, _port_of(url)}:
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Iso15118Config:
    """Plug and charge.

    Attributes:
        roots: PEM files with V2G and MO roots (and sub-CAs) that contract certificates
            are checked against.
        provider_url: Where requests of EVs for contract certificates are forwarded to.
        provider_timeout_s: Real seconds for that; the EV itself waits for 5
            (ISO 15118-2).
    """

    roots: tuple[Path, ...] = ()
    provider_url: str | None = None
    provider_timeout_s: Annotated[float, Range(low=0.5, high=60)] = 4.5

    def __post_init__(self) -> None:
        if self.provider_url is not None and not _is_safe(self.provider_url):
            raise ConfigError(
                "provider_url", "must be an https URL (http to this machine only)"
            )


def ca_of(document: Mapping[str, object], base_dir: Path) -> CaConfig | None:
    """The section ``[ca]``, if there is one; a command may be one text.

    Raises:
        ConfigError: It is wrong.
    """
    table = document.get("ca")
    if table is None:
        return None
    if isinstance(table, Mapping) and isinstance(table.get("command"), str):
        try:
            words = shlex.split(table["command"])
        except ValueError as error:
            raise ConfigError("ca.command", f"cannot be read: {error}") from None
        if not words:
            raise ConfigError("ca.command", "is empty")
        table = {**table, "command": words}
    config = read(CaConfig, table, "ca", base_dir)
    if config.command and "/" in config.command[0]:
        program = str(base_dir / Path(config.command[0]).expanduser())
        table = {**_mapping(table), "command": [program, *config.command[1:]]}
        return read(CaConfig, table, "ca", base_dir)
    return config


def _mapping(table: object) -> Mapping[str, object]:
    return table if isinstance(table, Mapping) else {}


def _host_of(entry: str) -> SplitResult | None:
    """A list entry as a URL; ``None`` if it names no host."""
    try:
        parts = urlsplit(entry if "://" in entry else f"//{entry}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or _HOST.fullmatch(parts.hostname or "") is None:
        return None
    return parts


def _port_of(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    host = parts.hostname
    if not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_local(host))


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
