"""Identities: who and what a fact is about."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, NewType

import msgspec

StationId = NewType("StationId", str)
SessionId = NewType("SessionId", str)
CabinetId = NewType("CabinetId", str)

STATION_ID: Final = re.compile(r"[A-Za-z0-9._:@=+\-]{1,48}")
"""What a station may be called; the last path segment of its URL."""


class EvseRef(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """One EVSE of one station.

    Attributes:
        station_id: The station.
        evse_id: From 1. OCPP 1.6 has no EVSE: its connector is taken as one.
        connector_id: From 1 on 2.0.1; equal to ``evse_id`` on 1.6.
    """

    station_id: StationId
    evse_id: int
    connector_id: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class IdToken:
    """What a driver identifies with.

    Attributes:
        value: As presented. Tokens compare without case (OCPP 1.6, IdToken;
            2.0.1, identifierString).
        kind: 2.0.1 ``IdTokenEnumType``; ``None`` for 1.6, which does not say.
    """

    value: str
    kind: str | None = None

    @property
    def key(self) -> str:
        """The value folded for comparison."""
        return self.value.casefold()


def session_id_of(station_id: StationId, natural_key: tuple[str, ...]) -> SessionId:
    """The identity of a session, computed from its natural key.

    The same start sent twice, in another order or after a crash, is the same session.

    Args:
        station_id: The station the session belongs to; no other station can name it.
        natural_key: 1.6: connector, start time, start register, token.
            2.0.1: the station's transaction id.
    """
    text = "\x1f".join((station_id, *natural_key))
    digest = hashlib.sha256(b"wattproof/session/1\x00" + text.encode()).hexdigest()
    return SessionId(f"s{digest[:24]}")
