"""Firmware updates, logs and diagnostics: asked for, and followed to their end.

Whatever call asks for a transfer, by these functions or in the wire's own words, is
kept, and every word of the station about it as well (1.6, 5.4, 6.24 and whitepaper;
2.0.1, L01, L02, N01).
"""

import json
import sqlite3
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import structlog

from gateway.bus import Bus, FactCommitted, Lagged, Notice
from gateway.clock import Clock
from gateway.domain.events import StationNotified
from gateway.domain.ids import StationId
from gateway.domain.transfer import (
    FirmwareWanted,
    LogWanted,
    TransferState,
    state_of,
)
from gateway.errors import (
    CallFailed,
    CallRefused,
    CallTimedOut,
    NotConnected,
    RequestError,
    StoreError,
)
from gateway.ocpp import transfers as wire
from gateway.ocpp.adapter import Adapter, Command
from gateway.services.station_calls import Exchange
from gateway.services.uploads import upload_digest
from gateway.services.x509 import CertificateError, is_within, parse_chain
from gateway.store import transfers as rows
from gateway.store.queries import Queries
from gateway.store.times import to_text
from gateway.store.writer import Writer

View: TypeAlias = dict[str, Any]
Call: TypeAlias = Callable[[StationId, Command, float], Awaitable[Mapping[str, object]]]

UNKNOWN_ACTION: Final = frozenset({"NotImplemented", "NotSupported"})
"""Errors after which the older way to ask is tried."""
LIMIT: Final = 200
MAX_UNCLAIMED: Final = 4
"""Words of one station about no transfer that is known, the latest."""
MAX_UNCLAIMED_STATIONS: Final = 1_000

_log = structlog.get_logger()


class Transfers:
    """Loop thread only; run it as a task.

    Args:
        call: Sends a CALL and has its answer observed.
        adapter_of: The dialect of a connected station.
        wall_clock: The time that certificates count in.
    """

    def __init__(
        self,
        *,
        writer: Writer,
        queries: Queries,
        bus: Bus,
        clock: Clock,
        wall_clock: Clock,
        call: Call,
        adapter_of: Callable[[StationId], Adapter | None],
        call_timeout_s: float,
    ) -> None:
        self._writer = writer
        self._queries = queries
        self._bus = bus
        self._clock = clock
        self._wall_clock = wall_clock
        self._call = call
        self._adapter_of = adapter_of
        self._call_timeout_s = call_timeout_s
        self._last_number = 0
        self._unclaimed: OrderedDict[StationId, deque[StationNotified]] = OrderedDict()

    def check_firmware(self, station_id: StationId, wanted: FirmwareWanted) -> None:
        """Whether an update can be asked for at all (L01.FR.11).

        Raises:
            RequestError: 409 not connected; 422 the certificate cannot be used.
        """
        self._check_signing(wanted)
        self._connected(station_id)

    async def update_firmware(
        self, station_id: StationId, wanted: FirmwareWanted
    ) -> View:
        """Ask for an update; see `check_firmware`.

        Raises:
            RequestError: 409 not connected; 422 the certificate cannot be used.
        """
        self.check_firmware(station_id, wanted)
        adapter = self._connected(station_id)
        number = await self._next_number()
        return await self._ask(station_id, adapter.encode_firmware(wanted, number))

    async def get_log(self, station_id: StationId, wanted: LogWanted) -> View:
        """Ask for a log.

        Raises:
            RequestError: 409 not connected.
        """
        adapter = self._connected(station_id)
        number = await self._next_number()
        return await self._ask(station_id, *adapter.encode_log(wanted, number))

    async def _next_number(self) -> int:
        """A request id that nothing has had, also not what is being asked just now."""
        stored = await self._writer.run(rows.next_request_id)
        self._last_number = max(stored, self._last_number + 1)
        return self._last_number

    async def transfers(self, station_id: StationId) -> list[View]:
        """What a station was asked to transfer, newest first."""
        found = await self._queries.rows(
            f"{rows.TransferRow.SELECT} WHERE t.station_id = ?"
            " ORDER BY t.transfer_id DESC LIMIT ?",
            (station_id, LIMIT),
        )
        return [_view(rows.TransferRow(*row)) for row in found]

    async def exchanged(self, exchange: Exchange) -> None:
        """Keep what a call asked for; see `StationCalls.observe`."""
        asked = wire.asked(exchange.command)
        if asked is None:
            return
        word = wire.answered(asked, exchange.answer)
        state = TransferState.RUNNING
        if word in wire.REFUSED or word == "NothingThere":
            state = TransferState.FAILED
        replaces = word == "AcceptedCanceled"
        secret = wire.upload_secret(exchange.command)

        def job(conn: sqlite3.Connection) -> None:
            if replaces:
                rows.cancel_running(
                    conn, exchange.station_id, asked.kind, exchange.answered_at
                )
            rows.insert(
                conn,
                exchange.station_id,
                asked,
                word=word,
                state=state,
                file_name=wire.file_name(exchange.answer),
                asked_at=exchange.asked_at,
                now=exchange.answered_at,
                upload_sha256=None if secret is None else upload_digest(secret),
            )

        await self._writer.run(job)
        # What came together with the answer was nobody's until now.
        for event in self._unclaimed.pop(exchange.station_id, ()):
            if event.received_at >= exchange.asked_at:
                await self._told(event)

    async def run(self) -> None:
        """Follow what stations say, for ever; what went unheard is read again."""
        with self._bus.subscribe(
            "transfers", wants=_is_told, of=(StationNotified,)
        ) as subscription:
            await self._catch_up()
            async for notice in subscription:
                match notice:
                    case FactCommitted(event=StationNotified() as event):
                        await self._told(event)
                    case Lagged():
                        await self._catch_up()
                    case _:
                        pass

    async def _catch_up(self) -> None:
        """Take from the store what stations said about transfers that run."""
        try:
            running = await self._queries.rows(
                f"{rows.TransferRow.SELECT} WHERE t.state = 'running'"
                " ORDER BY t.transfer_id"
            )
            found = [rows.TransferRow(*row) for row in running]
            # A word without a request id means the latest of its kind.
            latest = {(one.station_id, one.kind): one.transfer_id for one in found}
            for one in found:
                is_latest = latest[one.station_id, one.kind] == one.transfer_id
                if one.request_id is None and not is_latest:
                    continue
                for event in await self._unheard(one):
                    await self._told(event)
        except StoreError as error:
            _log.warning("transfers.not_read", why=str(error))

    async def _unheard(self, row: rows.TransferRow) -> list[StationNotified]:
        """Words about a transfer that it does not have, the oldest first."""
        heard = {(at, word) for at, word in json.loads(row.words)}
        found = [
            notice
            for topic, kind in wire.NOTICES.items()
            if kind.value == row.kind
            for notice in await self._queries.notifications(row.station_id, topic)
            if (at := to_text(notice.received_at)) >= row.asked_at
            and (at, str(notice.body.get("status"))) not in heard
            and notice.body.get("requestId") in {None, row.request_id}
        ]
        found.sort(key=lambda notice: notice.notification_id)
        return [
            StationNotified(
                station_id=StationId(notice.station_id),
                occurred_at=notice.occurred_at,
                received_at=notice.received_at,
                topic=notice.topic,
                body=notice.body,
            )
            for notice in found
        ]

    async def _told(self, event: StationNotified) -> None:
        word = str(event.body.get("status"))
        state = state_of(word)
        if state is None:
            return
        number = event.body.get("requestId")
        request_id = wire.request_number(number)
        if number is not None and request_id is None:
            return  # nobody ever asked for it

        def job(conn: sqlite3.Connection) -> int | None:
            return rows.told(
                conn,
                event.station_id,
                wire.NOTICES[event.topic],
                request_id=request_id,
                word=word,
                state=state,
                at=event.received_at,
            )

        try:
            if await self._writer.run(job) is None:
                self._keep_unclaimed(event)
        except StoreError as error:
            _log.warning(
                "transfer.not_followed", station_id=event.station_id, why=str(error)
            )
        if state is TransferState.FAILED:
            _log.warning(
                "transfer.failed",
                station_id=event.station_id,
                topic=event.topic,
                word=word,
            )

    def _keep_unclaimed(self, event: StationNotified) -> None:
        """Keep a word about no transfer that is known; one may be answered just now."""
        kept = self._unclaimed.setdefault(event.station_id, deque(maxlen=MAX_UNCLAIMED))
        kept.append(event)
        self._unclaimed.move_to_end(event.station_id)
        while len(self._unclaimed) > MAX_UNCLAIMED_STATIONS:
            self._unclaimed.popitem(last=False)

    async def _ask(self, station_id: StationId, *commands: Command) -> View:
        """Send the first command that the station knows; what became of it."""
        view: View = {"outcome": "error", "status": None, "command": None}
        for command in commands:
            view["command"] = command.action
            try:
                await self._call(station_id, command, self._call_timeout_s)
            except CallTimedOut:
                return view | {"outcome": "timeout"}
            except NotConnected:
                return view | {"outcome": "disconnected"}
            except CallRefused as error:
                view |= {"status": error.code, "description": error.description}
                if error.code in UNKNOWN_ACTION:
                    continue
                return view
            except CallFailed as error:
                return view | {"status": "CallFailed", "description": str(error)}
            latest = (await self.transfers(station_id))[0]
            return {
                "outcome": "result",
                "command": command.action,
                "status": latest["word"],
                "transfer": latest,
            }
        return view

    def _connected(self, station_id: StationId) -> Adapter:
        adapter = self._adapter_of(station_id)
        if adapter is None:
            raise RequestError(409, "not_connected", f"{station_id} is not connected")
        return adapter

    def _check_signing(self, wanted: FirmwareWanted) -> None:
        if (wanted.signing_certificate is None) != (wanted.signature is None):
            raise RequestError(
                422, "bad_signature", "signing_certificate and signature go together"
            )
        if wanted.signing_certificate is None:
            return
        try:
            leaf = parse_chain(wanted.signing_certificate)[0]
        except CertificateError as error:
            raise RequestError(
                422, "bad_certificate", f"signing_certificate: {error}"
            ) from error
        if not is_within(leaf, self._wall_clock.now()):
            raise RequestError(
                422, "bad_certificate", "signing_certificate: is not valid now"
            )


def _view(row: rows.TransferRow) -> View:
    return {
        "transfer_id": row.transfer_id,
        "kind": row.kind,
        "request_id": row.request_id,
        "location": row.location,
        "state": row.state,
        "word": row.word,
        "words": [{"at": at, "word": word} for at, word in json.loads(row.words)],
        "file_name": row.file_name,
        "file_id": row.file_id,
        "n_bytes": row.n_bytes,
        "asked_at": row.asked_at,
        "changed_at": row.changed_at,
    }


def _is_told(notice: Notice) -> bool:
    return (
        isinstance(notice, FactCommitted)
        and isinstance(notice.event, StationNotified)
        and notice.event.topic in wire.NOTICES
    )
