"""What became of a call, in either direction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sim_chargers.frames import Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The central system answered with a result."""

    payload: Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The central system answered with a CALLERROR."""

    code: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """Nobody answered: too late, or no connection."""

    reason: str


Outcome: TypeAlias = Answer | Refusal | NoAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What we answer, and what we do once the answer is out."""

    payload: Payload
    after: Callable[[], None] | None = None


class RefusedError(Exception):
    """Answer a call of the central system with this CALLERROR."""

    def __init__(self, code: str, description: str = "") -> None:
        """Keep the OCPP error code and a text."""
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
