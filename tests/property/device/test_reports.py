"""Reports assembled from pages in any order; messages split as stations want them."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import DeviceReported
from gateway.domain.ids import StationId
from gateway.services.splitting import MessageLimits, chunks
from gateway.store import pages, reports
from gateway.store.schema import open_database

CP1 = StationId("CP1")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
WHOLE = reports.Request(
    station_id=CP1,
    kind=reports.Kind.DEVICE,
    request_id=5,
    base="FullInventory",
    is_whole=True,
    asked={},
)
OLD = ("Old", "Gone", "1")
names = st.sampled_from(["A", "B", "C", "D"])
entries = st.lists(st.tuples(names, names, st.text("01", max_size=2)), max_size=6)
page_lists = st.lists(entries, min_size=1, max_size=5)


def fresh() -> sqlite3.Connection:
    """A database with the tables that reports need."""
    conn = open_database(Path(":memory:"))
    conn.execute("INSERT INTO station (station_id, source) VALUES ('CP1', 'api')")
    return conn


def event(found: Sequence[tuple[str, str, str]], number: int, *, last: bool) -> Any:
    """One page."""
    return DeviceReported(
        station_id=CP1,
        occurred_at=NOON,
        received_at=NOON,
        request_id=5,
        sequence=number,
        is_last=last,
        entries=tuple(
            {
                "component": {"name": component},
                "variable": {"name": variable},
                "variableAttribute": [{"value": value}],
            }
            for component, variable, value in found
        ),
    )


def model(conn: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """The stored model."""
    rows = conn.execute("SELECT component, variable, value FROM device_variable")
    return {(row[0], row[1]): row[2] for row in rows}


@given(page_lists, st.randoms(use_true_random=False))
def test_pages_in_any_order_and_number_make_the_same_model(
    sent: list[list[tuple[str, str, str]]], rng: Random
) -> None:
    facts = [
        event(found, number, last=number == len(sent) - 1)
        for number, found in enumerate(sent)
    ]
    arriving = facts + rng.choices(facts, k=3)
    rng.shuffle(arriving)
    conn = fresh()
    try:
        pages.device_reported(conn, event([OLD], 0, last=True))
        assert model(conn) == {("Old", "Gone"): "1"}
        reports.ask(conn, WHOLE, NOON)
        seen: set[int] = set()
        for one in arriving:
            pages.device_reported(conn, one)
            seen.add(one.sequence)
            if len(seen) < len(sent):
                assert model(conn) == {("Old", "Gone"): "1"}
        expected = {(c, v): value for found in sent for c, v, value in found}
        assert model(conn) == expected
    finally:
        conn.close()


@given(
    st.lists(st.text("abc", max_size=20), max_size=30),
    st.none() | st.integers(1, 10),
    st.none() | st.integers(1, 60),
)
def test_split_items_keep_their_order_and_fit_where_they_can(
    items: list[str], most: int | None, n_bytes: int | None
) -> None:
    def payload(part: Sequence[str]) -> dict[str, list[str]]:
        return {"items": list(part)}

    limits = MessageLimits(items=most, n_bytes=n_bytes)
    parts = chunks(items, limits, payload)
    assert [one for part in parts for one in part] == items
    for part in parts:
        assert most is None or len(part) <= most
        fits = n_bytes is None or len(msgspec.json.encode(payload(part))) <= n_bytes
        assert fits or len(part) <= 1
    assert len(parts) == 1 or all(parts)


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_no_message_names_an_item_twice(items: list[str]) -> None:
    parts = chunks(items, MessageLimits(), list, str)
    assert [one for part in parts for one in part] == items
    assert all(len(set(part)) == len(part) for part in parts)


def test_a_report_whose_pages_stop_is_flagged_and_may_still_become_whole() -> None:
    conn = fresh()
    try:
        reports.ask(conn, WHOLE, NOON)
        pages.device_reported(conn, event([("A", "B", "1")], 0, last=False))
        assert reports.expire(conn, NOON, NOON) == 0
        later = NOON + timedelta(minutes=11)
        assert reports.expire(conn, later - timedelta(minutes=10), later) == 1
        state = "SELECT state FROM report"
        assert conn.execute(state).fetchall() == [("incomplete",)]
        assert model(conn) == {}
        pages.device_reported(conn, event([("A", "C", "0")], 1, last=True))
        assert conn.execute(state).fetchall() == [("complete",)]
        assert model(conn) == {("A", "B"): "1", ("A", "C"): "0"}
    finally:
        conn.close()
