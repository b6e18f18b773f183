"""Station passwords and API secrets: keyed hashes, compared in constant time.

Station passwords are machine keys (OCPP security profile 1: 16 to 40 bytes), and a
reconnect storm checks thousands of them a second. A slow hash would turn a storm into
an outage, so the stored form is HMAC-SHA-256 under a pepper that lives outside the
database, with a salt per station.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import StartupError

PEPPER_BYTES: Final = 32
_SCHEME: Final = "hs256"


@dataclass(frozen=True, slots=True)
class Pepper:
    """The installation's secret for hashing; never stored in the database."""

    secret: bytes

    @classmethod
    def load(cls, path: Path) -> "Pepper":
        """Read the pepper, creating it (mode 0600) at the first start.

        Raises:
            StartupError: The file cannot be read, is too short, or is open to others.
        """
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_whole(path, secrets.token_bytes(PEPPER_BYTES))
            secret = path.read_bytes()
            mode = path.stat().st_mode & 0o077
        except OSError as error:
            raise StartupError(f"cannot read the key file {path}: {error}") from error
        if len(secret) < PEPPER_BYTES:
            raise StartupError(f"the key file {path} is damaged (too short)")
        if mode:
            raise StartupError(f"the key file {path} is open to others: chmod 600 it")
        return cls(secret)

    def hash_password(self, station_id: str, password: bytes) -> str:
        """The stored form of a station's password."""
        salt = secrets.token_hex(8)
        return f"{_SCHEME}${salt}${self._digest(station_id, salt, password)}"

    def matches(self, station_id: str, presented: bytes, stored: str) -> bool:
        """Whether the presented bytes are the station's password.

        A password set as raw bytes may come back as its hexadecimal form and the
        other way round (OCPP 1.6 security whitepaper, A00.FR.206): both are tried.
        """
        scheme, _, rest = stored.partition("$")
        salt, _, digest = rest.partition("$")
        found = False
        for form in _forms(presented):
            candidate = self._digest(station_id, salt, form)
            found |= hmac.compare_digest(candidate, digest)
        return found and scheme == _SCHEME

    def is_as_set(self, station_id: str, presented: bytes, stored: str) -> bool:
        """Whether a password comes in the form in which it was set."""
        _, salt, digest = stored.split("$")
        candidate = self._digest(station_id, salt, presented)
        return hmac.compare_digest(candidate, digest)

    def waste_time(self, presented: bytes) -> None:
        """Cost as much as ``matches``, for a station that does not exist."""
        self.matches("", presented, f"{_SCHEME}$0000000000000000${'0' * 64}")

    def _digest(self, station_id: str, salt: str, password: bytes) -> str:
        message = b"\x00".join((station_id.encode(), salt.encode(), password))
        return hmac.new(self.secret, message, hashlib.sha256).hexdigest()


def _write_whole(path: Path, secret: bytes) -> None:
    """Write a secret whole or not at all; one that was made meanwhile stays."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=path.name, suffix=".new"
    ) as file:  # created 0600
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(file.name, path)


def _forms(presented: bytes) -> tuple[bytes, ...]:
    """The bytes as they came, as hexadecimal, and what they mean if they are it."""
    forms = [presented, presented.hex().encode(), presented.hex().upper().encode()]
    with suppress(UnicodeDecodeError, ValueError):
        forms.append(bytes.fromhex(presented.decode("ascii")))
    return tuple(forms)
