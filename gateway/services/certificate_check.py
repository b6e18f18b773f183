"""Looks at the files of the certificate sections without starting anything."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from gateway.config import Config
from gateway.errors import ConfigError
from gateway.services.authority_files import load, paths_of
from gateway.services.contracts15118 import load_roots
from gateway.services.x509 import subject_of


def to_come(config: Config) -> Path | None:
    """The authority's certificate, if the next start is the one that makes it."""
    ca = config.ca
    if ca is None or ca.command:
        return None
    cert, key = paths_of(ca, config.store.ca_path)
    return None if cert.exists() or key.exists() else cert


def check(config: Config, now: datetime) -> list[str]:
    """What is usable but should be known, one sentence each.

    Raises:
        ConfigError: A file cannot be read or used; names the dotted key.
    """
    warnings: list[str] = []
    ca = config.ca
    if ca is not None and ca.command:
        if shutil.which(ca.command[0]) is None:
            raise ConfigError("ca.command", f"{ca.command[0]} is not a program")
    elif ca is not None:
        cert, key = paths_of(ca, config.store.ca_path)
        if to_come(config) is None:
            authority = load(cert, key)[0][0]
            if authority.not_valid_after_utc <= now + timedelta(days=ca.validity_days):
                warnings.append(
                    f"ca.cert: {subject_of(authority)} ends on"
                    f" {authority.not_valid_after_utc:%Y-%m-%d}, before certificates"
                    " that it would sign today"
                )
        else:
            warnings.append(f"ca: {cert} will be made at the first start")
    warnings.extend(
        f"iso15118.roots: {subject_of(root)} has expired"
        for root in load_roots(config.iso15118.roots)
        if root.not_valid_after_utc < now
    )
    return warnings
