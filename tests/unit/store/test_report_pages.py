"""A report in pages is bounded, and its pages cost the same however many there are."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.store import reports
from gateway.store.reports import Kind, Page, add_page
from gateway.store.schema import open_database

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def page(sequence: int, *, is_last: bool = False) -> Page:
    return Page(
        station_id="CP1",
        kind=Kind.DEVICE,
        request_id=1,
        sequence=sequence,
        is_last=is_last,
        body={"reportData": [{"n": sequence}]},
        received_at=NOW,
    )


def count(conn: sqlite3.Connection) -> int:
    return int(conn.execute("SELECT count(*) FROM report_page").fetchone()[0])


def test_pages_without_end_are_left_out_from_some_number_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MAX_PAGES", 3)
    conn = open_database(tmp_path / "x.db")
    told = [add_page(conn, page(number))[0] for number in range(1, 6)]
    assert told == [True, True, True, False, False]
    assert count(conn) == 3
    conn.close()


def test_a_report_is_whole_once_its_last_page_and_all_before_it_are_there(
    tmp_path: Path,
) -> None:
    conn = open_database(tmp_path / "x.db")
    for sequence, is_last in ((2, True), (2**31 - 1, True), (0, False)):
        assert add_page(conn, page(sequence, is_last=is_last)) == (True, None)
    is_new, whole = add_page(conn, page(1))
    assert is_new
    assert whole is not None
    assert [one["reportData"][0]["n"] for one in whole.bodies][:3] == [0, 1, 2]
    conn.close()
