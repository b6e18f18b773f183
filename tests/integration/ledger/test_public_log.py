"""A running gateway's public log, and a witness that follows it over HTTP."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import pytest_asyncio

from gateway.api.pace import Pace
from gateway.config.sections import StoreConfig
from gateway.domain.ids import CabinetId
from gateway.services import group_store
from gateway.services.group_problem import Asked
from gateway.services.log_files import publish
from gateway.services.sealing import seal_record
from ledger.heads import read_heads
from ledger.note import Algorithm, SigningKey
from ledger.verdicts import Verdict
from ledger.verify import verify
from ledger.witness_cli import add_command
from ledger.witness_run import run
from optimizer.solve import solve
from tests.support.api_site import PASSWORD, ApiSite, api_site
from tests.support.billed import DRIVER, Talk16, ago, newest, settled_bill
from tests.support.optimizer_problems import typical_day

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITNESS = SigningKey.of(
    bytes(range(32)), name="witness.example", algorithm=Algorithm.COSIGNATURE
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site(folder: Path) -> AsyncIterator[ApiSite]:
    ledger = {
        "backend": "embedded",
        "public_log": True,
        "witnesses": [WITNESS.verifier.text],
    }
    async with api_site(folder, {"OLD": PASSWORD}, ledger=ledger) as running:
        await running.call("PUT", f"/id-tokens/{DRIVER}", {})
        # All of it before anybody asks: the checkpoint is made once per timestep.
        await charged(running)
        await planned(running)
        await running.parts.anchoring.flush()
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def session_id(site: ApiSite) -> str:
    return str((await newest(site, "OLD"))["session_id"])


async def charged(site: ApiSite) -> None:
    async with site.station("OLD") as station:
        await station.boot()
        talk = Talk16(station)
        number = await talk.start(ago(site, minutes=30))
        await talk.meter(ago(site, minutes=20), 2000, number=number)
        await talk.stop(number, ago(site, minutes=10), 3000)
    await settled_bill(site, str((await newest(site, "OLD"))["session_id"]))


async def planned(site: ApiSite) -> None:
    """Record a plan of three sessions as the dispatch does."""
    problem = typical_day(4, n_session=3, n_step=8, limit_a=45.0)
    await site.gateway.writer.run(
        partial(
            group_store.record_plan,
            asked=Asked(problem=problem, departures={}, defaults=frozenset()),
            outcome=solve(problem, deadline_s=20, engine="auto"),
            cabinet_id=CabinetId("main"),
            promises=(),
            now=site.gateway.clock.now(),
            seal=seal_record,
        )
    )


async def look(site: ApiSite, folder: Path, *more: str, source: str = "") -> Any:
    """One look of the witness's command, as a program reads it."""
    (folder / "witness.key").write_text(bytes(range(32)).hex(), encoding="ascii")
    (folder / "witness.key").chmod(0o600)
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers())
    source = source or f"{site.gateway.api_url}/log"
    state, key = str(folder / "witness.json"), str(folder / "witness.key")
    named = ("--key", key, "--name", "witness.example")
    arguments = parser.parse_args(
        ["witness", source, "--state", state, *named, "--once", *more]
    )
    lines: list[str] = []
    code = await asyncio.to_thread(run, arguments, emit=lines.append)
    found = json.loads(lines[-1])
    assert code == (1 if found["alarms"] else 0), found
    return found


async def test_a_witness_follows_a_running_gateway_and_its_chain(
    site: ApiSite, folder: Path, session_id: str
) -> None:
    chain = str(folder / "data" / "chain.db")
    found = await look(site, folder, "--chain", chain)
    assert (found["event"], found["cosigned"]) == ("good", True)
    assert found["size"] > 0
    state = await site.call("GET", "/ledger")
    assert state["witnessed_by"][0]["witness"] == "witness.example"
    assert "settlement" not in found["checked"], "that is for auditors"
    (said,) = (await site.client.get("/log/witnessed")).json()
    assert (said["witness"], said["size"]) == ("witness.example", found["size"])
    assert said["root"] == found["root"]
    receipt = await site.call("GET", f"/sessions/{session_id}/receipt")
    heads = await site.client.get(f"/log/heads/{receipt['head']['size']}")
    known = folder / "heads.json"
    known.write_bytes(heads.content)
    report = verify(json.dumps(receipt).encode(), heads=read_heads(known))
    (check,) = [one for one in report.checks if one.name == "consistency"]
    assert check.verdict is Verdict.TRUE, check


async def test_an_auditor_of_the_log_sees_its_settlements(
    site: ApiSite, session_id: str, tmp_path: Path
) -> None:
    assert session_id
    token = tmp_path / "token"
    token.write_text(site.secrets["auditor"], encoding="utf-8")
    found = await look(site, tmp_path, "--token-file", str(token))
    assert (found["event"], found["checked"]["settlement"]) == ("good", 1)
    refused = await site.client.get(
        "/log/disclosed/000",
        headers={"Authorization": f"Bearer {site.secrets['viewer']}"},
    )
    assert refused.status_code == 403


async def test_plans_are_checked_by_whoever_may_see_them(
    site: ApiSite, folder: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(site.secrets["auditor"], encoding="utf-8")
    found = await look(site, tmp_path, "--token-file", str(token))
    assert found["event"] == "good"
    assert found["checked"]["plan"] >= 1, "that one, and those of the site"
    export = tmp_path / "export"
    now = site.gateway.clock.now()
    publish(StoreConfig(path=folder / "data"), export, now=now, discloses_private=True)
    (piece,) = (export / "disclosed").rglob("000.p/*")
    document = json.loads(piece.read_bytes())
    plans = [
        one
        for one in document["leaves"]
        if one["kind"] == "plan" and one["document"] is not None
    ]
    currents = [one["document"]["certificate"]["currents_da"] for one in plans]
    (planned,) = [rows for rows in currents if len(rows) == 3]
    planned[0][0] += 10
    piece.write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "witness.json").unlink()
    found = await look(site, tmp_path, source=str(export))
    assert [one["alarm"] for one in found["alarms"]] == ["bad-plan"]
    assert found["cosigned"] is False


async def test_strangers_get_hashes_only(site: ApiSite, session_id: str) -> None:
    size = int((await site.client.get("/log/checkpoint")).text.split("\n")[1])
    seen = b""
    for path in (f"tile/entries/000.p/{size}", f"tile/0/000.p/{size}", "chain", "key"):
        answer = await site.client.get(f"/log/{path}")
        assert answer.status_code == 200, path
        seen += answer.content
    disclosed = await site.client.get(f"/log/disclosed/000.p/{size}")
    assert disclosed.json()["leaves"] == []
    for hidden in (session_id, "OLD", DRIVER, "meter", "session_start"):
        assert hidden.encode() not in seen + disclosed.content


@pytest.mark.parametrize(
    "path",
    [
        "tile/entries/000",
        "tile/0/001.p/1",
        "tile/9/000",
        "disclosed/x999/999",
        "heads/0",
        "heads/99999999",
        "..%2f..%2fwattproof.db",
        "",
    ],
)
async def test_what_is_not_there_is_not_found(site: ApiSite, path: str) -> None:
    answer = await site.client.get(f"/log/{path}")
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


async def test_only_witnesses_that_are_known_are_kept(
    site: ApiSite, session_id: str
) -> None:
    assert session_id
    note = (await site.client.get("/log/checkpoint")).text
    text = note.rpartition("\n\n")[0] + "\n"
    stranger = SigningKey.of(bytes(32), name="w", algorithm=Algorithm.COSIGNATURE)
    for body, status in (
        (f"{note}{stranger.cosign(text, 5).line}\n", 403),
        (note, 403),
        (f"{text}\n{WITNESS.cosign(text, 5).line}\n", 422),
        (f"{note.replace('wattproof', 'else')}{WITNESS.cosign(text, 5).line}\n", 422),
        ("nothing", 422),
        ("x" * 70_000, 413),
    ):
        answer = await site.client.post("/log/cosignature", content=body)
        assert answer.status_code == status, body[:200]


async def test_the_same_log_can_be_published_as_a_folder(
    site: ApiSite, folder: Path, session_id: str, tmp_path: Path
) -> None:
    assert session_id
    export = tmp_path / "export"
    now = site.gateway.clock.now()
    store = StoreConfig(path=folder / "data")
    for for_auditors in (False, True):
        line = publish(store, export, now=now, discloses_private=for_auditors)
        assert (export / "key").read_text("utf-8").strip() in line
    served = (await site.client.get("/log/key")).text
    assert (export / "key").read_text("utf-8") == served
    found = await look(site, tmp_path, source=str(export))
    assert (found["event"], found["checked"]["settlement"]) == ("good", 1)


async def test_who_asks_too_often_must_wait(site: ApiSite) -> None:
    with mock.patch.object(Pace, "admits", return_value=False):
        answer = await site.client.get("/log/key")
    assert answer.status_code == 429
    assert answer.json()["error"] == "too_often"
