"""``kill -9`` of the whole gateway under load: nothing lost, nothing counted twice.

It is killed while stations send, while it starts, at checkpoints, in a graceful stop
and during a backup, with everything on: the embedded chain, a tariff with time and a
fee, signed readings. ``WATTPROOF_CRASH_ROUNDS`` sets the number of kills
(``make soak-crash`` sets many), ``WATTPROOF_CRASH_SEED`` repeats a run. On a node,
which lives on when its gateway dies, a quarter of them: nothing is settled twice there.
"""

import asyncio
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger import merkle
from ledger.address_book import read_book
from ledger.chain import JsonRpcChain
from ledger.contracts import artifact
from ledger.keys import load_key
from ledger.verify import Verdict, verify
from tests.support.anvil import Node, running_node
from tests.support.crashes import crash, crash_while_starting, crashes
from tests.support.deployed import deployed, holders_in
from tests.support.gateway_process import (
    GatewayProcess,
    gateway,
    new_token,
    write_config,
)
from tests.support.ocmf import Meter
from tests.support.queue_station import PASSWORD, Acknowledged, QueueStation

pytestmark = pytest.mark.e2e

ROUNDS = int(os.environ.get("WATTPROOF_CRASH_ROUNDS", "5"))
SEED = int(
    os.environ.get("WATTPROOF_CRASH_SEED") or random.randrange(1_000_000)  # noqa: S311 - when to kill, not a secret
)
TAGS = ("TAG1", "TAG2", "TAG3", "TAG4")
STATIONS = {
    "CP16-1": "ocpp1.6",
    "CP16-2": "ocpp1.6",
    "CP201-1": "ocpp2.0.1",
    "CP201-2": "ocpp2.0.1",
}
SIGNING = "CP201-1"
"""Signs the begin and the end of every session."""
SETTLE_TIMEOUT_S = 60.0 + ROUNDS
TRACEBACK_LINES = 60
ENERGY = '{ type = "ENERGY", price = "0.40" }'
PRICES = (
    ENERGY
    + """, { type = "FLAT", price = "0.35" },
  { type = "TIME", price = "1.234" }"""
)


@pytest.fixture(params=["embedded", pytest.param("anvil", marks=pytest.mark.chain)])
def node(request: pytest.FixtureRequest) -> Iterator[Node | None]:
    """The chain's node; ``None``: an embedded chain."""
    if request.param == "embedded":
        yield None
        return
    with running_node() as running:
        yield running


@pytest.mark.timeout(180 + 30 * ROUNDS)
async def test_what_was_acknowledged_survives_kill_9_exactly_once(
    tmp_path: Path, node: Node | None
) -> None:
    ports, token = await configured(tmp_path)
    if node is not None:
        await asyncio.to_thread(anchor_at, node, tmp_path)
    rounds = ROUNDS if node is None else max(1, ROUNDS // 4)
    print(f"WATTPROOF_CRASH_SEED={SEED}")  # noqa: T201 - shown when the test fails
    stations = yard(ports[0])
    survived = Survived(tmp_path, stations)
    kills: Counter[str] = Counter()
    complaints: list[str] = []
    async with asyncio.TaskGroup() as group:
        for station in stations:
            group.create_task(station.run())
        async with gateway(tmp_path, ports, admin_token=token) as running:
            await prepare(running)
            await running.kill()
        for life, planned in enumerate(crashes(SEED, rounds), start=1):
            if planned.kind == "start":
                await crash_while_starting(tmp_path, planned)
            else:
                async with gateway(tmp_path, ports, admin_token=token) as running:
                    await crash(running, planned)
                complaints += tracebacks(running)
            kills[planned.kind] += 1
            survived.check()
            print(  # noqa: T201 - progress
                f"kill {life} of {rounds} ({planned.kind}):"
                f" {survived.n_checked} acknowledged, none missing",
                flush=True,
            )
        async with gateway(tmp_path, ports, admin_token=token) as running:
            await asyncio.sleep(0.5)
            for station in stations:
                station.drain()
            n_session = await settled(running, stations)
            await check_receipts(running, node)
            assert not tracebacks(running)
            assert await running.stop() == 0
    assert n_session > len(STATIONS)
    check_acknowledged(tmp_path, stations)
    check_once(tmp_path, stations)
    check_log(tmp_path)
    check_chain(tmp_path)
    if node is not None:
        assert settled_at(node, tmp_path) == n_session
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(kills.items()))
    n_message = sum(len(station.acknowledged) for station in stations)
    print(  # noqa: T201 - the figures of `make soak-crash`
        f"crashes: {kills.total()} kills ({told}); {n_message} acknowledged messages,"
        f" 0 missing; {n_session} sessions, each billed and settled once; seed {SEED}"
    )
    assert not complaints, "\n".join(complaints)


def anchor_at(node: Node, folder: Path) -> None:
    """Deploy at a node, and tell the gateway of it.

    In batches: a window of invoices waits for a head, and that for its interval.
    """
    holders = holders_in(folder / "data" / "keys")
    admin = load_key(folder / "admin.key").address
    for address in (admin, holders.anchorer, holders.settler, holders.registrar):
        node.fund(address)
    with closing(JsonRpcChain(node.url, confirmations=0)) as chain:
        deployed(chain, folder / "contracts.json", holders)
    path = folder / "config.toml"
    ours = 'backend = "embedded"'
    text = path.read_text()
    assert ours in text
    there = (
        f'backend = "rpc"\nrpc_url = "{node.url}"\nchain_id = 31337\n'
        'confirmations = 0\nsettlement = "batch"\ncontracts_file = "contracts.json"'
    )
    path.write_text(text.replace(ours, there))


def settled_at(node: Node, folder: Path) -> int:
    """How many sessions stand on the chain."""
    binding = artifact("Settlement")
    address = read_book(folder / "contracts.json").contracts["Settlement"].address
    with closing(JsonRpcChain(node.url)) as chain:
        data = chain.call(address, binding.calldata("settledCount"))
    return int(binding.result("settledCount", data)[0])


QUICK_STEPS = """
[optimizer]
step_s = 60
"""


async def configured(folder: Path) -> tuple[tuple[int, int], str]:
    """A site with everything on; its ports, and a token of an administrator."""
    ports = write_config(
        folder,
        dict.fromkeys(STATIONS, PASSWORD),
        ledger="embedded",
        extra=QUICK_STEPS,
    )
    price_time(folder)
    return ports, await new_token(folder)


def yard(ocpp_port: int) -> list[QueueStation]:
    """Of each version one station that charges now, and one back after an outage."""
    url = f"ws://127.0.0.1:{ocpp_port}/ocpp"
    stations = []
    for (station_id, subprotocol), tag in zip(STATIONS.items(), TAGS, strict=True):
        station = QueueStation(station_id, subprotocol, url, tag)
        if station_id.endswith("-2"):
            station.age_s, station.step_s, station.step_wh = 86_400, 10.0, 7
            station.pause_s = 0.05
        if station_id == SIGNING:
            station.meter = Meter()
        stations.append(station)
    return stations


def price_time(folder: Path) -> None:
    """Bill time and a fee as well."""
    path = folder / "config.toml"
    text = path.read_text().replace(ENERGY, PRICES)
    assert PRICES in text
    path.write_text(text)


def tracebacks(running: GatewayProcess) -> list[str]:
    """What the log holds from its first traceback on."""
    for number, line in enumerate(running.log):
        if "Traceback" in line:
            return running.log[number : number + TRACEBACK_LINES]
    return []


async def prepare(running: GatewayProcess) -> None:
    """What the gateway must know before cars are billed."""
    async with running.client() as api:
        answer = await api.put(
            f"/stations/{SIGNING}/meter-keys/1",
            json={"public_key": Meter().public_key},
        )
        assert answer.is_success, answer.text
    await put_tags(running)


async def put_tags(running: GatewayProcess) -> None:
    async with running.client() as api:
        for tag in TAGS:
            answer = await api.put(f"/id-tokens/{tag}", json={"status": "Accepted"})
            assert answer.status_code < 300, answer.text


async def settled(running: GatewayProcess, stations: Sequence[QueueStation]) -> int:
    """Wait until every session is billed (and on the chain); how many there are."""
    async with running.client() as api, asyncio.timeout(SETTLE_TIMEOUT_S):
        for station in stations:
            await station.drained.wait()
        n_session: int = sum(station.n_session for station in stations)
        while True:
            with database(running.folder) as conn:
                (n_settled,) = conn.execute(
                    "SELECT count(*) FROM bill WHERE status = 'settled'"
                ).fetchone()
            state: dict[str, Any] = (await api.get("/ledger")).json()
            on_chain: int = state["settlements_on_chain"]
            if n_settled == on_chain == n_session:
                return n_session
            await asyncio.sleep(0.25)


def database(folder: Path) -> "closing[sqlite3.Connection]":
    return closing(
        sqlite3.connect(f"file:{folder}/data/wattproof.db?mode=ro", uri=True)
    )


@dataclass(slots=True)
class Survived:
    """Looks from time to time whether everything that was answered is stored.

    Attributes:
        n_checked: Answered messages that were looked for so far.
    """

    folder: Path
    stations: Sequence[QueueStation]
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def n_checked(self) -> int:
        return self._seen.total()

    def check(self) -> None:
        """Look for what was answered since the last time."""
        news = [
            (station, station.acknowledged[self._seen[station.station_id] :])
            for station in self.stations
        ]
        check_stored(self.folder, news)
        for station, messages in news:
            assert not station.refused
            self._seen[station.station_id] += len(messages)


def check_acknowledged(folder: Path, stations: Sequence[QueueStation]) -> None:
    """Every answered message is in the store, with its registers."""
    assert not [station.refused for station in stations if station.refused]
    check_stored(folder, [(station, station.acknowledged) for station in stations])


def check_stored(
    folder: Path, messages: Sequence[tuple[QueueStation, Sequence[Acknowledged]]]
) -> None:
    with database(folder) as conn:
        sessions = {
            (station_id, wire_id): row
            for station_id, wire_id, *row in conn.execute(
                "SELECT station_id, transaction_id, register_start_milliwh,"
                " register_end_milliwh, phase FROM session"
            )
        }
        readings = set(
            conn.execute(
                "SELECT s.station_id, s.transaction_id, r.register_milliwh"
                " FROM reading r JOIN session s USING (session_id)"
            )
        )
    for station, acknowledged in messages:
        for action, payload, answer in acknowledged:
            where = (station.station_id, wire_id_of(action, payload, answer))
            start, end, phase = sessions[where]
            register = register_of(action, payload) * 1000
            match action, payload.get("eventType"):
                case ("StartTransaction", _):
                    assert start == register
                case ("StopTransaction", _):
                    assert (phase, end) == ("ended", register)
                case (_, "Ended"):
                    assert (phase, end) == ("ended", register)
                case _:
                    assert (*where, register) in readings


def check_once(folder: Path, stations: Sequence[QueueStation]) -> None:
    """No session, no reading, no bill more than there were."""
    with database(folder) as conn:
        counted = dict(
            conn.execute("SELECT station_id, count(*) FROM session GROUP BY station_id")
        )
        assert counted == {s.station_id: s.n_session for s in stations}
        doubled = conn.execute(
            "SELECT session_id, sampled_at, register_milliwh, count(*) FROM reading"
            " GROUP BY 1, 2, 3 HAVING count(*) > 1"
        ).fetchall()
        assert doubled == []
        verdicts = set(
            conn.execute(
                "SELECT DISTINCT station_id, bill.verdict FROM bill"
                " JOIN session USING (session_id)"
            )
        )
        assert verdicts == {
            (s.station_id, "ok-unsigned" if s.meter is None else "ok") for s in stations
        }
        energies = conn.execute(
            "SELECT station_id, sum(energy_milliwh) FROM bill JOIN session"
            " USING (session_id) GROUP BY station_id"
        ).fetchall()
        leaves = conn.execute(
            "SELECT kind, subject, count(*) FROM leaf"
            " WHERE kind IN ('session_start', 'settlement')"
            " GROUP BY kind, subject HAVING count(*) > 1"
        ).fetchall()
        assert leaves == []
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    expected = {
        s.station_id: s.n_session * (s.n_samples + 1) * s.step_wh * 1000
        for s in stations
    }
    assert dict(energies) == expected


def check_log(folder: Path) -> None:
    """The log has no gap, and its stored nodes are those of its leaves."""
    with database(folder) as conn:
        leaves = conn.execute(
            "SELECT leaf_index, commitment FROM leaf ORDER BY leaf_index"
        ).fetchall()
        nodes = conn.execute("SELECT level, node_index, hash FROM log_node").fetchall()
        (extended,) = conn.execute(
            "SELECT extended_leaf_count FROM log_state"
        ).fetchone()
    assert [index for index, _ in leaves] == list(range(len(leaves)))
    assert extended <= len(leaves)
    hashes = [merkle.leaf_hash(commitment) for _, commitment in leaves]
    for level, index, stored in nodes:
        width = 1 << level
        assert merkle.root(hashes[index * width : (index + 1) * width]) == stored


def check_chain(folder: Path) -> None:
    """Each settled session is on the chain once; every head is one of this log."""
    with database(folder) as conn:
        bills = {row[0] for row in conn.execute("SELECT session_key FROM bill")}
        queued = conn.execute(
            "SELECT session_key, state FROM settlement_queue JOIN outbox_tx"
            " USING (tx_id)"
        ).fetchall()
        heads = conn.execute(
            "SELECT size, root FROM anchored_head ORDER BY size"
        ).fetchall()
        hashes = [
            merkle.leaf_hash(commitment)
            for (commitment,) in conn.execute(
                "SELECT commitment FROM leaf ORDER BY leaf_index"
            )
        ]
    assert heads[-1][0] == len(hashes), "the last run ended with all anchored"
    for size, root in heads:
        assert merkle.root(hashes[:size]) == root
    assert {key for key, _ in queued} == bills
    assert len(queued) == len(bills)
    assert {state for _, state in queued} <= {"mined", "final"}


async def check_receipts(running: GatewayProcess, node: Node | None = None) -> None:
    """Receipts verify against a chain file that was killed too, or a node."""
    good = Verdict.SELF_WITNESSED if node is None else Verdict.TRUE
    ask: dict[str, Any] = {"chain_path": running.folder / "data" / "chain.db"}
    if node is not None:
        ask = {"rpc_url": node.url}
    async with running.client() as api:
        found = (await api.get("/sessions", params={"limit": 3})).json()
        for session in found["items"] if isinstance(found, dict) else found:
            answer = await api.get(f"/sessions/{session['session_id']}/receipt")
            assert answer.status_code == 200, answer.text
            report = await asyncio.to_thread(verify, answer.content, **ask)
            assert report.exit_code() == 0, report
            on_chain = {check.name: check.verdict for check in report.checks}
            assert on_chain["settlement-on-chain"] is good, report


def wire_id_of(action: str, payload: dict[str, Any], answer: dict[str, Any]) -> str:
    if action == "TransactionEvent":
        return str(payload["transactionInfo"]["transactionId"])
    if action == "StartTransaction":
        return str(answer["transactionId"])
    return str(payload["transactionId"])


def register_of(action: str, payload: dict[str, Any]) -> int:
    match action:
        case "StartTransaction":
            return int(payload["meterStart"])
        case "StopTransaction":
            return int(payload["meterStop"])
        case _:
            return int(payload["meterValue"][0]["sampledValue"][0]["value"])
