"""``witness`` as a command, asking a chain: its exit code and its words.

With the file of an embedded chain (``--chain``) and with a node (``--rpc``).
"""

import copy
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ledger.__main__ import main
from tests.support.ledger_backends import Backend
from tests.support.ledger_site import Site, make_site
from tests.support.optimizer_problems import typical_day
from tests.support.public_log import PublicLog, public_log
from tests.support.sealed_plan import Document, in_log, seal_plan, solved_plan

NOBODY = "http://127.0.0.1:9"


@dataclass
class Shown:
    """A site that settled two sessions and made a plan, and what it shows of them."""

    site: Site
    backend: Backend
    plan: Document
    receipts: dict[str, Document]

    def documents(self, **other: Document) -> dict[str, Document]:
        """What is shown by session, and the plan; some of it otherwise."""
        return {**self.receipts, "plan": self.plan, **other}

    @property
    def contracts(self) -> dict[str, object]:
        named = self.site.worker.bundle_chain
        assert named is not None
        return {"anchor_contract": named.anchor_contract}

    @property
    def asking(self) -> list[str]:
        (how, where) = next(iter(self.backend.ask(self.site.folder).items()))
        return [{"rpc_url": "--rpc", "chain_path": "--chain"}[how], str(where)]


@pytest.fixture(scope="module")
def solved() -> Document:
    return solved_plan(typical_day(3, n_session=2, n_step=8, limit_a=30.0))


@pytest.fixture(scope="module")
def shown(
    tmp_path_factory: pytest.TempPathFactory, backend: Backend, solved: Document
) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("site")
    with backend.apart():
        site = make_site(folder, chain=backend.open(folder))
        for session_id in ("s-1", "s-2"):
            site.add_session(session_id)
            site.worker.step(site.clock.advance(1), flush=True)
        index = seal_plan(site, solved)
        summary = site.worker.step(site.clock.advance(1), flush=True)
        assert (summary.alarms, summary.backlog) == ((), 0)
        yield Shown(
            site=site,
            backend=backend,
            plan=in_log(site, index, solved),
            receipts={name: site.receipt(name) for name in ("s-1", "s-2")},
        )
        site.conn.close()


@dataclass
class Command:
    """The command with a state of its own; a new process for every look."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    options: list[str]
    said: dict[str, Any] = field(default_factory=dict)

    def __call__(self, log: PublicLog, *more: str, state: str = "state") -> int:
        given = ["--state", str(self.folder / state), "--once"]
        key = ["--key", str(self.folder / "witness.key")]
        code = main(["witness", str(log.folder), *given, *key, *self.options, *more])
        self.said = json.loads(self.capsys.readouterr().out.splitlines()[-1])
        return code

    @property
    def alarms(self) -> list[str]:
        return [one["alarm"] for one in self.said["alarms"]]


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shown: Shown
) -> Command:
    return Command(tmp_path, capsys, shown.asking)


@pytest.fixture
def log(shown: Shown, tmp_path: Path) -> PublicLog:
    made = PublicLog(
        folder=tmp_path / "export", conn=shown.site.conn, chain=shown.contracts
    )
    show(made, shown.documents())
    return made


def show(log: PublicLog, documents: dict[str, Document]) -> None:
    log.kinds = frozenset({"plan", "settlement"})
    log.document = lambda leaf: documents[
        "plan" if leaf.kind == "plan" else leaf.subject
    ]
    log.publish()


def copied(log: PublicLog, folder: Path, size: int) -> PublicLog:
    """The first leaves of a log, in a log of its own."""
    other = public_log(folder, at=log.at, chain=log.chain, kinds=frozenset())
    rows = log.conn.execute("SELECT * FROM leaf WHERE leaf_index < ?", (size,))
    other.conn.executemany("INSERT INTO leaf VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    return other


def size_of(conn: sqlite3.Connection) -> int:
    (size,) = conn.execute("SELECT count(*) FROM leaf").fetchone()
    return int(size)


def test_an_honest_log_is_good_and_its_head_cosigned(
    command: Command, log: PublicLog
) -> None:
    assert command(log) == 0
    assert command.said["event"] == "good"
    assert command.said["checked"] == {"settlement": 2, "plan": 1}
    assert command.said["cosigned"] is True
    assert command(log) == 0, "and so it stays"


def test_a_fork_is_an_alarm_with_and_without_memory(
    command: Command, log: PublicLog, tmp_path: Path
) -> None:
    assert command(log) == 0
    size = size_of(log.conn)
    other = copied(log, tmp_path / "fork", size - 1)
    other.read(2)
    other.publish()
    assert command(other) == 1
    assert (command.alarms, command.said["cosigned"]) == (["fork"], False)
    assert command(other, state="fresh") == 1
    assert (command.alarms, command.said["cosigned"]) == (["chain-fork"], False)


def test_a_shrunken_log_is_an_alarm_with_and_without_memory(
    command: Command, log: PublicLog, tmp_path: Path
) -> None:
    assert command(log) == 0
    other = copied(log, tmp_path / "short", 5)
    other.publish()
    assert command(other) == 1
    assert (command.alarms, command.said["cosigned"]) == (["shrunk"], False)
    at_once = ("--stale", "0")
    assert command(other, *at_once, state="fresh") == 0, "it may be on its way"
    other.publish()
    assert command(other, *at_once, state="fresh") == 1
    assert (command.alarms, command.said["cosigned"]) == (["behind-chain"], False)


def test_a_wrong_plan_is_an_alarm_until_somebody_looked_at_it(
    command: Command, log: PublicLog, shown: Shown
) -> None:
    wrong = copy.deepcopy(shown.plan)
    wrong["certificate"]["currents_da"][0][0] += 1
    show(log, shown.documents(plan=wrong))
    assert command(log) == 1
    assert (command.alarms, command.said["cosigned"]) == (["bad-plan"], False)
    show(log, shown.documents())
    assert command(log) == 1
    assert command.alarms == ["bad-plan"], "it is not forgotten"
    assert command(log, "--forget-faults") == 0


def test_a_settlement_that_the_chain_does_not_know_is_an_alarm(
    command: Command, log: PublicLog, shown: Shown
) -> None:
    wrong = copy.deepcopy(shown.receipts["s-1"])
    wrong["settlement_tx"] = shown.receipts["s-2"]["settlement_tx"]
    show(log, shown.documents(**{"s-1": wrong}))
    assert command(log) == 1
    assert (command.alarms, command.said["cosigned"]) == (["bad-settlement"], False)
    assert "settlement-on-chain" in command.said["alarms"][0]["text"]
    command.options = []
    assert command(log, state="offline") == 0, "only the chain can tell"


def test_another_contract_and_a_chain_that_is_away_are_told(
    command: Command, log: PublicLog, shown: Shown, tmp_path: Path
) -> None:
    named = shown.site.worker.bundle_chain
    assert named is not None
    assert command(log, "--anchor", named.settlement_contract) == 1
    assert command.alarms == ["chain-fork"]
    away = {"--rpc": NOBODY, "--chain": str(tmp_path / "none.db")}
    command.options[1] = away[command.options[0]]
    assert command(log, state="fresh") == 1
    assert (command.alarms, command.said["cosigned"]) == (["chain-unavailable"], False)
