"""Flexibility of sessions from what is stored: registers, limits, prices of plans.

Whoever has the same rows computes the same numbers (`optimizer.flexibility`). Only
limits count that were sent for the session and accepted; until the first of them
nothing held the car back. DC counts like AC at the input: losses above 15 % hide what a
car gave.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from gateway.domain.session import Session
from gateway.services.flexibility_credit import on_chain
from gateway.store import flexibility as rows
from gateway.store import money, requests
from gateway.store.flexibility import HeldBy
from optimizer.flexibility import (
    Contribution,
    Departure,
    Interval,
    contribution,
    reliability_after,
)

EARLY: Final = timedelta(minutes=15)
"""Who leaves no more than this before the declared departure kept it."""
MILLIWH_PER_WH: Final = 1_000
_Point = tuple[datetime, int]


def intervals_of(conn: sqlite3.Connection, session: Session) -> tuple[Interval, ...]:
    """The times between the readings of an ended session."""
    held = rows.limits_of(conn, session.session_id)
    n_phase = rows.n_phases_used(conn, session.session_id)
    prices = rows.prices_of(conn, session.session_id)
    since = [at for at, _ in prices]
    found = []
    for (begin, low), (end, high) in pairwise(_points(conn, session)):
        index = bisect_right(since, begin) - 1
        found.append(
            Interval(
                duration_s=int((end - begin).total_seconds()),
                delivered_milliwh=high - low,
                limit_milliwh=_allowed(held, n_phase, begin, end),
                price_micro_per_kwh=prices[index][1] if index >= 0 else 0,
            )
        )
    return tuple(found)


def of_stay(conn: sqlite3.Connection, stay: Sequence[Session]) -> Contribution:
    """What ended sessions of one driver, one soon after the other, gave together."""
    found: list[Interval] = []
    for before, after in pairwise([None, *stay]):
        assert after is not None, "only the first has none before it"
        if before is not None:
            found += _between(before, after)
        found += intervals_of(conn, after)
    return contribution(found, _left_early(conn, stay[-1]))


def reliability_of(conn: sqlite3.Connection, session: Session) -> int:
    """Permille: how a driver kept the departures declared before this session."""
    kept = [
        real >= said - EARLY for real, said in rows.departures(conn, session.session_id)
    ]
    return reliability_after(kept)


def of_session(conn: sqlite3.Connection, session: Session) -> dict[str, Any]:
    """What one ended session gave, interval by interval, for those who ask."""
    intervals = intervals_of(conn, session)
    found = contribution(intervals, _left_early(conn, session))
    shared = rows.stay_of(conn, session.session_id)
    return {
        "session_id": session.session_id,
        "shifted_milliwh": found.shifted_milliwh,
        "value_micro": found.value_micro,
        "shortfall_milliwh": found.shortfall_milliwh,
        "reliability_permille": reliability_of(conn, session),
        "on_chain": on_chain(conn, session.session_id),
        "stay": None
        if shared is None
        else {
            "stay_id": shared.stay_id,
            "day": shared.day.isoformat(),
            "shifted_milliwh": shared.shifted_milliwh,
            "credited_milliwh": shared.credited_milliwh,
        },
        "intervals": [
            {
                "duration_s": one.duration_s,
                "delivered_milliwh": one.delivered_milliwh,
                "uncontrolled_milliwh": uncontrolled,
                "limit_milliwh": one.limit_milliwh,
                "held_back": is_held,
                "price_micro_per_kwh": one.price_micro_per_kwh,
            }
            for one, uncontrolled, is_held in zip(
                intervals, found.uncontrolled_milliwh, found.held_back, strict=True
            )
        ],
    }


def _left_early(conn: sqlite3.Connection, session: Session) -> Departure | None:
    said = requests.find(conn, session.session_id)
    if said is None or said.is_default:
        return None
    if said.departure_at is None or said.energy_wh is None:
        return None
    assert session.ended_at is not None, "it is over"
    if session.ended_at >= said.departure_at - EARLY:
        return None
    return Departure(requested_milliwh=int(said.energy_wh * MILLIWH_PER_WH))


def _between(before: Session, after: Session) -> list[Interval]:
    """The time between two sessions of a stay: nothing flowed, nothing was limited."""
    assert before.ended_at is not None
    assert after.started_at is not None
    gap_s = int((after.started_at - before.ended_at).total_seconds())
    if gap_s < 1:
        return []
    return [
        Interval(
            duration_s=gap_s,
            delivered_milliwh=0,
            limit_milliwh=None,
            price_micro_per_kwh=0,
        )
    ]


def _points(conn: sqlite3.Connection, session: Session) -> list[_Point]:
    """Registers in time order, whole seconds apart; one that falls is no news."""
    told: list[_Point] = [
        (one.at, one.register_milliwh)
        for one in money.registers_of(conn, session.session_id)
    ]
    for at, register in (
        (session.started_at, session.register_start_milliwh),
        (session.ended_at, session.register_end_milliwh),
    ):
        if at is not None and register is not None:
            told.append((at, register))
    found: list[_Point] = []
    for at, register in sorted(told):
        if not found:
            found.append((at, register))
        elif register >= found[-1][1] and at - found[-1][0] >= timedelta(seconds=1):
            found.append((at.replace(microsecond=found[0][0].microsecond), register))
    return found


def _allowed(
    held: Sequence[HeldBy], n_phase: int | None, begin: datetime, end: datetime
) -> int | None:
    """The energy that the limits of a session allowed in a time, mWh.

    ``None`` if there was no limit for a part of it.
    """
    if not held or begin < held[0].since:
        return None
    edges = sorted({begin, end, *_edges(held, begin, end)})
    since = [one.since for one in held]
    allowed = 0.0
    for start, stop in pairwise(edges):
        one = held[bisect_right(since, start) - 1]
        watt = one.schedule.at(start) / 10 * one.nominal_v
        watt *= n_phase or one.number_phases
        allowed += watt * (stop - start).total_seconds() / 3.6
    return int(allowed)


def _edges(
    held: Iterable[HeldBy], begin: datetime, end: datetime
) -> Iterable[datetime]:
    for one in held:
        moments = [one.since]
        moments += [
            one.schedule.start + timedelta(seconds=step.offset_s)
            for step in one.schedule.steps
        ]
        yield from (at for at in moments if begin < at < end)
