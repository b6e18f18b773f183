"""One call to a station, with its end as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import CallFailed, CallRefused, CallTimedOut, NotConnected
from gateway.ocpp.adapter import Command
from gateway.services.reports import checked
from gateway.services.variables import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How a call ended.

    Attributes:
        outcome: ``result``, ``error``, ``timeout`` or ``disconnected``.
        status: The station's word, or its error code.
    """

    outcome: str
    status: str | None = None
    answer: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return {"outcome": self.outcome, "status": self.status}


async def ask(exchange: Exchange, action: str, payload: Mapping[str, object]) -> Said:
    """Check a call, send it, and tell how it ended.

    Raises:
        RequestError: 422 not valid for the station's version; 409 it must not go out.
    """
    command = Command(action=action, payload=payload)
    await checked(exchange, command)
    return await send(exchange, command)


async def send(exchange: Exchange, command: Command) -> Said:
    """Send a checked command, and tell how it ended."""
    try:
        answer = await exchange.call(exchange.station_id, command, exchange.timeout_s)
    except CallTimedOut:
        return Said(outcome="timeout")
    except NotConnected:
        return Said(outcome="disconnected")
    except CallRefused as error:
        return Said(outcome="error", status=error.code)
    except CallFailed as error:
        return Said(outcome="error", status=str(error))
    status = answer.get("status")
    return Said(
        outcome="result",
        status=None if status is None else str(status),
        answer=answer,
    )
