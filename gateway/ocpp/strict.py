"""What adapters that tolerate nothing do: for certification, and stations on trial.

What breaks its schema is answered with the exact CALLERROR, also where the tolerant way
would have understood it. So is what a schema cannot say and the tolerant way notes as a
deviation: times that are none, numbers out of range. A station discards what it is told
is invalid, so a transaction message that is refused here is lost to its bill: never for
stations in service.
"""

from gateway.errors import ErrorKind, RemoteError
from gateway.ocpp.adapter import Decoded


def exact(decoded: Decoded) -> Decoded:
    """The message, if it departs from the specification in nothing.

    Raises:
        RemoteError: ``PROPERTY``: valid by its schema, but a value is not.
    """
    if decoded.deviations:
        first = decoded.deviations[0]
        raise RemoteError(ErrorKind.PROPERTY, f"{first.path}: {first.detail}")
    return decoded
