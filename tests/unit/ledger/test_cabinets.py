"""Sub-trees of the log: each cabinet's own history, provable alone."""

import copy
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger import log, record
from ledger.__main__ import main
from ledger.cabinet_proof import build_history
from ledger.cabinets import seal_cabinets
from ledger.check_names import CABINET
from ledger.errors import BundleError
from ledger.sqlite_store import (
    CABINET_DDL,
    DDL,
    LOG_DDL,
    SqliteStore,
    append_leaf,
    erase_leaf,
)
from ledger.verify_cabinet import check_history

NOW = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
AT = "2026-03-02T17:00:00.000000Z"


@pytest.fixture
def conn() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.executescript(DDL)
    return conn


def cabinet_of(_kind: str, data: bytes) -> str | None:
    """Stations are called after their cabinet: a-1 hangs on a."""
    name = json.loads(data).get("station_id") or json.loads(data)["cabinet_id"]
    return None if name.startswith("-") else str(name).split("-", maxsplit=1)[0]


def reading(conn: sqlite3.Connection, station: str) -> int:
    body: dict[str, object] = {
        "session_id": None,
        "station_id": station,
        "evse_id": 1,
        "occurred_at": AT,
        "received_at": AT,
        "register_milliwh": 7,
    }
    return append_leaf(conn, "meter", "", record.canonical("meter", body), None, AT)


def gather(conn: sqlite3.Connection, *, chunk_leaves: int = 4096) -> None:
    while seal_cabinets(conn, cabinet_of, NOW, chunk_leaves=chunk_leaves):
        pass


def history(conn: sqlite3.Connection, cabinet_id: str, first: int = 0) -> Any:
    store = SqliteStore(conn)
    size = store.leaf_count()
    return json.loads(
        json.dumps(build_history(store, cabinet_id, size=size, first=first))
    )


def test_each_cabinet_has_one_leaf_per_timestep_over_its_own_readings_only(
    conn: sqlite3.Connection,
) -> None:
    for station in ("a-1", "b-1", "a-2", "-none", "a-1"):
        reading(conn, station)
    gather(conn)
    reading(conn, "a-1")
    gather(conn)
    first, second = check_history(history(conn, "a")), check_history(history(conn, "b"))
    assert (first.steps, first.members, first.goes_on_from) == (2, 4, None)
    assert (second.steps, second.members) == (1, 1)
    shown = json.dumps(history(conn, "b"))
    assert "a-1" not in shown
    assert "a-2" not in shown
    assert first.root == log.head(SqliteStore(conn)).root


def test_a_log_at_rest_does_not_grow_of_its_sub_trees(conn: sqlite3.Connection) -> None:
    reading(conn, "a-1")
    gather(conn)
    size = SqliteStore(conn).leaf_count()
    for _ in range(3):
        gather(conn)
    assert SqliteStore(conn).leaf_count() == size == 2


def test_a_long_timestep_is_gathered_in_pieces_and_nothing_is_gathered_twice(
    conn: sqlite3.Connection,
) -> None:
    for _ in range(10):
        reading(conn, "a-1")
    gather(conn, chunk_leaves=4)
    found = history(conn, "a")
    counts = [len(step["members"]) for step in found["steps"]]
    assert counts == [4, 4, 2]
    assert check_history(found).members == 10


def test_erased_members_still_count(conn: sqlite3.Connection) -> None:
    index = reading(conn, "a-1")
    reading(conn, "a-2")
    gather(conn)
    erase_leaf(conn, index)
    found = check_history(history(conn, "a"))
    assert (found.members, found.erased) == (2, 1)


def test_a_later_part_says_what_it_goes_on_from(conn: sqlite3.Connection) -> None:
    reading(conn, "a-1")
    gather(conn)
    reading(conn, "a-1")
    gather(conn)
    part = history(conn, "a", first=2)
    assert check_history(part).goes_on_from == 1


def test_what_was_there_before_sub_trees_stays_as_it_is() -> None:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    conn.executescript(LOG_DDL)
    reading(conn, "a-1")
    conn.executescript(CABINET_DDL)
    gather(conn)
    assert SqliteStore(conn).leaf_count() == 1
    reading(conn, "a-1")
    conn.executescript(CABINET_DDL)  # as every start does
    gather(conn)
    assert check_history(history(conn, "a")).members == 1


def _drop_step(found: Any) -> None:
    del found["steps"][1]


def _drop_member(found: Any) -> None:
    del found["steps"][0]["members"][0]


def _change_record(found: Any) -> None:
    member = found["steps"][0]["members"][0]
    member["record"] = member["record"].replace(
        '"register_milliwh":7', '"register_milliwh":8'
    )


def _rename(found: Any) -> None:
    found["cabinet_id"] = "b"


def _other_head(found: Any) -> None:
    found["head"]["root"] = "00" * 32


def _other_kind(found: Any) -> None:
    found["steps"][0]["members"][0]["kind"] = "dispatch"


def _no_steps(found: Any) -> None:
    del found["steps"]


def test_the_verifier_tells_what_a_history_proves(
    conn: sqlite3.Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    erase_leaf(conn, reading(conn, "a-1"))
    gather(conn)
    reading(conn, "a-1")
    gather(conn)
    path = tmp_path / "history.json"
    found = history(conn, "a")
    path.write_text(json.dumps(found), encoding="utf-8")
    head = found["head"]
    arguments = ["verify", str(path), "--since", f"{head['size']}:{head['root']}"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "1 timesteps of a from its beginning" in told
    assert told.count(" true ") == len(CABINET)
    assert [line.split()[0] for line in told.splitlines()][:-1] == list(CABINET)
    _change_record(found)
    path.write_text(json.dumps(found), encoding="utf-8")
    assert main(arguments) == 1
    assert "is not that of its record" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_drop_step, "a timestep is missing"),
        (_drop_member, "gathers other leaves"),
        (_change_record, "is not that of its record"),
        (_rename, "another cabinet"),
        (_other_head, "not under this head"),
        (_other_kind, "another kind"),
        (_no_steps, "not a cabinet's history"),
    ],
)
def test_a_changed_history_is_refused(
    conn: sqlite3.Connection, tamper: Any, said: str
) -> None:
    for _ in range(3):
        reading(conn, "a-1")
        gather(conn)
    found = copy.deepcopy(history(conn, "a"))
    tamper(found)
    with pytest.raises(BundleError, match=said):
        check_history(found)
