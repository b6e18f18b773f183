"""Passwords of stations, from the files and variables that the configuration names."""

import os
import ssl
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.config.meters import MeterConfig
from gateway.domain.ids import StationId
from gateway.errors import ConfigError

MIN_PASSWORD_BYTES: Final = 8
MAX_PASSWORD_BYTES: Final = 64
MAX_FILE_BYTES: Final = 4096
"""More of a file is not read: it holds no password."""


def passwords(
    sources: Mapping[StationId, Path | str], environment: Mapping[str, str]
) -> dict[StationId, bytes]:
    """Read the station passwords that the configuration points to.

    Args:
        sources: `Config.password_sources`: a file, or the name of a variable.
        environment: Where variables are looked up.

    Raises:
        ConfigError: A file cannot be read or is open to others, a variable is not set,
            or what they hold is no password that the API would take.
    """
    found: dict[StationId, bytes] = {}
    for station_id, source in sources.items():
        if isinstance(source, Path):
            key = f"station {station_id}.password_file"
            found[station_id] = _checked(_read(source, key), key, str(source))
        elif source in environment:
            key = f"station {station_id}.password_env"
            found[station_id] = _checked(environment[source].encode(), key, source)
        else:
            raise ConfigError(
                f"station {station_id}.password_env", f"{source} is not set"
            )
    return found


def check_passwords(
    sources: Mapping[StationId, Path | str], environment: Mapping[str, str]
) -> list[str]:
    """Check them without a gateway; what should be known, one sentence each.

    A variable that is not set is only told: the service that runs the gateway may have
    another environment than who checks.

    Raises:
        ConfigError: As `passwords`.
    """
    unset = {
        station_id: source
        for station_id, source in sources.items()
        if isinstance(source, str) and source not in environment
    }
    passwords({k: v for k, v in sources.items() if k not in unset}, environment)
    return [
        f"station {station_id}.password_env: {source} is not set here"
        for station_id, source in unset.items()
    ]


def check_devices(
    meters: Sequence[MeterConfig], environment: Mapping[str, str]
) -> list[str]:
    """Check what devices are logged in to with; what should be known, one line each.

    As with `check_passwords` a variable that is not set is only told.

    Raises:
        ConfigError: As `device_password`, or the authorities of a broker cannot be
            used.
    """
    found: list[str] = []
    for one in meters:
        table, key = one.mqtt, f"{one.key}.mqtt"
        if table is None:
            continue
        check_authorities(table.ca_file, f"{key}.ca_file")
        variable = table.password_env
        if variable is not None and variable not in environment:
            found.append(f"{key}.password_env: {variable} is not set here")
        else:
            device_password(table.password_file, variable, environment, key)
    return found


def check_authorities(ca_file: Path | None, key: str) -> None:
    """Refuse a file of authorities that TLS cannot use.

    Raises:
        ConfigError: It cannot be read, or holds no certificates.
    """
    if ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(key, f"{ca_file} cannot be used: {error}") from None


def device_password(
    path: Path | None, variable: str | None, environment: Mapping[str, str], key: str
) -> str | None:
    """The password with which we log in to a broker; ``None``: we need none.

    Raises:
        ConfigError: A file cannot be read, is open to others, empty or no text; a
            variable is not set.
    """
    if path is not None:
        dotted, source = f"{key}.password_file", str(path)
        content = _read(path, dotted)
    elif variable is not None:
        dotted, source = f"{key}.password_env", variable
        if variable not in environment:
            raise ConfigError(dotted, f"{variable} is not set")
        content = environment[variable].encode()
    else:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ConfigError(dotted, f"{source} is not UTF-8 text") from None
    if not text:
        raise ConfigError(dotted, f"{source} is empty")
    return text


def _read(path: Path, key: str) -> bytes:
    """What a file holds, without the white space around it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigError(key, f"{path} cannot be read: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(key, f"{path} is open to others: chmod 600 it")
    return content.strip()


def _checked(password: bytes, key: str, source: str) -> bytes:
    size = len(password)
    if not size:
        raise ConfigError(key, f"{source} is empty")
    if MIN_PASSWORD_BYTES <= size <= MAX_PASSWORD_BYTES:
        return password
    limit = (
        f"fewer than {MIN_PASSWORD_BYTES}"
        if size < MIN_PASSWORD_BYTES
        else f"more than {MAX_PASSWORD_BYTES}"
    )
    raise ConfigError(
        key,
        f"{source} holds {limit} bytes: a password has"
        f" {MIN_PASSWORD_BYTES} to {MAX_PASSWORD_BYTES}",
    )
