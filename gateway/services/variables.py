"""Settings of stations in the wire's own words: read, written, passwords rotated.

A request of many items goes out in as many messages as the station needs, one after
the other, and is answered item by item in the order asked.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.ids import StationId
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    NotConnected,
    RequestError,
)
from gateway.ocpp.adapter import Adapter, Command
from gateway.services import variable_words as words
from gateway.services.dialects import check_request
from gateway.services.splitting import MessageLimits, chunks, reported_limits
from gateway.services.stations import StationDirectory
from gateway.services.variable_words import Item, Words
from gateway.store.queries import Queries

SECRET_BYTES: Final = 20
"""As 40 hexadecimal digits: what both versions take at most (A01)."""

SendCall = Callable[[StationId, Command, float], Awaitable[Mapping[str, object]]]
Guard = Callable[[str, Mapping[str, object]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A connected station, and how to ask it.

    Attributes:
        guard: Called before each message with its action and payload; raises
            `RequestError` for one that must not go out.
        timeout_s: Real seconds per message.
    """

    station_id: StationId
    adapter: Adapter
    call: SendCall
    guard: Guard
    timeout_s: float


class Variables:
    """Reads and writes variables (2.0.1) or configuration keys (1.6)."""

    def __init__(self, *, directory: StationDirectory, queries: Queries) -> None:
        self._directory = directory
        self._queries = queries

    async def read(self, exchange: Exchange, items: Sequence[object]) -> list[Item]:
        """Read items; see `gateway.services.variable_words` for their form.

        Raises:
            RequestError: 422 an item is not valid for the station's version.
        """
        kind = words.READ[exchange.adapter.version]
        return await self._exchange(exchange, kind, items)

    async def write(self, exchange: Exchange, items: Sequence[object]) -> list[Item]:
        """Write items.

        Raises:
            RequestError: 422 an item is not valid for the station's version; 409 it
                may change what the station draws, and that would not fit.
        """
        kind = words.WRITE[exchange.adapter.version]
        return await self._exchange(exchange, kind, items)

    async def rotate_password(self, exchange: Exchange) -> dict[str, object]:
        """Set a new random password at the station; it is never shown.

        Until the answer is in, the station may come back with either password (see
        `StationCalls.call`): if the answer is lost, the one it presents next is kept,
        and so is one that it accepts late.

        Returns:
            ``outcome`` as of any call, and whether the password ``changed``.
        """
        secret = secrets.token_hex(SECRET_BYTES)
        command = words.set_password(exchange.adapter.version, secret)
        try:
            answer = await exchange.call(
                exchange.station_id, command, exchange.timeout_s
            )
        except CallTimedOut:
            return {"outcome": "timeout", "changed": False}
        except NotConnected:
            return {"outcome": "disconnected", "changed": False}
        except CallFailed:
            return {"outcome": "error", "changed": False}
        changed = exchange.adapter.password_set(command, answer) is not None
        return {"outcome": "result", "changed": changed}

    async def _exchange(
        self, exchange: Exchange, kind: Words, raw_items: Sequence[object]
    ) -> list[Item]:
        items = [_checked(kind, raw, index) for index, raw in enumerate(raw_items)]
        parts = await self._parts(exchange.station_id, kind, items)
        commands = [
            Command(action=kind.action, payload=kind.payload(part)) for part in parts
        ]
        for command in commands:
            check_request(
                exchange.station_id, exchange.adapter, command.action, command.payload
            )
            await exchange.guard(command.action, command.payload)
        answered: list[Item] = []
        for part in parts:
            answered += await _ask(exchange, kind, part)
        return answered

    async def _parts(
        self, station_id: StationId, kind: Words, items: Sequence[Item]
    ) -> list[Sequence[Item]]:
        """What the station takes: as registered, as it reported, else everything."""
        rows = await self._queries.device_variables(station_id)
        limits = reported_limits(kind.action, rows)
        own = self._directory.require(station_id).items_per_message
        most = [n for n in (kind.most_items, own or limits.items) if n is not None]
        limits = MessageLimits(items=min(most, default=None), n_bytes=limits.n_bytes)
        return chunks(items, limits, kind.payload, words.identity)


async def _ask(exchange: Exchange, kind: Words, items: Sequence[Item]) -> list[Item]:
    """One message; what is refused as a whole is asked again item by item."""
    command = Command(action=kind.action, payload=kind.payload(items))
    try:
        answer = await exchange.call(exchange.station_id, command, exchange.timeout_s)
    except CallTimedOut:
        return [kind.named(item) | {"outcome": "timeout"} for item in items]
    except NotConnected:
        return [kind.named(item) | {"outcome": "disconnected"} for item in items]
    except CallRefused as error:
        if len(items) > 1:
            parts = [await _ask(exchange, kind, [item]) for item in items]
            return [one for part in parts for one in part]
        failure = {"code": error.code, "description": error.description}
        return [kind.named(items[0]) | {"outcome": "error"} | failure]
    except CallFailed as error:
        failure = {"outcome": "error", "code": "InternalError"}
        failure["description"] = str(error)
        return [kind.named(item) | failure for item in items]
    return [
        {"outcome": "result"} | words.without_secret(result)
        for result in kind.results(items, answer)
    ]


def _checked(kind: Words, raw: object, index: int) -> Item:
    try:
        return kind.item(raw)
    except ValueError as error:
        raise RequestError(422, "bad_item", f"items[{index}]: {error}") from error
