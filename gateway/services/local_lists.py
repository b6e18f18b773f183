"""Keeps the local authorization lists of stations in step with the tokens.

Nothing is sent to a station whose list is known to be right. What a station holds is
asked after a boot and after anything that left it in doubt; what it does not support is
remembered with its firmware, what it refuses is tried again at most once an hour.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from gateway.bus import Bus, LinkChanged
from gateway.clock import Clock
from gateway.domain.ids import StationId
from gateway.domain.local_list import (
    Held,
    Listed,
    ListState,
    Sync,
    UpdateStatus,
    fitting,
)
from gateway.errors import CallFailed, RequestError, StoreError
from gateway.ocpp.adapter import Adapter
from gateway.services.features import Feature, Features
from gateway.services.line import Line
from gateway.services.list_entries import ListedTokens, listed_tokens
from gateway.services.list_talk import ListTalk, ListUnsupported
from gateway.services.station_calls import Exchange
from gateway.services.station_port import Stations
from gateway.services.token_book import TokenChange
from gateway.store import local_lists as rows
from gateway.store import tokens as token_rows
from gateway.store.local_lists import ListRow
from gateway.store.queries import Queries
from gateway.store.writer import Writer

MAX_AT_ONCE: Final = 20
"""Stations that are brought in step at the same time."""
SETTLE_S: Final = 2.0
"""Real seconds without a further change of tokens before stations are told."""
SETTLE_AT_MOST_S: Final = 30.0
SWEEP_S: Final = 900.0
"""Real seconds between looks at all stations: what was cut short, what has expired."""
RETRY: Final = timedelta(hours=1)
"""Site time before a station that refused its list is sent one again."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPorts:
    """What keeping lists needs from the rest of the system."""

    stations: Stations
    features: Features
    queries: Queries
    writer: Writer
    bus: Bus
    clock: Clock
    call_timeout_s: float


class LocalLists:
    """Synchronises lists; run it as a task. Loop thread only."""

    def __init__(self, ports: ListPorts, *, settle_s: float = SETTLE_S) -> None:
        self._ports = ports
        self._talk = ListTalk(
            stations=ports.stations,
            queries=ports.queries,
            call_timeout_s=ports.call_timeout_s,
        )
        self._settle_s = settle_s
        self._changed = asyncio.Event()
        self._line = Line(self._patiently, name="list", at_once=MAX_AT_ONCE)
        self._doubtful: set[StationId] = set()
        self._locks: dict[StationId, asyncio.Lock] = {}
        self._tokens: dict[str, ListedTokens] = {}
        self._generation = 0

    def tokens_changed(self, _change: TokenChange) -> None:
        """A token changed: stations are told once changes have settled."""
        self._forget_tokens()
        self._changed.set()

    def booted(self, station_id: StationId) -> None:
        """A boot was accepted: its list may be gone, its firmware another."""
        self._talk.forget_room(station_id)
        self._doubtful.add(station_id)
        self._wake(station_id)

    async def run(self) -> None:
        """Keep lists in step, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_links(), name="lists.links")
            tasks.create_task(self._follow_tokens(), name="lists.tokens")
            tasks.create_task(self._sweep(), name="lists.sweep")
            await self._line.run()

    async def sync(self, station_id: StationId) -> None:
        """Bring one station in step now, on an operator's word.

        Whatever it refused before is tried again.

        Raises:
            RequestError: 409 it is not connected, or the connection was lost.
        """
        if self._ports.stations.adapter(station_id) is None:
            raise RequestError(409, "not_connected", f"{station_id} is not connected")
        await self._ports.features.forgive(station_id, Feature.LOCAL_LIST)
        self._talk.forget_room(station_id)
        self._doubtful.add(station_id)
        try:
            await self._sync(station_id, is_asked=True)
        except CallFailed as error:
            raise RequestError(409, "not_synced", str(error)) from error

    async def observe(self, exchange: Exchange) -> None:
        """Take over what an operator's own call made of a list."""
        words = exchange.adapter.lists
        try:
            update = words.sent(exchange.command)
        except ValueError:
            self._doubtful.add(exchange.station_id)
            return
        if update is None:
            return
        if words.status_of(exchange.answer) is not UpdateStatus.ACCEPTED:
            return
        station_id, now = exchange.station_id, exchange.answered_at

        def job(conn: Any) -> None:  # noqa: ANN401 - the writer's connection
            rows.put(
                conn,
                station_id,
                state=ListState.PENDING,
                now=now,
                detail="sent by an operator",
            )
            rows.apply(conn, station_id, update)

        async with self._lock(station_id):
            await self._ports.writer.run(job)

    async def view(self, station_id: StationId) -> dict[str, Any]:
        """A station's list as the API shows it."""
        features = self._ports.features
        row = await self._row(station_id)
        entries = await self._ports.queries.rows(rows.ENTRIES, (station_id,))
        refusal = features.refusal(station_id, Feature.LOCAL_LIST)
        return {
            "station_id": station_id,
            "enabled": features.is_on(station_id, Feature.LOCAL_LIST),
            "switch": features.switch_of(station_id, Feature.LOCAL_LIST),
            "state": (ListState.UNKNOWN if row is None else row.state).value,
            "detail": "" if row is None else row.detail,
            "version": None if row is None else row.version,
            "left_out": 0 if row is None else row.left_out,
            "changed_at": None if row is None else row.changed_at,
            "refused_at": None if refusal is None else refusal.refused_at,
            "entries": [_shown(Listed.from_document(text)) for _, _, text in entries],
        }

    def switched(self, station_id: StationId) -> None:
        """The feature was switched for a station."""
        self._wake(station_id)

    def _wake(self, station_id: StationId) -> None:
        if self._ports.features.is_wanted(station_id, Feature.LOCAL_LIST):
            self._line.put(station_id)

    def _wake_all(self) -> None:
        for station_id in self._ports.features.stations():
            if self._ports.stations.is_online(station_id):
                self._wake(station_id)

    async def _follow_links(self) -> None:
        await self._ports.features.until_in_use(Feature.LOCAL_LIST)
        with self._ports.bus.subscribe("lists", of=(LinkChanged,)) as subscription:
            while True:
                for notice in await subscription.batch():
                    if not isinstance(notice, LinkChanged):
                        continue
                    if notice.is_online:
                        self._wake(notice.station_id)
                    else:
                        self._talk.forget_room(notice.station_id)

    async def _follow_tokens(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._changed.wait()
            latest = loop.time() + SETTLE_AT_MOST_S
            while self._changed.is_set() and loop.time() < latest:
                self._changed.clear()
                await asyncio.sleep(self._settle_s)
            self._changed.clear()
            self._wake_all()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._forget_tokens()
            self._wake_all()

    async def _patiently(self, station_id: StationId) -> None:
        try:
            await self._sync(station_id, is_asked=False)
        except (CallFailed, StoreError) as error:
            _log.info("list.cut_short", station_id=station_id, why=str(error))
        except Exception:  # noqa: BLE001 - the outer edge of one station's list: told
            _log.exception("list.cut_short", station_id=station_id)

    async def _sync(self, station_id: StationId, *, is_asked: bool) -> None:
        async with self._lock(station_id):
            adapter = self._ports.stations.adapter(station_id)
            if adapter is None:
                return
            row = await self._row(station_id)
            is_online = self._ports.stations.is_online(station_id)
            if not is_asked and (not is_online or self._must_wait(station_id, row)):
                return
            held = None if row is None else await self._held(station_id, row)
            last_version = 0 if row is None else row.last_version
            wanted = (await self._listed(adapter)).at(station_id)
            is_doubtful = (
                station_id in self._doubtful
                or row is None
                or row.state is not ListState.SYNCED
            )
            if not is_doubtful and held is not None:
                most = self._talk.max_entries(station_id)
                if held.entries == fitting(wanted, most)[0]:
                    return
            try:
                if is_doubtful:
                    version = await self._talk.version(station_id, adapter)
                    last_version = max(last_version, version)
                    if held is not None and held.version != version:
                        held = None
                        await self._ports.writer.run(
                            lambda conn: rows.forget(conn, station_id)
                        )
                room = await self._talk.room(station_id, adapter)
                documents, left_out = fitting(wanted, room.max_entries)
                round_ = Sync(
                    held=held,
                    wanted=documents,
                    room=room,
                    last_version=last_version,
                    size=adapter.lists.size,
                )
                if held is not None and held.entries == documents:
                    round_.next()
                else:
                    await self._say(station_id, ListState.PENDING)
                    await self._carry_out(station_id, adapter, round_)
            except ListUnsupported as error:
                await self._unsupported(station_id, str(error))
                return
            self._doubtful.discard(station_id)
            await self._say(station_id, round_.state, round_.detail, left_out)
            if round_.state is ListState.UNSUPPORTED:
                await self._unsupported(station_id, round_.detail)
            _log.info(
                "list.synced",
                station_id=station_id,
                state=round_.state.value,
                n_entry=len(documents),
                left_out=left_out,
            )

    async def _carry_out(
        self, station_id: StationId, adapter: Adapter, round_: Sync
    ) -> None:
        """Send until the round is over, keeping what was accepted."""
        while (update := round_.next()) is not None:
            status = await self._talk.send(station_id, adapter, update)
            round_.answered(update, status)
            if status is UpdateStatus.ACCEPTED:
                accepted = update
                await self._ports.writer.run(
                    lambda conn, accepted=accepted: rows.apply(  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                        conn, station_id, accepted
                    )
                )
            else:
                await self._ports.writer.run(lambda conn: rows.forget(conn, station_id))
            if round_.needs_version:
                round_.station_has(await self._talk.version(station_id, adapter))

    def _forget_tokens(self) -> None:
        self._tokens.clear()
        self._generation += 1

    async def _listed(self, adapter: Adapter) -> ListedTokens:
        known = self._tokens.get(adapter.version)
        if known is None:
            now, generation = self._ports.clock.now(), self._generation

            def work() -> ListedTokens:
                known_tokens = self._ports.queries.read_now(token_rows.all_tokens)
                return listed_tokens(known_tokens, adapter.lists, now)

            known = await asyncio.to_thread(work)
            if generation == self._generation:
                self._tokens[adapter.version] = known
        return known

    async def _row(self, station_id: StationId) -> ListRow | None:
        found = await self._ports.queries.rows(rows.ROW, (station_id,))
        return rows.of_row(found[0]) if found else None

    async def _held(self, station_id: StationId, row: ListRow) -> Held | None:
        if row.version is None:
            return None
        found = await self._ports.queries.rows(rows.ENTRIES, (station_id,))
        return Held(
            version=row.version,
            entries={(key, kind): text for key, kind, text in found},
        )

    def _must_wait(self, station_id: StationId, row: ListRow | None) -> bool:
        """Not wanted after all, not accepted yet, or refused a short while ago."""
        if not (
            self._ports.features.is_wanted(station_id, Feature.LOCAL_LIST)
            and self._ports.stations.is_online(station_id)
        ):
            return True
        return (
            row is not None
            and row.state is ListState.FAILED
            and station_id not in self._doubtful
            and self._ports.clock.now() - row.changed_at < RETRY
        )

    async def _unsupported(self, station_id: StationId, why: str) -> None:
        self._doubtful.discard(station_id)
        await self._say(station_id, ListState.UNSUPPORTED, why)
        await self._ports.features.refused(station_id, Feature.LOCAL_LIST, why)
        _log.info("list.unsupported", station_id=station_id, why=why)

    async def _say(
        self,
        station_id: StationId,
        state: ListState,
        detail: str = "",
        left_out: int = 0,
    ) -> None:
        now: datetime = self._ports.clock.now()
        await self._ports.writer.run(
            lambda conn: rows.put(
                conn,
                station_id,
                state=state,
                now=now,
                detail=detail,
                left_out=left_out,
            )
        )

    def _lock(self, station_id: StationId) -> asyncio.Lock:
        return self._locks.setdefault(station_id, asyncio.Lock())


def _shown(entry: Listed) -> dict[str, Any]:
    return {
        "token": entry.value,
        "type": entry.kind or None,
        "status": entry.status,
        "expires_at": entry.expires_at,
        "group": entry.group,
        "evse_ids": list(entry.evse_ids) or None,
    }
