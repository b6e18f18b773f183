"""The exception tree, split by what the catcher does.

::

    WattproofError
    ├── RemoteError        answer with a CALLERROR; nothing was stored as a fact
    ├── CallFailed         our CALL got no good answer: retry or give up
    │   ├── NotConnected
    │   ├── CallTimedOut
    │   └── CallRefused    the station answered with a CALLERROR
    ├── StoreError         do NOT answer, so that the station sends it again
    │   └── StoreBusy      the writer's queue is full
    │       └── StoreShed  half full, and this bills nobody
    ├── DeviceError        a meter, inverter or battery gave no usable answer
    ├── ConfigError        exit 2, naming the dotted key and the fix
    ├── StartupError       exit 1 with one clear line (port in use, unreadable database)
    └── RequestError       an API request that cannot be done: status and reason
"""

from enum import StrEnum

from typing_extensions import override


class ErrorKind(StrEnum):
    """Why a frame is refused; each adapter has its own spelling table."""

    NOT_IMPLEMENTED = "not_implemented"
    NOT_SUPPORTED = "not_supported"
    INTERNAL = "internal"
    PROTOCOL = "protocol"
    SECURITY = "security"
    FORMAT = "format"
    PROPERTY = "property"
    OCCURRENCE = "occurrence"
    TYPE = "type"
    GENERIC = "generic"
    MESSAGE_TYPE = "message_type"
    RPC_FRAMEWORK = "rpc_framework"


class WattproofError(Exception):
    """Root of every error this system raises on purpose."""


class RemoteError(WattproofError):
    """The sender made a mistake; answer with a CALLERROR of its version.

    Attributes:
        kind: Version-neutral reason.
        description: One sentence for the station's log.
        details: JSON object for ``errorDetails``.
    """

    def __init__(
        self,
        kind: ErrorKind,
        description: str,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(description)
        self.kind = kind
        self.description = description
        self.details = {} if details is None else details

    @override
    def __str__(self) -> str:
        return f"{self.kind.value}: {self.description}"


class CallFailed(WattproofError):
    """A CALL to a station did not end with a result."""


class NotConnected(CallFailed):
    """The station has no open connection, or lost it before answering.

    Attributes:
        was_sent: The CALL had left: the station may still act on it.
    """

    def __init__(self, message: str, *, was_sent: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class CallTimedOut(CallFailed):
    """The station did not answer in time; it may still act on the call."""


class CallRefused(CallFailed):
    """The station answered with a CALLERROR.

    Attributes:
        code: Error code as spelled by the station.
        description: Its text.
        details: Its ``errorDetails``.
    """

    def __init__(self, code: str, description: str, details: dict[str, object]) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.details = details


class StoreError(WattproofError):
    """The fact is not on disk: do not answer, so that the station repeats it."""


class StoreBusy(StoreError):
    """The writer's queue is full."""


class StoreShed(StoreBusy):
    """The writer's queue is half full: what bills nobody waits outside."""


class DeviceError(WattproofError):
    """A meter, inverter or battery gave no answer, or one that cannot be used."""


class ConfigError(WattproofError):
    """Configuration is wrong.

    Attributes:
        key: Dotted key, e.g. ``cabinet[0].limit_a``.
        problem: What is wrong and how to fix it.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class StartupError(WattproofError):
    """Something outside the configuration keeps the system from starting."""


class RequestError(WattproofError):
    """An API request that cannot be carried out.

    Attributes:
        status: HTTP status code.
        code: Machine-readable reason, e.g. ``would_exceed_limit``.
        message: One sentence for a person.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
