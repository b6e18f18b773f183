"""Vendors' own messages: who is known, what is said to them, and what they said.

Every message is kept with its answer. A vendor of the configuration may send anything;
others are registered with the messages they may send.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeAlias

import structlog

from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.ocpp.inquiries import DataAnswered, DataOffered, DataStatus
from gateway.services.inquiries import Found
from gateway.store import data_transfers as rows
from gateway.store.data_transfers import Transfer
from gateway.store.queries import Queries
from gateway.store.writer import Writer

Desk: TypeAlias = Callable[[StationId, DataOffered], Awaitable[DataAnswered]]
"""Answers one kind of message of one vendor."""

ANY: Final = None
"""Stands for every message of a vendor that has no desk of its own."""

_log = structlog.get_logger()


async def accept(_station_id: StationId, _offer: DataOffered) -> DataAnswered:
    """A desk that takes what comes; it is kept with the others."""
    return DataAnswered(status=DataStatus.ACCEPTED)


class DataTransfers:
    """The vendors known here. Loop thread only.

    Args:
        writer: Keeps messages.
        queries: Reads them.
        clock: Site time.
        vendors: Ids from the configuration; all their messages are accepted.
    """

    def __init__(
        self,
        *,
        writer: Writer,
        queries: Queries,
        clock: Clock,
        vendors: Iterable[str] = (),
    ) -> None:
        self._writer = writer
        self._queries = queries
        self._clock = clock
        self._vendors: dict[str, dict[str | None, Desk]] = {}
        for vendor in vendors:
            self.register(vendor, {ANY: accept})

    def register(self, vendor_id: str, desks: Mapping[str | None, Desk]) -> None:
        """Make a vendor known, by message id; ids of vendors compare without case."""
        self._vendors.setdefault(vendor_id.casefold(), {}).update(desks)

    async def answer(self, station_id: StationId, offer: DataOffered) -> Found:
        """Answer a message and keep both; see `gateway.services.inquiries.Handler`.

        Raises:
            StoreError: It could not be kept, and must not be answered as if.
        """
        finding = await self._find(station_id, offer)
        row = Transfer(
            received_at=self._clock.now(),
            vendor_id=offer.vendor_id,
            message_id=offer.message_id,
            data=offer.data,
            status=finding.status.value,
            answer=finding.data,
        )
        await self._writer.run(lambda conn: rows.insert(conn, station_id, row))
        _log.info(
            "data.transferred",
            station_id=station_id,
            vendor_id=offer.vendor_id,
            message_id=offer.message_id,
            status=finding.status.value,
        )
        return Found(finding=finding)

    async def newest(
        self, station_id: StationId, vendor_id: str | None, limit: int
    ) -> list[Transfer]:
        """What a station sent, newest first; of one vendor or of all."""
        found = await self._queries.rows(rows.NEWEST, (station_id, vendor_id, limit))
        return [rows.of_row(row) for row in found]

    async def _find(self, station_id: StationId, offer: DataOffered) -> DataAnswered:
        desks = self._vendors.get(offer.vendor_id.casefold())
        if desks is None and offer.has_record:
            return await accept(station_id, offer)
        if desks is None:
            return DataAnswered(status=DataStatus.UNKNOWN_VENDOR)
        desk = desks.get(offer.message_id) or desks.get(ANY)
        if desk is None:
            return DataAnswered(status=DataStatus.UNKNOWN_MESSAGE)
        return await desk(station_id, offer)
