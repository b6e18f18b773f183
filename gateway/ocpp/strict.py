"""Adapters that tolerate nothing: for certification, and for stations on trial.

What breaks its schema is answered with the exact CALLERROR, also where the tolerant way
would have understood it. So is what a schema cannot say and the tolerant way notes as a
deviation: times that are none, numbers out of range. A station discards what it is told
is invalid, so a transaction message that is refused here is lost to its bill: never for
stations in service.
"""

from datetime import datetime

from typing_extensions import override

from gateway.domain.ids import StationId
from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.adapter import Decoded
from gateway.ocpp.frames import Call
from gateway.ocpp.schema import Version
from gateway.ocpp.tolerant import Reader
from gateway.ocpp.v16 import V16
from gateway.ocpp.v201 import V201


class StrictV16(V16):
    """OCPP 1.6J to the letter."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = Reader(Version.V16, {})

    @override
    def decode(
        self, station_id: StationId, call: Call, received_at: datetime
    ) -> Decoded:
        return _exact(self._decode(station_id, call, received_at))


class StrictV201(V201):
    """OCPP 2.0.1 to the letter."""

    def __init__(self) -> None:
        super().__init__()
        self._reader = Reader(Version.V201, {})

    @override
    def decode(
        self, station_id: StationId, call: Call, received_at: datetime
    ) -> Decoded:
        return _exact(self._decode(station_id, call, received_at))


def _exact(decoded: Decoded) -> Decoded:
    """The message, if it departs from the specification in nothing.

    Raises:
        RemoteError: ``PROPERTY``: valid by its schema, but a value is not.
    """
    if decoded.deviations:
        first = decoded.deviations[0]
        raise RemoteError(ErrorKind.PROPERTY, f"{first.path}: {first.detail}")
    return decoded
