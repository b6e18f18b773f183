"""What a group keeps: every write of its runner, and what to do when one fails."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import structlog

from gateway.domain.capability import Learnt
from gateway.domain.car_facts import NOTHING_KNOWN, CarFacts
from gateway.domain.ids import CabinetId, EvseRef, SessionId, StationId
from gateway.domain.phase_use import NOTHING_SEEN
from gateway.domain.session import Session, SessionPhase
from gateway.errors import StoreError
from gateway.services import group_store, limit_leaves
from gateway.services.dispatch_ports import Ports
from gateway.services.evse_state import Outgoing, Trust
from gateway.services.group_items import LimitAnswered
from gateway.services.limit_verdict import Judged
from gateway.store import capability, car_facts, car_phases
from gateway.store import limits as rows
from gateway.store.car_phases import Against
from gateway.store.jobs import Job

T = TypeVar("T")

NOTHING_AGAINST: Final = NOTHING_SEEN.against

_log = structlog.get_logger()


class GroupRecords:
    """The store as one group uses it; what was not stored is never acted upon."""

    def __init__(self, root: CabinetId, ports: Ports) -> None:
        self._root = root
        self._ports = ports
        self._unstored: dict[StationId, Trust] = {}
        self._against: dict[SessionId, Against] = {}
        self._judged: dict[EvseRef, tuple[int, str]] = {}

    async def write(self, job: Job[T]) -> T | None:
        """Run a job; ``None``, and a line in the log, if it could not be stored."""
        try:
            return await self._ports.writer.run(job)
        except StoreError as error:
            _log.error("group.not_stored", group_id=self._root, why=str(error))
            return None

    async def trust(self, trust: Trust) -> bool:
        """Keep what is known about a station; tried again until it is stored."""
        now = self._ports.clock.now()

        def job(conn: sqlite3.Connection) -> bool:
            group_store.put_trust(conn, trust, now)
            return True

        self._unstored[trust.station_id] = trust
        done = await self.write(job)
        if done:
            self._unstored.pop(trust.station_id, None)
        return bool(done)

    async def capability(self, station_id: StationId, learnt: Learnt) -> None:
        """Keep what a station showed that it can be told."""
        now = self._ports.clock.now()
        await self.write(lambda conn: capability.put(conn, station_id, learnt, now))

    async def car(self, session: Session, before: CarFacts, known: CarFacts) -> None:
        """Keep what a car newly showed, until its session ends."""
        name = session.session_id
        if session.phase is SessionPhase.ENDED:
            if before != NOTHING_KNOWN:
                await self.write(lambda conn: car_facts.forget(conn, name))
        elif before.kept() != known.kept():
            await self.write(lambda conn: car_facts.put(conn, name, known))

    async def phases(self, session: Session, against: Against) -> None:
        """Keep what speaks against fewer phases; tried again with the next sample."""
        name = session.session_id
        known = self._against.get(name, NOTHING_AGAINST)
        if session.phase is SessionPhase.ENDED:
            if self._against.pop(name, None) is not None:
                await self.write(lambda conn: car_phases.forget(conn, name))
        elif against != known:

            def job(conn: sqlite3.Connection) -> bool:
                car_phases.put(conn, name, against)
                return True

            if await self.write(job):
                self._against[name] = against

    def phases_stored(self, stored: Mapping[SessionId, Against]) -> None:
        """What was read from the store."""
        self._against = dict(stored)

    async def prune(self, now: datetime) -> None:
        """Delete what is old."""

        def job(conn: sqlite3.Connection) -> None:
            rows.prune(conn, now)
            car_facts.prune(conn)
            car_phases.prune(conn)

        await self.write(job)

    async def flush(self) -> bool:
        """Store what could not be stored before; whether nothing is left."""
        for trust in tuple(self._unstored.values()):
            if not await self.trust(trust):
                return False
        return True

    async def forget(self, command_ids: Iterable[int]) -> None:
        """Stations surely hold these no more."""
        gone = tuple(command_ids)
        if gone:
            await self.write(lambda conn: rows.forget_commands(conn, gone))

    async def hold_again(self, command_id: int) -> None:
        """A station may hold a limit after all that was taken for gone."""
        await self.write(lambda conn: rows.hold_command(conn, command_id))

    async def batch(
        self, batch: Sequence[Outgoing], *, plan_id: int | None, now: datetime
    ) -> list[int] | None:
        """Record limits before they are sent; ``None``: they must not be."""
        return await self.write(
            lambda conn: group_store.insert_batch(conn, batch, plan_id=plan_id, now=now)
        )

    async def answer(self, item: LimitAnswered, gone: set[int], now: datetime) -> None:
        """Record how a station answered, and what is gone by that."""

        def job(conn: sqlite3.Connection) -> None:
            limit_leaves.record_answer(
                conn,
                item.command_id,
                outcome=item.answer.value,
                now=now,
                seal=self._ports.seal,
            )
            rows.forget_commands(conn, gone)

        await self.write(job)

    async def unanswered(self, station_ids: Sequence[StationId]) -> None:
        """Close limits that were under way when nobody was left to hear the answer."""
        now, seal = self._ports.clock.now(), self._ports.seal
        await self.write(
            lambda conn: limit_leaves.close_unanswered(
                conn, station_ids, now=now, seal=seal
            )
        )

    async def measured(self, judged: Judged, now: datetime) -> None:
        """Record what the meter shows of a limit, once per limit and verdict."""
        known = self._judged.get(judged.ref)
        mine = (judged.command_id, judged.verdict)
        if known == mine:
            return

        def job(conn: sqlite3.Connection) -> bool:
            limit_leaves.record_measured(
                conn,
                judged.command_id,
                verdict=judged.verdict,
                is_change=known is not None and known[0] == judged.command_id,
                measured_da=judged.measured_da,
                now=now,
                seal=self._ports.seal,
            )
            return True

        if await self.write(job):
            self._judged[judged.ref] = mine
