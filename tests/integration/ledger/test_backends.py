"""The same story with every backend: no chain, embedded, a node, a node of a PoA chain.

A site charges while its chain is away, is settled when the chain is back, gives money
back, and begins again from its files. What must hold is the same everywhere; only how
much a verifier may say differs.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger import check_names
from ledger.chain import JsonRpcChain
from ledger.contracts import artifact
from ledger.embedded import EmbeddedChain
from ledger.errors import ChainUnavailableError
from ledger.keys import LocalSigner
from ledger.ports import Signers
from ledger.verify import verify
from ledger.worker import StepSummary, WorkerSettings, WorkerState
from tests.support.anvil import Node, running_node
from tests.support.ledger_site import (
    Site,
    SteppedClock,
    embedded_chain,
    fixed_signers,
    make_site,
)
from tests.support.poa_node import running_poa

ON_CHAIN = (*check_names.ON_CHAIN, "settlement-on-chain")
PATIENCE_S = 20.0
FINAL_AFTER = 65
"""Blocks: where a node calls none final, the 64th before the newest is."""


@dataclass
class Away:
    """A chain that can be out of reach; ``None`` is so for ever."""

    chain: EmbeddedChain | JsonRpcChain | None
    is_away: bool = True

    def __getattr__(self, name: str) -> Any:
        if self.is_away:
            raise ChainUnavailableError("nobody answers")
        return getattr(self.chain, name)


@dataclass
class Backend:
    """A backend.

    Attributes:
        chain: Behind a switch.
        good: The best that a verifier says of the chain.
        ask: How a verifier asks it.
        mine: Makes blocks, so that those before become final.
    """

    name: str
    folder: Path
    good: str
    chain: Any
    ask: dict[str, Any]
    signers: Signers
    clock: SteppedClock
    mine: Callable[[], object]

    def open(self) -> Site:
        """The site from its files, as at the first start and at every other."""
        return make_site(
            self.folder,
            chain=self.chain,
            clock=self.clock,
            settings=WorkerSettings(anchor_interval_s=60),
            signers=self.signers,
        )


def verdicts(receipt: dict[str, Any], **how: Any) -> dict[str, str]:
    """What a verifier says of all that a receipt claims."""
    report = verify(json.dumps(receipt).encode(), **how)
    return {one.name: one.verdict.value for one in report.checks if one.is_claimed}


def drained(site: Site, backend: Backend) -> StepSummary:
    """Step until nothing waits any more; blocks come meanwhile, as they do."""
    until = time.monotonic() + PATIENCE_S
    while True:
        summary = site.worker.step(site.clock.advance(61), flush=True)
        waiting = (
            summary.backlog + summary.settlements_pending + summary.credits_pending
        )
        if not waiting and summary.contracts is not None:
            return summary
        assert time.monotonic() < until, f"it never settles down: {summary}"
        backend.mine()


def nothing() -> None:
    """Make no block: that of a transaction is there, and final, at once."""


def other_signers() -> Signers:
    """Keys of another operator on the same chain."""
    keys = [LocalSigner(bytes([9]) * 31 + bytes([number])) for number in range(1, 6)]
    return Signers(
        admin=keys[0],
        anchorer=keys[1],
        settler=keys[2],
        registrar=keys[3],
        pauser=keys[4].address,
    )


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with running_node("--slots-in-an-epoch", "2") as running:
        for signer in (*fixed_signers().all(), *other_signers().all()):
            running.fund(signer.address)
        yield running


@pytest.fixture(
    scope="module",
    params=[
        "none",
        "embedded",
        pytest.param("rpc", marks=pytest.mark.chain),
        pytest.param("poa", marks=pytest.mark.chain),
    ],
)
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    name, folder = request.param, tmp_path_factory.mktemp("site")
    signers, clock = fixed_signers(), SteppedClock()
    chain: EmbeddedChain | JsonRpcChain | None
    ask: dict[str, Any] = {}
    mine: Callable[[], object] = nothing
    with ExitStack() as stack:
        match name:
            case "none":
                chain, good = None, "unchecked"
            case "embedded":
                chain = stack.enter_context(closing(embedded_chain(folder, clock)))
                good, ask = "self-witnessed", {"chain_path": folder / "chain.db"}
            case _:
                node: Node = request.getfixturevalue("node")
                mine, url = partial(node.ask, "anvil_mine", hex(FINAL_AFTER)), node.url
                if name == "poa":
                    signers = other_signers()
                    disguise = running_poa(node)
                    url = stack.enter_context(disguise).url
                chain = stack.enter_context(closing(JsonRpcChain(url)))
                good, ask = "true", {"rpc_url": url}
        yield Backend(
            name=name,
            folder=folder,
            good=good,
            chain=Away(chain),
            ask=ask,
            signers=signers,
            clock=clock,
            mine=mine,
        )


def sent(site: Site, purpose: str) -> int:
    """How many transactions of a purpose were made and not given up."""
    text = "SELECT count(*) FROM outbox_tx WHERE purpose = ? AND state <> 'failed'"
    (number,) = site.conn.execute(text, (purpose,)).fetchone()
    return int(number)


def test_the_story_of_a_site_is_the_same_with_every_backend(backend: Backend) -> None:
    # Away: charging, sealing and receipts go on, and wait for nobody.
    site = backend.open()
    sessions = [f"s-{number}" for number in range(3)]
    for session_id in sessions:
        site.add_session(session_id)
        site.add_noise(3)
        summary = site.worker.step(site.clock.advance(61))
        assert summary.state is WorkerState.CHAIN_UNAVAILABLE
        assert summary.backlog == summary.leaf_count > 0
    for session_id in sessions:
        said = verdicts(site.receipt(session_id), **backend.ask)
        assert {said.pop(name) for name in ON_CHAIN} == {"unchecked"}
        assert set(said.values()) == {"true"}
    if backend.chain.chain is None:
        site.conn.close()
        return

    # Back: one head covers all of it, one batch settles all sessions.
    backend.chain.is_away = False
    summary = drained(site, backend)
    assert summary.alarms == ()
    assert (summary.settlements_mined, summary.settlements_refused) == (3, 0)
    assert (sent(site, "anchor"), sent(site, "settle")) == (1, 1)
    assert summary.contracts is not None
    head = artifact("StatusAnchor").result(
        "head",
        site.chain.call(
            summary.contracts.status_anchor, artifact("StatusAnchor").calldata("head")
        ),
    )
    assert head[0] == summary.leaf_count
    for session_id in sessions:
        said = verdicts(site.receipt(session_id), **backend.ask)
        assert {said[name] for name in ON_CHAIN} == {backend.good}
        assert "false" not in said.values()

    # Money back, and a process that begins again from its files: nothing twice.
    site.add_credit("s-1", 3)
    site.conn.close()
    again = backend.open()
    again.bills = site.bills
    again.add_session("s-3")
    summary = drained(again, backend)
    assert summary.alarms == ()
    assert summary.contracts is not None
    assert (summary.settlements_mined, summary.credits_mined) == (4, 1)
    assert sent(again, "deploy") == len(summary.contracts.by_name())
    said = verdicts(again.receipt("s-1"), **backend.ask)
    assert said["credits-on-chain"] == backend.good

    # What is changed afterwards is seen, whoever is asked.
    forged = again.receipt("s-3")
    forged["settlement_tx"] = again.receipt("s-0")["settlement_tx"]
    said = verdicts(forged, **backend.ask)
    assert said["settlement-on-chain"] == "false"
    again.conn.close()
