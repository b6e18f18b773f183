"""A person is erased; the log, and what it proves of others, holds as before."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.clock import SystemClock
from gateway.config.sections import StoreConfig
from gateway.errors import StartupError
from gateway.services.erase_files import erase
from gateway.services.log_check import check_hashes
from ledger import log
from ledger.sqlite_store import SqliteStore
from ledger.verdicts import Verdict
from ledger.verify import verify
from ledger.verify_cabinet import check_history
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.billed import Talk16, ago, newest, settled_bill
from tests.support.money import open_till

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERSON, OTHER = "04Pérson/1", "04OTHER"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(folder: Path) -> AsyncIterator[ApiSite]:
    async with api_site(folder, {"OLD": PASSWORD}) as running:
        for token in (PERSON, OTHER):
            path = token.replace("/", "%2F")
            await running.call("PUT", f"/id-tokens/{path}", {})
        yield running


async def charged(site: ApiSite, token: str, *, hours: int) -> str:
    async with site.station("OLD") as station:
        await station.boot()
        await station.ask("Authorize", {"idTag": token.lower()})
        talk = Talk16(station)
        began = ago(site, hours=hours)
        number = await talk.start(began, hours * 1000, idTag=token)
        await talk.meter(
            ago(site, hours=hours, minutes=-10), hours * 1000 + 500, number=number
        )
        await talk.stop(
            number, ago(site, hours=hours, minutes=-20), hours * 1000 + 900, idTag=token
        )
    session_id = str((await newest(site, "OLD"))["session_id"])
    await settled_bill(site, session_id)
    return session_id


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sessions(site: ApiSite) -> dict[str, str]:
    return {
        "alone": await charged(site, PERSON, hours=3),
        "other": await charged(site, OTHER, hours=2),
        "last": await charged(site, PERSON, hours=1),
    }


def everything(folder: Path) -> str:
    """All that the database holds but the audit trail, as text."""
    with closing(sqlite3.connect(folder / "data" / "wattproof.db")) as conn:
        tables = [
            row[0]
            for row in conn.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if row[0] != "audit"
        ]
        return "\n".join(
            str(row)
            for table in tables
            for row in conn.execute(f"SELECT * FROM {table}")  # noqa: S608 - the names of its own tables
        )


async def erased(site: ApiSite, status: int | None = None, **body: str) -> Any:
    return await site.call("POST", "/erasures", body, role="admin", status=status)


async def test_one_session_is_erased_and_the_rest_holds(
    site: ApiSite, sessions: dict[str, str], folder: Path
) -> None:
    session_id = sessions["alone"]
    receipts = {
        name: await site.call("GET", f"/sessions/{one}/receipt")
        for name, one in sessions.items()
    }
    head = receipts["last"]["head"]
    found = await erased(site, session_id=session_id)
    assert found["sessions"] == 1
    assert found["leaves"] >= 4, "start, readings, settlement"
    assert found["texts"] >= 3, "authorize, start, stop"
    refused = await site.call("GET", f"/sessions/{session_id}/receipt", status=409)
    assert refused["error"] == "no_receipt"
    for name in ("other", "last"):
        again = await site.call("GET", f"/sessions/{sessions[name]}/receipt")
        assert verify(json.dumps(again).encode()).verdict is not Verdict.FALSE
    with closing(sqlite3.connect(folder / "data" / "wattproof.db")) as conn:
        kept = log.head(SqliteStore(conn), head["size"])
    assert kept.root.hex() == head["root"], "erasing changes no head"
    leaf = await site.call(
        "GET", f"/ledger/leaves/{receipts['alone']['leaves'][0]['index']}"
    )
    assert (leaf["salt"], leaf["record"]) == (None, None)
    assert check_hashes(StoreConfig(path=folder / "data"), lambda _line: None).is_good
    session = await site.call("GET", f"/sessions/{session_id}")
    assert session["id_token"] is None
    bill = await site.call("GET", f"/sessions/{session_id}/bill")
    assert bill["amount_minor"] > 0, "the books stay"
    credit = {"amount_minor": 1, "reason": "none", "idempotency_key": "k"}
    late = await site.send(
        "POST", f"/sessions/{session_id}/credits", credit, role="admin"
    )
    assert late.status_code in {409, 422}, late.text


async def test_a_token_that_may_charge_is_not_erased(
    site: ApiSite, sessions: dict[str, str]
) -> None:
    assert sessions
    found = await erased(site, id_token=PERSON, status=409)
    assert found["error"] == "token_in_use"


async def test_all_that_a_token_left_is_erased(
    site: ApiSite, sessions: dict[str, str], folder: Path
) -> None:
    assert OTHER in everything(folder)
    await site.call("DELETE", f"/id-tokens/{OTHER}")
    found = await erased(site, id_token=OTHER.lower())
    assert found["sessions"] == 1
    assert OTHER.casefold() not in everything(folder).casefold()
    assert sessions["other"] in everything(folder), "its bill"
    trail = await site.call("GET", "/audit", role="auditor")
    (line,) = [
        one
        for one in trail
        if (one["action"], one["subject"]) == ("person.erased", "an id token")
    ]
    assert (
        json.loads(line["detail"])["sessions"] == 1
        if isinstance(line["detail"], str)
        else line["detail"]["sessions"] == 1
    )
    assert OTHER.casefold() not in json.dumps(line).casefold()
    again = await erased(site, id_token=OTHER)
    assert again == {"sessions": 0, "leaves": 0, "texts": 0}
    check = check_hashes(StoreConfig(path=folder / "data"), lambda _line: None)
    assert check.is_good, check.text


async def test_what_is_open_is_not_erased(
    site: ApiSite, sessions: dict[str, str]
) -> None:
    assert sessions
    async with site.station("OLD") as station:
        await station.boot()
        await Talk16(station).start(ago(site, minutes=1), 9000, idTag=PERSON)
    running = str((await newest(site, "OLD"))["session_id"])
    assert (await erased(site, session_id=running, status=409))["error"] == "running"
    assert (await erased(site, session_id="sunknown", status=404))["error"] == (
        "unknown_session"
    )
    for body in ({}, {"id_token": "a", "session_id": "b"}, {"id_token": ""}):
        await erased(site, status=422, **body)
    for role in ("viewer", "auditor", "operator"):
        body = {"session_id": running}
        await site.call("POST", "/erasures", body, role=role, status=403)


async def test_erased_readings_stay_counted_in_their_cabinets_history(
    site: ApiSite, sessions: dict[str, str]
) -> None:
    assert sessions
    found = await site.call("GET", "/ledger/cabinets/main", role="auditor")
    check_history(found)


async def test_the_command_erases_only_where_no_gateway_runs(
    sessions: dict[str, str], folder: Path
) -> None:
    store = StoreConfig(path=folder / "data")
    job = partial(erase, store, SystemClock(), id_token=None)
    with pytest.raises(StartupError, match="gateway"):
        await asyncio.to_thread(job, session_id=sessions["last"])


async def test_the_command_erases_from_a_folder_at_rest(tmp_path: Path) -> None:
    async with open_till(tmp_path) as till:
        session_id = await till.session()
        await till.settlement.settle(session_id)
        database = till.store.writer.path
    store = StoreConfig(path=tmp_path)
    database.rename(store.database_path)
    with closing(sqlite3.connect(store.database_path)) as conn:
        salts = [row[0] for row in conn.execute("SELECT salt FROM leaf")]
    job = partial(erase, store, SystemClock(), id_token=None)
    line = await asyncio.to_thread(job, session_id=session_id)
    assert line.startswith("1 sessions, ")
    with closing(sqlite3.connect(store.database_path)) as conn:
        (n_kept,) = conn.execute("SELECT count(record) FROM leaf").fetchone()
    assert n_kept == 0
    bytes_left = store.database_path.read_bytes()
    assert not [salt for salt in salts if salt in bytes_left], "overwritten, too"
    with pytest.raises(StartupError, match="no such session"):
        await asyncio.to_thread(job, session_id="sunknown")
