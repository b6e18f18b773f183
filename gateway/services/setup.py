"""What a managed station gets right after an accepted boot: sampling, and questions.

Settings that differ are written, once, and read back. A station is asked for all it has
(its configuration in 1.6, a base report in 2.0.1) once per firmware, where its model
allows it; single settings are read only where that has worked with this firmware.

A set-up belongs to the connection that it began on: once that is lost nothing more of
it is sent. The next boot begins another; a station that comes back without one is set
up anew when it has shown that none will follow (`Unfinished`).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog

from gateway.clock import Clock
from gateway.config import Regime
from gateway.domain.ids import StationId
from gateway.errors import (
    CallFailed,
    NotConnected,
    RequestError,
    StoreError,
)
from gateway.ocpp.adapter import Adapter, Command
from gateway.ocpp.quirks import quirks_of
from gateway.ocpp.rpc import CallPriority
from gateway.services.configuration import Configuration, written_by
from gateway.services.line import Line
from gateway.services.message_attempts import MessageAttempts
from gateway.services.ping_interval import PingInterval
from gateway.services.reports import Reports
from gateway.services.signed_setup import SignedSetup
from gateway.services.station_port import Stations
from gateway.services.stations import StationDirectory
from gateway.services.unfinished import SETTLE_S, Unfinished
from gateway.services.variables import Exchange
from gateway.store.device_model import (
    ALL_KEYS,
    MODEL_ROW,
    ModelRow,
    ModelState,
    model_row,
    note_model,
    note_probe,
    note_restart,
    put_keys,
)
from gateway.store.queries import Queries
from gateway.store.times import optional_time
from gateway.store.writer import Writer

MAX_AT_ONCE: Final = 200
"""Stations that are set up at the same time; a storm of boots waits in line."""
MAX_ATTEMPTS: Final = 2
"""Questions for a model that no complete answer came to, per firmware."""

BLAMED: Final = timedelta(minutes=1)
"""A restart this soon after a question may be its fault (site time)."""
MAX_RESTARTS: Final = 1
"""So many of them in a row, and a station is not read unasked any more."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupParts:
    """What setting up uses."""

    stations: Stations
    directory: StationDirectory
    queries: Queries
    writer: Writer
    clock: Clock
    configuration: Configuration
    reports: Reports


@dataclass(slots=True)
class _Turn:
    """One set-up: the only connection it may use, and whether that was lost."""

    epoch: int
    is_cut_short: bool = False


class StationSetup:
    """Sends the configuration after boots; run it as a task."""

    def __init__(
        self,
        parts: SetupParts,
        *,
        sample_interval_s: int,
        ping_interval_s: int | None = None,
        regime: Regime = Regime.STANDARD,
        call_timeout_s: float,
        blamed: timedelta = BLAMED,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._parts = parts
        self._sample_interval_s = sample_interval_s
        self._ping = PingInterval(queries=parts.queries, interval_s=ping_interval_s)
        self._attempts = MessageAttempts(parts.queries)
        self._signing = SignedSetup(parts.queries, regime)
        self._call_timeout_s = call_timeout_s
        self._blamed = blamed
        self._line = Line(self._set_up, name="setup", at_once=MAX_AT_ONCE)
        self._epochs: dict[StationId, int | None] = {}
        self._unfinished = Unfinished(
            epoch_of=self._accepted_epoch,
            begin=self._begin,
            name="setup",
            settle_s=settle_s,
        )

    def booted(self, station_id: StationId) -> None:
        """A boot was accepted."""
        self._unfinished.booted(station_id)
        self._begin(station_id, self._parts.stations.epoch_of(station_id))

    async def run(self) -> None:
        """Set up stations as they boot, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._unfinished.run(), name="setup.unfinished")
            await self._line.run()

    def _begin(self, station_id: StationId, epoch: int | None) -> None:
        entry = self._parts.directory.find(station_id)
        if entry is not None and entry.managed:
            self._epochs[station_id] = epoch
            self._line.put(station_id)

    def _accepted_epoch(self, station_id: StationId) -> int | None:
        stations = self._parts.stations
        is_accepted = stations.is_online(station_id)
        return stations.epoch_of(station_id) if is_accepted else None

    async def _set_up(self, station_id: StationId) -> None:
        """Set a station up on the connection that it was to be set up on."""
        stations = self._parts.stations
        epoch, adapter = self._epochs.pop(station_id), stations.adapter(station_id)
        if adapter is None or epoch is None or epoch != stations.epoch_of(station_id):
            self._unfinished.cut_short(station_id)
            return
        self._unfinished.begun(station_id)
        turn = _Turn(epoch)
        await self._try(station_id, adapter, turn)
        if turn.is_cut_short:
            self._unfinished.cut_short(station_id)

    async def _try(self, station_id: StationId, adapter: Adapter, turn: _Turn) -> None:
        exchange = Exchange(
            station_id=station_id,
            adapter=adapter,
            call=partial(self._call, turn),
            guard=_unguarded,
            timeout_s=self._call_timeout_s,
        )
        try:
            await self._configure(exchange)
        except NotConnected:
            return
        except (RequestError, StoreError) as error:
            _log.warning("setup.failed", station_id=station_id, why=str(error))
        except Exception:  # noqa: BLE001 - the outer edge of one station: it may answer anything
            _log.exception("setup.failed", station_id=station_id)

    async def _configure(self, exchange: Exchange) -> None:
        station_id, adapter = exchange.station_id, exchange.adapter
        row = await self._parts.queries.station(station_id)
        if row is None:
            return
        model = await self._model(station_id)
        if model is not None and (model.firmware, model.serial) != (
            row.firmware,
            row.serial,
        ):
            model = None
        is_due = model is None or (
            model.state == "asked" and model.attempts < MAX_ATTEMPTS
        )
        quirks = quirks_of(row.vendor or "", row.model or "")
        known: Mapping[tuple[str, ...], str | None] | None = None
        if is_due and not adapter.base_reports and quirks.may_read_configuration:
            known = await self._read_keys(exchange)
        may_read = quirks.may_read_measurands and (
            known is not None or await self._bears_reading(station_id, model)
        )
        commands = adapter.encode_setup(sample_interval_s=self._sample_interval_s)
        ping = await self._ping.command(station_id, adapter)
        more = () if ping is None else (ping,)
        patience = await self._attempts.commands(station_id, adapter)
        signed = await self._signing.commands(station_id, adapter)
        wanted = written_by((*commands, *more, *patience, *signed))
        results = await self._parts.configuration.apply(
            exchange, wanted, may_read=may_read, known=known, one_by_one=True
        )
        self._tell(station_id, results)
        if is_due and adapter.base_reports:
            await self._ask_report(exchange, adapter)

    async def _bears_reading(
        self, station_id: StationId, model: ModelRow | None
    ) -> bool:
        """Whether reading worked before, and was not what the station restarts over."""
        if model is None or model.state != "complete":
            return False
        now = self._parts.clock.now()
        probed_at = optional_time(model.probed_at)
        after_probe = probed_at is not None and now - probed_at < self._blamed
        may_read = await self._parts.writer.run(
            lambda conn: note_restart(
                conn, station_id, after_probe=after_probe, most=MAX_RESTARTS
            )
        )
        if may_read:
            await self._parts.writer.run(lambda conn: note_probe(conn, station_id, now))
        return may_read

    async def _read_keys(
        self, exchange: Exchange
    ) -> Mapping[tuple[str, ...], str | None] | None:
        """All keys of the station, or ``None``: do not ask it with this firmware.

        A station that is gone over the question is not asked again.
        """
        station_id = exchange.station_id
        await self._note(station_id, ALL_KEYS, "unsupported")
        try:
            return await self._parts.configuration.read_all(exchange)
        except NotConnected:
            raise
        except CallFailed as error:
            _log.info("configuration.unread", station_id=station_id, why=str(error))
            return None

    async def _ask_report(self, exchange: Exchange, adapter: Adapter) -> None:
        """Ask for the largest report that the station gives."""
        station_id = exchange.station_id
        for base in adapter.base_reports:
            await self._note(station_id, base, "asked")
            sent = await self._parts.reports.send(
                exchange, "GetBaseReport", {"reportBase": base}
            )
            if sent.is_accepted or sent.outcome in {"timeout", "disconnected"}:
                return
        _log.info("report.unsupported", station_id=station_id)
        await self._note(station_id, adapter.base_reports[-1], "unsupported")

    async def _model(self, station_id: StationId) -> ModelRow | None:
        rows = await self._parts.queries.rows(MODEL_ROW, (station_id,))
        return model_row(rows[0]) if rows else None

    async def _note(self, station_id: StationId, base: str, state: ModelState) -> None:
        now = self._parts.clock.now()
        await self._parts.writer.run(
            lambda conn: note_model(
                conn,
                station_id,
                base=base,
                request_id=None,
                state=state,
                now=now,
            )
        )

    async def _call(
        self, turn: _Turn, station_id: StationId, command: Command, timeout_s: float
    ) -> Mapping[str, object]:
        try:
            answer = await self._parts.stations.call(
                station_id,
                command,
                timeout_s=timeout_s,
                priority=CallPriority.CONFIG,
                epoch=turn.epoch,
            )
        except NotConnected:
            turn.is_cut_short = True
            raise
        if command.action == ALL_KEYS:
            now = self._parts.clock.now()
            is_whole = not command.payload.get("key")
            await self._parts.writer.run(
                lambda conn: put_keys(conn, station_id, answer, now, is_whole=is_whole)
            )
        return answer

    def _tell(self, station_id: StationId, results: list[dict[str, Any]]) -> None:
        refused = [
            f"{one.get('key') or one['variable']['name']}: {one['result']}"
            for one in results
            if one["result"] not in {"unchanged", "verified", "not_verified"}
        ]
        if refused:
            _log.info("setup.incomplete", station_id=station_id, refused=refused)


async def _unguarded(_action: str, _payload: Mapping[str, object]) -> None:
    """Sampling moves no current."""
