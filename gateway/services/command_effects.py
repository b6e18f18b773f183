"""Watches for what accepted commands should bring about; facts decide, or time does."""

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

import structlog

from gateway.bus import Bus, CommandChanged, FactCommitted, Lagged, Notice
from gateway.clock import Clock
from gateway.domain.command import (
    Change,
    CommandState,
    EffectDue,
    EffectMissing,
    EffectSeen,
)
from gateway.domain.effects import (
    AtOnce,
    EndsSession,
    HoldsLimit,
    OverLimit,
    SendsReport,
    ShowsAvailability,
    StartsSession,
    sighting,
)
from gateway.domain.events import (
    Availability,
    DeviceReported,
    EvseStatusChanged,
    SessionEnded,
    SessionStarted,
    StationNotified,
)
from gateway.domain.ids import StationId
from gateway.domain.session import Session, SessionPhase
from gateway.services.command_log import CommandLog
from gateway.store.commands import CommandRow
from gateway.store.queries import Queries
from gateway.store.reports import REPORT_STATE, State
from gateway.store.times import to_text

MAX_SLEEP_S: Final = 600.0
"""Real seconds; a far deadline is looked at again."""
CLOCK_SLACK: Final = timedelta(seconds=60)
"""How far a station's clock may be behind ours."""

IN_STORE: Final = ShowsAvailability | SendsReport
"""Effects that may have been there before they were waited for."""
WHOLE: Final = frozenset({State.COMPLETE.value, State.READ.value})

_log = structlog.get_logger()


class CommandEffects:
    """Moves commands on to ``effected`` or ``no_effect``. Loop thread only.

    Args:
        log: Where steps are written; it tells of each.
        queries: For what is true already when a command is accepted.
        bus: Where committed facts come from.
        evse_ids: EVSEs that a station is registered with; all of it is all of these.
        clock: Site time.
    """

    def __init__(
        self,
        *,
        log: CommandLog,
        queries: Queries,
        bus: Bus,
        evse_ids: Callable[[StationId], Collection[int]],
        clock: Clock,
    ) -> None:
        self._commands = log
        self._evse_ids = evse_ids
        self._queries = queries
        self._bus = bus
        self._clock = clock
        self._open: dict[StationId, dict[int, CommandRow]] = {}
        self._over: dict[int, str] = {}
        self._to_check: dict[int, CommandRow] = {}
        log.watch(self.follow)

    def follow(self, row: CommandRow) -> None:
        """Take note of a command's step."""
        rows = self._open.setdefault(row.station_id, {})
        if _is_awaited(row):
            rows[row.command_id] = row
            is_accepted = row.progress.state is CommandState.ACCEPTED
            if is_accepted and isinstance(row.expects, IN_STORE):
                self._to_check[row.command_id] = row
        else:
            rows.pop(row.command_id, None)
            self._over.pop(row.command_id, None)
            if not rows:
                del self._open[row.station_id]

    async def run(self) -> None:
        """Follow the facts, for ever."""
        with self._bus.subscribe(
            "commands.effects",
            limit=100_000,
            wants=self._wants,
            of=(FactCommitted, CommandChanged),
        ) as subscription:
            self._check_all()
            while True:
                await self._check()
                await self._expire()
                try:
                    async with asyncio.timeout(self._sleep_s()):
                        notices = await subscription.batch()
                except TimeoutError:
                    continue
                for notice in notices:
                    await self._take(notice)

    def _wants(self, notice: Notice) -> bool:
        """Facts of stations that owe an effect; commands, since they set deadlines."""
        if isinstance(notice, FactCommitted):
            return bool(self._open) and _station_of(notice) in self._open
        return isinstance(notice, CommandChanged)

    async def _take(self, notice: Notice | Lagged) -> None:
        if isinstance(notice, Lagged):
            _log.warning("commands.lagged", dropped=notice.dropped)
            self._check_all()
            return
        if not isinstance(notice, FactCommitted) or notice.is_backlog:
            return
        rows = self._open.get(_station_of(notice))
        has_started = False
        for row in tuple(rows.values()) if rows else ():
            is_start = isinstance(row.expects, StartsSession)
            if is_start and has_started:
                continue  # one session is the effect of one start, the oldest
            has_started |= await self._compare(row, notice) and is_start

    async def _compare(self, row: CommandRow, fact: FactCommitted) -> bool:
        """Take one step if the fact shows one; whether it did."""
        expected, sent_at = row.expects, row.progress.sent_at
        event = fact.event
        if expected is None or sent_at is None or event.received_at < sent_at:
            return False
        if row.progress.effect_by is None:
            await self._may_be_due(row, fact)
            return False
        if not fact.is_new and isinstance(expected, StartsSession | HoldsLimit):
            return False
        if isinstance(expected, SendsReport):
            if isinstance(event, DeviceReported | StationNotified):
                self._to_check[row.command_id] = row
            return False
        if isinstance(expected, ShowsAvailability) and expected.evse_id == 0:
            if isinstance(event, EvseStatusChanged):
                self._to_check[row.command_id] = row
            return False
        match sighting(expected, event, fact.session):
            case None:
                return False
            case OverLimit() as over:
                self._over[row.command_id] = over.shown
                return False
            case seen:
                return await self._move(row, seen)

    async def _may_be_due(self, row: CommandRow, fact: FactCommitted) -> None:
        """What was scheduled for after the session: is it over, or is it done?"""
        expected = row.expects
        assert expected is not None, "checked by the caller"
        if isinstance(expected, ShowsAvailability):
            if isinstance(fact.event, EvseStatusChanged):
                self._to_check[row.command_id] = row
        else:
            seen = sighting(expected, fact.event, fact.session)
            if isinstance(seen, EffectSeen):
                await self._move(row, seen)
                return
        within = self._commands.within(expected)
        if isinstance(fact.event, SessionEnded) and within is not None:
            await self._move(row, EffectDue(effect_by=self._clock.now() + within))

    def _check_all(self) -> None:
        """Facts may have been missed: ask the store what is true."""
        for rows in self._open.values():
            self._to_check.update(rows)

    async def _check(self) -> None:
        """Compare commands with what the store knows already."""
        while self._to_check:
            _, row = self._to_check.popitem()
            detail = await self._found(row)
            if detail is not None:
                seen = EffectSeen(at=self._clock.now(), detail=detail)
                await self._move(row, seen)

    async def _move(self, row: CommandRow, change: Change) -> bool:
        """Take a step; what does not fit is not waited for any more."""
        if await self._commands.move(row.command_id, change) is not None:
            return True
        rows = self._open.get(row.station_id, {})
        if rows.get(row.command_id) is row:
            del rows[row.command_id]
        return False

    async def _found(self, row: CommandRow) -> str | None:
        match row.expects:
            case ShowsAvailability() as expected:
                return await self._availability(row, expected)
            case StartsSession() as expected:
                session = await self._session_since(row, expected)
                return None if session is None else session.session_id
            case EndsSession() as expected:
                found = await self._queries.session_by_wire_id(
                    row.station_id, expected.transaction_id
                )
                is_over = found is not None and found.phase is SessionPhase.ENDED
                return "the session is over" if is_over else None
            case SendsReport() as expected:
                return await self._report(row.station_id, expected)
            case _:
                return None

    async def _report(self, station_id: StationId, expected: SendsReport) -> str | None:
        """Whether it is whole, in words."""
        state = await self._queries.rows(
            REPORT_STATE, (station_id, expected.about, expected.request_id)
        )
        return "the report is complete" if state and state[0][0] in WHOLE else None

    async def _availability(
        self, row: CommandRow, expected: ShowsAvailability
    ) -> str | None:
        """The latest states, if all that are asked for show it."""
        if row.progress.state is not CommandState.ACCEPTED:
            return None
        known = await self._queries.evse_statuses(row.station_id)
        asked = [
            one
            for one in known
            if one.evse_id == expected.evse_id
            or (expected.evse_id == 0 and one.evse_id != 0)
        ]
        if expected.evse_id == 0:
            told = {one.evse_id for one in asked}
            if not told.issuperset(self._evse_ids(row.station_id)):
                return None
        words = {one.wire_status for one in asked}
        holds = (expected.holds(Availability(one.availability)) for one in asked)
        return ", ".join(sorted(words)) if asked and all(holds) else None

    async def _session_since(
        self, row: CommandRow, expected: StartsSession
    ) -> Session | None:
        sent_at = row.progress.sent_at
        if sent_at is None:
            return None
        found = await self._queries.rows(
            "SELECT session_id FROM session WHERE station_id = ?1 AND received_at >= ?2"
            " AND started_at >= ?3"
            " AND CASE WHEN ?4 IS NOT NULL AND remote_start_id IS NOT NULL"
            " THEN remote_start_id = ?4"
            " ELSE token_key = ?5 AND (?6 IS NULL OR evse_id = ?6) END LIMIT 1",
            (
                row.station_id,
                to_text(sent_at),
                to_text(sent_at - CLOCK_SLACK),
                expected.remote_start_id,
                expected.token_key,
                expected.evse_id,
            ),
        )
        return await self._queries.session(found[0][0]) if found else None

    async def _expire(self) -> None:
        """What should have shown by now has not."""
        now = self._clock.now()
        due = [
            row
            for rows in self._open.values()
            for row in rows.values()
            if (by := row.progress.effect_by) is not None
            and by <= now
            and row.progress.state is not CommandState.SENT
        ]
        for row in due:
            over = self._over.get(row.command_id)
            is_limit = isinstance(row.expects, HoldsLimit)
            detail = over or ("no meter showed it" if is_limit else "")
            if isinstance(row.expects, SendsReport):
                detail = "its last page did not come"
            await self._move(
                row,
                EffectMissing(
                    at=now,
                    detail=detail,
                    is_proven=over is not None or not is_limit,
                ),
            )

    def _sleep_s(self) -> float:
        moments = [
            by
            for rows in self._open.values()
            for row in rows.values()
            if (by := row.progress.effect_by) is not None
            and row.progress.state is not CommandState.SENT
        ]
        if not moments:
            return MAX_SLEEP_S
        left_s = (min(moments) - self._clock.now()).total_seconds()
        return min(MAX_SLEEP_S, max(0.0, self._clock.real_s(left_s)))


def _is_awaited(row: CommandRow) -> bool:
    if row.expects is None or isinstance(row.expects, AtOnce):
        return False
    progress = row.progress
    if not progress.may_take_effect or progress.reason == "not_observable":
        return False
    is_scheduled = progress.state is CommandState.ACCEPTED
    return progress.effect_by is not None or is_scheduled


def _station_of(fact: FactCommitted) -> StationId:
    match fact.event:
        case EvseStatusChanged() | SessionStarted() as event:
            return event.evse.station_id
        case event:
            return event.station_id
