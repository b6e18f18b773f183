"""OCPP-J frames: text <-> Call, CallResult, CallError (OCPP-J 1.6, 4.2; 2.0.1 part 4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A request: ``[2, message_id, action, payload]``; the payload is undecoded JSON."""

    message_id: str
    action: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class CallResult:
    """An answer: ``[3, message_id, payload]``."""

    message_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class CallError:
    """A refusal: ``[4, message_id, code, description, details]``."""

    message_id: str
    code: str
    description: str
    details: dict[str, object]
