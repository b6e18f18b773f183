"""Asks stations for reports that come in pages, and waits for them where wanted."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec

from gateway.bus import Bus, FactCommitted, Notice
from gateway.clock import Clock
from gateway.domain.events import DeviceReported, StationNotified
from gateway.domain.ids import StationId
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    NotConnected,
    RequestError,
)
from gateway.ocpp import device_words
from gateway.ocpp.adapter import Command
from gateway.services.dialects import check_request
from gateway.services.splitting import MessageLimits, chunks, reported_limits
from gateway.services.stations import StationDirectory
from gateway.services.variables import Exchange
from gateway.store import reports
from gateway.store.queries import Queries
from gateway.store.writer import Writer

GIVE_UP_AFTER: Final = timedelta(minutes=10)
"""Site time without a page after which a report counts as incomplete."""
PAGE_WAIT_S: Final = 30.0
"""Real seconds to wait for the next page, where somebody waits."""

_REPORT: Final = (
    "SELECT request_id, state, base, status, asked, asked_at, updated_at,"
    " (SELECT count(*) FROM report_page AS p WHERE p.station_id = r.station_id"
    " AND p.kind = r.kind AND p.request_id = r.request_id) FROM report AS r"
    " WHERE station_id = ? AND kind = ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request for a report, and what the station said to it.

    Attributes:
        outcome: ``result``, ``error``, ``timeout`` or ``disconnected``.
        status: The station's word, or its error code.
    """

    request_id: int
    outcome: str
    status: str | None

    @property
    def is_accepted(self) -> bool:
        """Whether pages will come."""
        return self.outcome == "result" and self.status == device_words.ACCEPTED


class Reports:
    """Requests for reports, numbered so that no two are alike."""

    def __init__(
        self,
        *,
        writer: Writer,
        queries: Queries,
        directory: StationDirectory,
        bus: Bus,
        clock: Clock,
        page_wait_s: float = PAGE_WAIT_S,
    ) -> None:
        self._writer = writer
        self._queries = queries
        self._directory = directory
        self._bus = bus
        self._clock = clock
        self._page_wait_s = page_wait_s

    async def next_id(self) -> int:
        """A request id that was not used before."""
        return await self.number(reports.REQUESTS)

    async def number(self, name: str) -> int:
        """The next number of a counter."""
        return await self._writer.run(lambda conn: reports.next_number(conn, name))

    async def send(
        self, exchange: Exchange, action: str, payload: Mapping[str, object]
    ) -> Sent:
        """Ask for a report; the request id is made here.

        Raises:
            RequestError: 422 not valid for the station's version; 409 it must not go
                out.
        """
        request_id = await self.next_id()
        command = Command(action=action, payload={"requestId": request_id, **payload})
        await checked(exchange, command)
        try:
            answer = await exchange.call(
                exchange.station_id, command, exchange.timeout_s
            )
        except CallTimedOut:
            return Sent(request_id=request_id, outcome="timeout", status=None)
        except NotConnected:
            return Sent(request_id=request_id, outcome="disconnected", status=None)
        except CallRefused as error:
            return Sent(request_id=request_id, outcome="error", status=error.code)
        except CallFailed as error:
            return Sent(request_id=request_id, outcome="error", status=str(error))
        status = str(answer.get("status"))
        return Sent(request_id=request_id, outcome="result", status=status)

    async def send_split(
        self,
        exchange: Exchange,
        action: str,
        payload: Mapping[str, object],
        *,
        listed: str,
    ) -> list[Sent]:
        """Ask for a report on a list of items, in as many requests as needed.

        Args:
            exchange: The station.
            action: Wire action.
            payload: All of it; ``listed`` names the member that may be split.
            listed: e.g. ``componentVariable``.
        """
        items = payload.get(listed)
        if not isinstance(items, list):
            return [await self.send(exchange, action, payload)]
        limits = await self.limits(exchange.station_id, action)
        parts = chunks(items, limits, lambda part: {**payload, listed: list(part)})
        return [
            await self.send(exchange, action, {**payload, listed: list(part)})
            for part in parts
        ]

    async def limits(self, station_id: StationId, action: str) -> MessageLimits:
        """What the station takes in a message: as registered, else as it reported."""
        rows = await self._queries.device_variables(station_id)
        reported = reported_limits(action, rows)
        own = self._directory.require(station_id).items_per_message
        if own is None:
            return reported
        return MessageLimits(items=own, n_bytes=reported.n_bytes)

    async def wait(
        self,
        exchange: Exchange,
        kind: reports.Kind,
        action: str,
        payload: Mapping[str, object],
    ) -> tuple[Sent, str]:
        """Ask for a report and wait until it is complete, or no page comes any more.

        Returns:
            What was answered, and the report's state.
        """
        station_id = exchange.station_id
        with self._bus.subscribe(
            f"report.{station_id}",
            wants=partial(_concerns, station_id),
            of=(DeviceReported, StationNotified),
        ) as subscription:
            sent = await self.send(exchange, action, payload)
            state = await self.state(station_id, kind, sent.request_id)
            while sent.is_accepted and state in {"asked", "receiving"}:
                try:
                    async with asyncio.timeout(self._page_wait_s):
                        await subscription.batch()
                except TimeoutError:
                    await self._give_up(station_id, kind, sent.request_id)
                state = await self.state(station_id, kind, sent.request_id)
        return sent, state

    async def _give_up(
        self, station_id: StationId, kind: reports.Kind, request_id: int
    ) -> None:
        now = self._clock.now()
        await self._writer.run(
            lambda conn: reports.give_up(conn, station_id, kind, request_id, now)
        )

    async def state(
        self, station_id: StationId, kind: reports.Kind, request_id: int
    ) -> str:
        """How far a report has come."""
        rows = await self._queries.rows(
            f"{_REPORT} AND request_id = ?", (station_id, kind.value, request_id)
        )
        return str(rows[0][1]) if rows else "refused"

    async def listed(
        self, station_id: StationId, kind: reports.Kind, *, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Requests for reports of a kind, the newest first."""
        rows = await self._queries.rows(
            f"{_REPORT} ORDER BY request_id DESC LIMIT ?",
            (station_id, kind.value, limit),
        )
        return [
            {
                "request_id": row[0],
                "state": row[1],
                "base": row[2],
                "status": row[3],
                "asked": msgspec.json.decode(row[4]),
                "asked_at": row[5],
                "updated_at": row[6],
                "pages": row[7],
            }
            for row in rows
        ]

    async def sweep(self) -> None:
        """Flag reports whose pages stopped coming."""
        now = self._clock.now()
        await self._writer.run(
            lambda conn: reports.expire(conn, now - GIVE_UP_AFTER, now)
        )


async def checked(exchange: Exchange, command: Command) -> None:
    """Check a command against the schema and the guard.

    Raises:
        RequestError: 422 or 409.
    """
    check_request(
        exchange.station_id, exchange.adapter, command.action, command.payload
    )
    await exchange.guard(command.action, command.payload)


def component_variable(raw: Mapping[str, Any]) -> dict[str, Any]:
    """``{"component", "variable"}`` of names or wire objects, as the wire has it.

    Raises:
        ValueError: It is not one.
    """
    found: dict[str, Any] = {}
    for name in ("component", "variable"):
        value = raw.get(name)
        if value is None and name == "variable":
            continue
        if not isinstance(value, str | dict):
            raise ValueError(f"{name}: is required, a name or an object")  # noqa: TRY004 - one kind for all
        found[name] = {"name": value} if isinstance(value, str) else value
    return found


def component_variables(raw: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Several of them.

    Raises:
        RequestError: 422 naming the one that is wrong.
    """
    found = []
    for index, one in enumerate(raw):
        try:
            found.append(component_variable(one))
        except ValueError as error:
            raise RequestError(422, "bad_item", f"items[{index}]: {error}") from error
    return found


def _concerns(station_id: StationId, notice: Notice) -> bool:
    return (
        isinstance(notice, FactCommitted)
        and isinstance(notice.event, DeviceReported | StationNotified)
        and notice.event.station_id == station_id
    )
