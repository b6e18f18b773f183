"""From an ended session to a bill and a settlement, exactly once.

Judging, pricing, the bill, the settlement leaf and the row for the chain are one
database transaction. What is not billable by itself is held, with its reasons, until an
operator releases it. A crash at any point costs nothing: ended sessions without a bill
are found again.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

import msgspec
import structlog

from gateway.bus import (
    AlarmRaised,
    Bus,
    FactCommitted,
    Lagged,
    Notice,
    SessionSettled,
    Subscription,
)
from gateway.clock import Clock
from gateway.config import Regime
from gateway.domain.bill import Bill, RegisterPoint, price
from gateway.domain.ids import SessionId, StationId
from gateway.domain.metering import Judgement, Verdict, judge
from gateway.domain.session import Session, SessionPhase
from gateway.domain.tariff import Tariff, TariffError
from gateway.errors import RequestError, StoreError
from gateway.services import sealing, signed_meter
from gateway.services.clock_doubt import is_price_doubtful
from gateway.services.group_doubt import is_group_late
from gateway.services.pause_doubt import is_pause_ours
from gateway.services.register_doubt import register_doubt
from gateway.services.signed_meter import KeyChanged
from gateway.store import api_tokens, continuity, money, readings, sessions
from gateway.store.money import BillRow
from gateway.store.times import to_text
from gateway.store.writer import Writer
from ledger.bundle import seal_settlement

SYSTEM: Final = "system"
RETRY_S: Final = 1.0
KEY_SEVERITY: Final = 2
"""Of a changed key: a hardware failure, or somebody tampered (2.0.1, N07, severity)."""
BATCH: Final = 100
"""Sessions judged in one writer job: bounds what others wait for."""

_BY_ITSELF: Final = {
    Regime.STANDARD: frozenset({Verdict.OK, Verdict.OK_UNSIGNED}),
    Regime.EICHRECHT: frozenset({Verdict.OK}),
}
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What settling depends on besides the session.

    Attributes:
        regime: What settles by itself.
        tariff_id_of: Which tariff a station charges by.
        rating: Rated power of an EVSE, W, for plausibility.
    """

    regime: Regime
    tariff_id_of: Callable[[StationId], str | None]
    rating: Callable[[StationId, int], float | None]


class Settlement:
    """Settles sessions as they end; run it as a task."""

    def __init__(self, *, writer: Writer, bus: Bus, clock: Clock, terms: Terms) -> None:
        self._writer = writer
        self._bus = bus
        self._clock = clock
        self._terms = terms

    async def run(self) -> None:
        """Catch up with what ended meanwhile, then follow the bus for ever."""
        with self._bus.subscribe(
            "settlement", wants=_may_settle, of=(FactCommitted,)
        ) as subscription:
            await self._patiently(self.catch_up)
            while True:
                await self._follow(subscription)

    async def catch_up(self) -> int:
        """Judge every ended session that has no bill; returns how many."""
        done = 0
        while True:
            now = self._clock.now()
            changed: list[KeyChanged] = []
            found = await self._writer.run(
                partial(_judge_waiting, self._terms, now, changed.append)
            )
            self._warn(changed, now)
            self._publish(found)
            done += len(found)
            if not found:
                return done

    async def settle(self, session_id: SessionId) -> BillRow | None:
        """Judge one session (again, while its bill is held).

        Returns:
            Its bill, ``None`` while it runs or if it is unknown.

        Raises:
            StoreError: Nothing was stored; try again.
        """
        now = self._clock.now()
        changed: list[KeyChanged] = []
        row, is_new = await self._writer.run(
            partial(
                settle_in,
                session_id=session_id,
                terms=self._terms,
                now=now,
                on_key=changed.append,
            )
        )
        self._warn(changed, now)
        if row is not None and is_new:
            self._publish([row])
        return row

    async def release(self, session_id: SessionId, actor: str) -> BillRow:
        """Settle a held bill on an operator's word (audited).

        Raises:
            RequestError: 404 no bill; 409 settled already, or no bill can be made.
        """
        now = self._clock.now()
        row = await self._writer.run(
            partial(release_in, session_id=session_id, actor=actor, now=now)
        )
        self._publish([row])
        return row

    async def _follow(self, subscription: Subscription) -> None:
        for notice in await subscription.batch():
            if isinstance(notice, Lagged):
                await self._patiently(self.catch_up)
            elif isinstance(notice, FactCommitted) and notice.session is not None:
                session = notice.session
                if session.phase is SessionPhase.ENDED:
                    await self._patiently(partial(self.settle, session.session_id))

    async def _patiently(self, work: Callable[[], Awaitable[object]]) -> None:
        """Settle, waiting for a store that is busy or full: nothing is skipped."""
        while True:
            try:
                await work()
            except StoreError as error:
                _log.warning("settlement.delayed", error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _warn(self, changed: list[KeyChanged], now: datetime) -> None:
        """Tell people that a meter signs with a key that nobody vouched for."""
        for one in changed:
            _log.warning(
                "meter.key_changed",
                station_id=one.evse.station_id,
                evse_id=one.evse.evse_id,
                pinned=one.pinned.fingerprint,
                sent=one.sent.fingerprint,
            )
            self._bus.publish(
                AlarmRaised(
                    station_id=one.evse.station_id,
                    component="FiscalMetering",
                    variable="PublicKey",
                    value=f"EVSE {one.evse.evse_id} signs with {one.sent.fingerprint},"
                    f" pinned is {one.pinned.fingerprint}",
                    severity=KEY_SEVERITY,
                    at=now,
                )
            )

    def _publish(self, rows: list[BillRow]) -> None:
        for row in rows:
            _log.info(
                "session.judged",
                session_id=row.session_id,
                status=row.status,
                verdict=row.verdict,
                reasons=list(row.reasons),
                energy_milliwh=row.energy_milliwh,
                amount_minor=row.amount_minor,
                currency=row.currency,
            )
            self._bus.publish(
                SessionSettled(
                    session_id=row.session_id, status=row.status, at=row.decided_at
                )
            )


def _may_settle(notice: Notice) -> bool:
    """A session that is over, by its own end or by a later start."""
    return (
        isinstance(notice, FactCommitted)
        and notice.session is not None
        and notice.session.phase is SessionPhase.ENDED
    )


def settle_in(
    conn: sqlite3.Connection,
    *,
    session_id: SessionId,
    terms: Terms,
    now: datetime,
    on_key: Callable[[KeyChanged], None] = lambda _changed: None,
) -> tuple[BillRow | None, bool]:
    """Judge a session inside the caller's transaction.

    Args:
        conn: The writer's connection.
        session_id: The session.
        terms: What it depends on besides.
        now: Site time.
        on_key: Told of a meter that signs with another key than the pinned one.

    Returns:
        The bill (``None`` while the session runs), and whether it changed.
    """
    session = sessions.by_id(conn, session_id)
    if session is None or session.phase is not SessionPhase.ENDED:
        return None, False
    finding, changed = signed_meter.check_in(conn, session, now)
    for one in changed:
        on_key(one)
    known = money.find_bill(conn, session_id)
    if known is not None and known.status == "settled":
        return known, False
    tariff_id = terms.tariff_id_of(session.station_id)
    sealing.seal_start(conn, session, tariff_id=tariff_id, now=now)
    judgement = judge(
        session,
        rated_w=terms.rating(session.station_id, session.evse_id),
        signed=finding,
        previous_end_milliwh=continuity.previous_end(conn, session),
    )
    if judgement.verdict.value != session.verdict:
        after = msgspec.structs.replace(session, verdict=judgement.verdict.value)
        sessions.update(conn, session, after)
    tariff = money.promised_tariff(conn, session_id)
    bill, why_not = _bill(conn, session, judgement, tariff)
    reasons = list(judgement.reasons) + why_not
    may_settle = judgement.verdict in _BY_ITSELF[terms.regime]
    why_not = _not_certified(bill) if terms.regime is Regime.EICHRECHT else []
    reasons += why_not
    may_settle = may_settle and not why_not
    if tariff is not None and is_price_doubtful(conn, session, tariff):
        reasons.append("clock_offset")
        may_settle = False
    if is_group_late(conn, session, tariff):
        reasons.append("group_tariff_late")
        may_settle = False
    if is_pause_ours(conn, session_id, bill):
        reasons.append("paused_by_limit")
        may_settle = False
    doubt = register_doubt(conn, session, terms.rating)
    if doubt is not None:
        reasons.append(doubt)
        may_settle = False
    settlement = None
    if bill is not None and may_settle:
        settlement = _seal(conn, session, bill, now)
    money.put_bill(
        conn,
        session_id,
        verdict=judgement.verdict.value,
        reasons=tuple(reasons),
        bill=bill,
        decided_at=known.decided_at if known and settlement is None else now,
        decided_by=SYSTEM,
        settlement=settlement,
    )
    row = money.find_bill(conn, session_id)
    return row, row != known


def release_in(
    conn: sqlite3.Connection, *, session_id: SessionId, actor: str, now: datetime
) -> BillRow:
    """Settle the proposal of a held bill inside the caller's transaction.

    Raises:
        RequestError: 404 no bill; 409 settled already, or no bill can be made.
    """
    held = money.find_bill(conn, session_id)
    session = sessions.by_id(conn, session_id)
    if held is None or session is None:
        raise RequestError(404, "no_bill", "this session has no bill")
    if held.status == "settled":
        raise RequestError(409, "settled", "this session is settled already")
    judgement = judge(
        session,
        signed=signed_meter.current(conn, session),
        previous_end_milliwh=continuity.previous_end(conn, session),
    )
    tariff = money.promised_tariff(conn, session_id)
    bill, why_not = _bill(conn, session, judgement, tariff)
    if bill is None:
        raise RequestError(409, why_not[0], "no bill can be made from its registers")
    money.put_bill(
        conn,
        session_id,
        verdict=held.verdict,
        reasons=held.reasons,
        bill=bill,
        decided_at=now,
        decided_by=actor,
        settlement=_seal(conn, session, bill, now),
    )
    api_tokens.audit(
        conn,
        at=now,
        actor=actor,
        action="bill.released",
        subject=f"session/{session_id}",
        detail={"verdict": held.verdict, "amount_minor": bill.amount_minor},
    )
    row = money.find_bill(conn, session_id)
    assert row is not None, "it was written above"
    return row


def cost_so_far(conn: sqlite3.Connection, session: Session) -> Bill | None:
    """Price a session up to its end or latest register, by the bill's own rules.

    Returns:
        ``None`` while tariff or registers are unknown or cannot be priced.
    """
    tariff = money.promised_tariff(conn, session.session_id)
    start, last = session.register_start_milliwh, session.register_last_milliwh
    if tariff is None or session.started_at is None or start is None:
        return None
    end = start if last is None else max(start, last)
    end_at = session.ended_at or session.last_sample_at or session.started_at
    points = _points(conn, session, start, end, max(end_at, session.started_at))
    try:
        return price(tariff, points)
    except TariffError:
        return None


def final_cost(
    conn: sqlite3.Connection, session: Session, *, terms: Terms
) -> str | None:
    """What an ended session will be billed, in major units; ``None`` if nothing can be.

    It reads only. The bill itself is made by `settle_in` from the same facts.
    """
    tariff = money.promised_tariff(conn, session.session_id)
    rated_w = terms.rating(session.station_id, session.evse_id)
    judgement = judge(
        session, rated_w=rated_w, signed=signed_meter.current(conn, session)
    )
    bill, _ = _bill(conn, session, judgement, tariff)
    return None if bill is None else bill.amount_text


def _judge_waiting(
    terms: Terms,
    now: datetime,
    on_key: Callable[[KeyChanged], None],
    conn: sqlite3.Connection,
) -> list[BillRow]:
    rows = [
        settle_in(conn, session_id=session_id, terms=terms, now=now, on_key=on_key)[0]
        for session_id in money.sessions_to_judge(conn, BATCH)
    ]
    return [row for row in rows if row is not None]


def _bill(
    conn: sqlite3.Connection,
    session: Session,
    judgement: Judgement,
    tariff: Tariff | None,
) -> tuple[Bill | None, list[str]]:
    """The bill, or why there is none; a missing price is never a price of zero."""
    if tariff is None:
        return None, ["no_tariff"]
    start, end = judgement.register_start_milliwh, judgement.register_end_milliwh
    starts, ends = session.started_at, session.ended_at
    if judgement.verdict is Verdict.UNBILLABLE or start is None or end is None:
        return None, ["no_registers"]
    if starts is None or ends is None or end < start or ends < starts:
        return None, ["not_priced"]
    try:
        return price(tariff, _points(conn, session, start, end, ends)), []
    except TariffError:
        return None, ["no_price"]


def _not_certified(bill: Bill | None) -> list[str]:
    """What a bill rests on besides two registers of a certified meter."""
    if bill is None:
        return []
    found = ["several_prices"] if len(bill.parts) > 1 else []
    return [*found, "time_priced"] if bill.prices_time else found


def _points(
    conn: sqlite3.Connection,
    session: Session,
    start: int,
    end: int,
    end_at: datetime,
) -> list[RegisterPoint]:
    """Start, the samples between that fit, and end: a register that only grows."""
    assert session.started_at is not None, "the callers looked"
    points = [RegisterPoint(at=session.started_at, register_milliwh=start)]
    for sample in money.registers_of(conn, session.session_id):
        is_inside = session.started_at <= sample.at <= end_at
        if is_inside and points[-1].register_milliwh <= sample.register_milliwh <= end:
            points.append(sample)
    points.append(RegisterPoint(at=end_at, register_milliwh=end))
    return points


def _seal(
    conn: sqlite3.Connection, session: Session, bill: Bill, now: datetime
) -> tuple[int, bytes]:
    """Seal registers that no leaf shows yet, then the settlement; queue it."""
    assert session.started_at is not None, "it was priced"
    assert session.ended_at is not None, "it was priced"
    known = money.sealed_registers(conn, session.session_id)
    for at, register in (
        (session.started_at, bill.register_start_milliwh),
        (session.ended_at, bill.register_end_milliwh),
    ):
        if register not in known:
            sealing.seal_register(
                conn, session, at=at, register_milliwh=register, now=now
            )
            known.add(register)
    leaf_index = seal_settlement(
        conn,
        session_id=session.session_id,
        bill=bill.to_json(),
        ended_at=to_text(session.ended_at),
        sealed_at=to_text(now),
        readings=readings.leaves_of(conn, session.session_id),
    )
    (key,) = conn.execute(
        "SELECT session_key FROM settlement_queue JOIN leaf"
        " ON start_leaf_index = leaf_index WHERE subject = ?",
        (session.session_id,),
    ).fetchone()
    return leaf_index, key
