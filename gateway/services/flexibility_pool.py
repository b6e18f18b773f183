"""Shares the pool of a day among the stays that ended in it, once, some hours after."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from gateway.clock import Clock
from gateway.domain.ids import SessionId
from gateway.domain.session import Session
from gateway.errors import StoreError
from gateway.services.flexibility import of_stay, reliability_of
from gateway.services.flexibility_credit import settle_shares, settle_without
from gateway.store import flexibility as rows
from gateway.store.flexibility import StayRow
from gateway.store.queries import Queries
from gateway.store.writer import Writer
from optimizer.flexibility import Claim, shares

CLOSES_AFTER: Final = timedelta(hours=3)
"""Site time after the end of a day: what ended in it should be settled by then."""
ONE_STAY: Final = timedelta(hours=1)
"""Sessions of a driver that are no farther apart are one stay."""
LOOK_BACK: Final = timedelta(days=7)
"""Sessions that settled late belong to the next day that is shared, up to this age."""
EVERY: Final = timedelta(hours=1)

_log = structlog.get_logger()


class FlexibilityPool:
    """Run it as a task. Loop thread only.

    Args:
        queries: Where stays are computed, beside the writer.
        writer: Keeps the shares.
        clock: Site clock.
        timezone: IANA name: where a day begins.
        pool_milliwh: What is shared each day; 0: nothing, and nothing is kept.
    """

    def __init__(
        self,
        *,
        queries: Queries,
        writer: Writer,
        clock: Clock,
        timezone: str,
        pool_milliwh: int,
    ) -> None:
        self._queries = queries
        self._writer = writer
        self._clock = clock
        self._zone = ZoneInfo(timezone)
        self._pool_milliwh = pool_milliwh

    async def run(self) -> None:
        """Share each day that is over, for ever; without a pool nobody waits for it."""
        while True:
            try:
                if self._pool_milliwh:
                    await self.share_due()
                else:
                    work = partial(settle_without, before=self._clock.now())
                    await self._writer.run(work)
            except StoreError as error:
                _log.warning("flexibility.delayed", why=str(error))
            await asyncio.sleep(self._clock.real_s(EVERY.total_seconds()))

    async def share_due(self) -> list[date]:
        """Share the days that are over and not shared yet; returns them.

        Raises:
            StoreError: The store cannot be read or written now.
        """
        now = self._clock.now()
        newest = (now - CLOSES_AFTER).astimezone(self._zone).date() - timedelta(days=1)
        last = await asyncio.to_thread(self._queries.read_now, rows.last_day)
        day = newest if last is None else last + timedelta(days=1)
        shared: list[date] = []
        while day <= newest:
            await self._share(day, now)
            shared.append(day)
            day += timedelta(days=1)
        return shared

    async def _share(self, day: date, now: datetime) -> None:
        end = self._begin(day + timedelta(days=1))
        work = partial(stays_until, begin=self._begin(day) - LOOK_BACK, end=end)
        found = await asyncio.to_thread(self._queries.read_now, work)
        credited = shares(self._pool_milliwh, [claim for _, claim in found])
        stays = [
            (
                StayRow(
                    stay_id=stay[-1],
                    day=day,
                    shifted_milliwh=claim.shifted_milliwh,
                    value_micro=claim.value_micro,
                    reliability_permille=claim.reliability_permille,
                    credited_milliwh=part,
                ),
                stay,
            )
            for (stay, claim), part in zip(found, credited, strict=True)
        ]
        since = self._begin(day) - LOOK_BACK

        def job(conn: sqlite3.Connection) -> int:
            rows.close_day(
                conn, day, pool_milliwh=self._pool_milliwh, stays=stays, now=now
            )
            return settle_shares(conn, stays, since=since)

        on_chain = await self._writer.run(job)
        _log.info(
            "flexibility.shared",
            day=day.isoformat(),
            stays=len(stays),
            credited_milliwh=sum(credited),
            to_addresses_milliwh=on_chain,
        )

    def _begin(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).astimezone(UTC)


def stays_until(
    conn: sqlite3.Connection, *, begin: datetime, end: datetime
) -> list[tuple[tuple[SessionId, ...], Claim]]:
    """The stays that are over by then and not shared yet, and what they gave."""
    found: list[tuple[tuple[SessionId, ...], Claim]] = []
    for stay in _stays(rows.not_shared(conn, begin, end)):
        if rows.is_followed(conn, stay[-1], ONE_STAY, end):
            continue  # it goes on: it is shared when it is over
        gave = of_stay(conn, stay)
        claim = Claim(
            shifted_milliwh=gave.shifted_milliwh,
            value_micro=gave.value_micro,
            reliability_permille=reliability_of(conn, stay[0]),
        )
        found.append((tuple(one.session_id for one in stay), claim))
    return found


def _stays(sessions: Sequence[Session]) -> Iterator[list[Session]]:
    """Sessions by driver and start, cut where more than an hour lies between them.

    Those that overlap are different cars (a card of a fleet), and stays of their own.
    """
    for _, of_driver in groupby(sessions, key=_driver):
        stay: list[Session] = []
        for one in of_driver:
            assert one.started_at is not None, "it is settled"
            if stay and not timedelta() <= one.started_at - _end(stay) <= ONE_STAY:
                yield stay
                stay = []
            stay.append(one)
        yield stay


def _end(stay: Sequence[Session]) -> datetime:
    return max(one.ended_at for one in stay if one.ended_at is not None)


def _driver(session: Session) -> str:
    assert session.id_token is not None, "the query asks for it"
    return session.id_token.casefold()
