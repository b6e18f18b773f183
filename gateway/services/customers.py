"""What stations know of customers: asked for, read once, deleted (2.0.1, N09, N10)."""

from collections.abc import Mapping
from typing import Any

from gateway.domain.ids import StationId
from gateway.errors import RequestError
from gateway.services.asking import ask
from gateway.services.reports import Reports
from gateway.services.variables import Exchange
from gateway.store import reports as rows
from gateway.store.writer import Writer


class Customers:
    """Requests for customers' data; never logs whom they are about."""

    def __init__(self, *, reports: Reports, writer: Writer) -> None:
        self._reports = reports
        self._writer = writer

    async def request(
        self,
        exchange: Exchange,
        *,
        report: bool,
        clear: bool,
        customer: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Ask the station to report or to delete what it knows of a customer."""
        payload = {"report": report, "clear": clear, **customer}
        if report:
            sent = await self._reports.send(exchange, "CustomerInformation", payload)
            return {
                "request_id": sent.request_id,
                "outcome": sent.outcome,
                "status": sent.status,
            }
        number = await self._reports.next_id()
        said = await ask(
            exchange, "CustomerInformation", {"requestId": number, **payload}
        )
        return {"request_id": number, **said.as_json()}

    async def read(self, station_id: StationId, request_id: int) -> dict[str, Any]:
        """What the station reported; a complete report is deleted by this.

        Raises:
            RequestError: 404 no such request; 410 it was read or deleted before.
        """
        found = await self._writer.run(
            lambda conn: rows.take_text(conn, station_id, request_id)
        )
        if found is None:
            raise RequestError(404, "unknown_request", f"no request {request_id}")
        state, text = found
        if state == rows.State.READ.value:
            raise RequestError(410, "already_read", "it was read or deleted before")
        return {"request_id": request_id, "state": state, "text": text}

    async def delete(self, station_id: StationId, request_id: int) -> None:
        """Delete what the station reported.

        Raises:
            RequestError: 404 no such request.
        """
        known = await self._writer.run(
            lambda conn: rows.forget_text(conn, station_id, request_id)
        )
        if not known:
            raise RequestError(404, "unknown_request", f"no request {request_id}")
