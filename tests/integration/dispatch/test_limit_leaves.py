"""What was sent, answered and measured of a limit is a leaf, also if disobeyed."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from gateway.domain.ids import SessionId, StationId
from gateway.domain.limits import LimitSchedule, LimitStep, Purpose, SetLimit
from gateway.store import limits
from ledger.record import canonical
from tests.integration.dispatch.yard import (
    EPOCH,
    Yard,
    sampled_until,
    site_of,
    until,
    yard,
)

CP1 = StationId("CP1")
DOUBTED = "SELECT doubt FROM station_trust"


def leaves(
    place: Yard, outcome: str, session_id: str | None = "s1"
) -> list[Mapping[str, object]]:
    """Bodies of ``dispatch`` leaves; each must be a record that the log takes."""
    found = [body for kind, _, body in place.leaves if kind == "dispatch"]
    assert all(canonical("dispatch", body) for body in found)
    return [
        body
        for body in found
        if body["outcome"] == outcome and body["session_id"] == session_id
    ]


async def charging(place: Yard, *, at_da: int) -> None:
    """A session of station 1 has a limit by hand, and the station says that it does."""
    place.boot(1)
    await until(lambda: place.station(1).default is not None)
    await place.dispatch.set_manual_limit(CP1, 1, at_da)
    place.report(1)
    await until(lambda: place.limit_da(1) == at_da)
    await until(lambda: leaves(place, "accepted"))


def is_of_its_row(place: Yard, measured: Mapping[str, object]) -> bool:
    """It says of the sending what the row and the leaf of the answer say."""
    [answer] = [
        body
        for body in leaves(place, "accepted")
        if body["command_id"] == measured["command_id"]
    ]
    rows = place.rows("SELECT command_id, sent_at, plan_id FROM limit_command")
    [(sent_at, plan_id)] = [row[1:] for row in rows if row[0] == measured["command_id"]]
    same = ("sent_at", "plan_id", "limit_sha256", "station_id", "evse_id")
    return (
        plan_id is not None
        and (measured["sent_at"], measured["plan_id"]) == (sent_at, str(plan_id))
        and all(measured[name] == answer[name] for name in same)
    )


async def test_a_limit_that_the_meter_confirms_is_sealed_once_with_its_sending(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        await charging(place, at_da=60)
        await sampled_until(place, 1, 5.9, lambda: leaves(place, "seen"))
        first = leaves(place, "seen")[0]
        assert first["measured_da"] == [59, 59, 59]
        assert is_of_its_row(place, first)
        for wh in range(1, 20):
            place.report(1, current_a=5.9, delivered_wh=wh * 100)
        await place.dispatch.set_manual_limit(CP1, 1, 100)
        await until(lambda: place.limit_da(1) == 100)
        await sampled_until(place, 1, 9.9, lambda: len(leaves(place, "seen")) > 1)
        ids = [body["command_id"] for body in leaves(place, "seen")]
        assert len(ids) == len(set(ids))
        assert leaves(place, "disobeyed") == []


async def test_a_limit_that_is_disobeyed_is_sealed_with_what_was_measured(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1), speed=600) as place:
        await charging(place, at_da=60)
        await sampled_until(place, 1, 20.0, lambda: leaves(place, "disobeyed"))
        await until(lambda: place.rows(DOUBTED) == [("ignored_limit",)])
        for wh in range(1, 20):
            place.report(1, current_a=20.0, delivered_wh=10_000 + wh)
        [found] = leaves(place, "disobeyed")
        assert found["measured_da"] == [200, 200, 200]
        assert str(found["seen_at"]) > str(found["sent_at"])
        assert is_of_its_row(place, found)


async def test_a_limit_under_way_at_a_crash_is_sealed_as_unanswered_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with yard(tmp_path, site_of(1)) as place:
        command_id = await place.writer.run(under_way)
        assert leaves(place, "unknown", "s9") == []
    async with yard(tmp_path, site_of(1)) as place:
        await until(lambda: leaves(place, "unknown", "s9"))
        [found] = leaves(place, "unknown", "s9")
        assert found["command_id"] == command_id
        assert found["sent_at"] == "2026-01-05T08:00:00.000000Z"
        assert found["steps"] == [[0, 60]]
        row = (
            f"SELECT outcome, is_held FROM limit_command WHERE command_id={command_id}"  # noqa: S608 - an integer
        )
        await until(lambda: place.rows(row)[0][0] == "unknown")
    async with yard(tmp_path, site_of(1)) as place:
        place.boot(1)
        await until(lambda: leaves(place, "accepted", None))
        assert leaves(place, "unknown", "s9") == [], "once"


def under_way(conn: sqlite3.Connection) -> int:
    """A gateway is about to send a limit, and is no more."""
    return limits.insert_command(
        conn,
        station_id=CP1,
        evse_ids=[1],
        session_id=SessionId("s9"),
        command=six_amperes(EPOCH),
        plan_id=None,
        sent_at=EPOCH,
    )


def six_amperes(start: datetime) -> SetLimit:
    """A limit of 6 A from ``start`` on."""
    steps = (LimitStep(offset_s=0, limit_da=60),)
    return SetLimit(
        evse_id=1,
        purpose=Purpose.SESSION,
        schedule=LimitSchedule(start=start, steps=steps),
        transaction_id="9",
        profile_id=9,
    )
