"""The worker with keys at a signer service: trouble there is an alarm, and no more."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import SignerUnavailableError
from ledger.outbox import Fees, State
from ledger.runner import RunnerSettings
from ledger.settle import SettlementWay
from ledger.signer_http import RemoteSigner
from ledger.sqlite_store import SqliteStore, Transactor
from ledger.worker import AnchorWorker, WorkerSettings, WorkerState
from tests.support.ledger_site import Site, fixed_signers, make_site
from tests.support.rpc_server import error
from tests.support.signer_service import OTHER, SignerService, running_signer

TROUBLES: dict[str, tuple[Callable[[SignerService], None], str]] = {
    "down": (lambda it: setattr(it, "says", 503), "does not answer: HTTP 503"),
    "hangs up": (lambda it: setattr(it, "says", hang_up), "does not answer"),
    "garbage": (lambda it: setattr(it, "says", b"{}"), "no raw transaction"),
    "locked": (lambda it: setattr(it, "says", error("locked")), "refused: locked"),
    "wrong key": (lambda it: setattr(it, "signed_by", OTHER), "with the key of"),
    "nonce": (lambda it: it.changes.update(nonce=7), "the nonce was changed"),
    "value": (lambda it: it.changes.update(value=1), "the value was changed"),
    "chain id": (lambda it: it.changes.update(chain_id=5), "the chain id was changed"),
}


def hang_up() -> None:
    """What the server takes for no answer at all."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[Site, SignerService]]:
    """A site whose anchorer and settler are at a service; the registrar is here."""
    both_keys = WorkerSettings(anchor_interval_s=0, way=SettlementWay.BATCH)
    site = make_site(tmp_path, settings=both_keys)
    local: Any = fixed_signers()
    chain_id = site.chain.identity().chain_id
    with running_signer(local.anchorer, local.settler, chain_id=chain_id) as (it, _):
        site.signers = replace(
            local,
            anchorer=RemoteSigner(it.url, local.anchorer.address),
            settler=RemoteSigner(it.url, local.settler.address),
        )
        site.worker = AnchorWorker(
            chain=site.chain,
            transact=Transactor(site.conn),
            signers=site.signers,
            settings=both_keys,
        )
        yield site, it
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def test_every_trouble_of_the_service_is_an_alarm_that_costs_no_nonce(
    service: tuple[Site, SignerService],
) -> None:
    site, it = service
    site.add_session("s-0")
    assert site.worker.step(site.clock.at).settlements_mined == 1
    used = {one.address: site.chain.nonce(one.address) for one in site.signers.all()}
    site.add_session("s-1")
    for name, (begin, said) in TROUBLES.items():
        it.says, it.signed_by, it.changes = None, None, {}
        begin(it)
        asked = len(it.asked)
        summary = site.worker.step(site.clock.advance(400))
        assert summary.state is WorkerState.ALARM, name
        assert len(summary.alarms) == 2, "one for each key of the service"
        assert all(said in alarm for alarm in summary.alarms), (name, summary.alarms)
        assert (summary.settlements_pending, summary.failed) == (1, 0)
        assert len(it.asked) == asked + 2, "each key is asked once in a step"
        rows = SqliteStore(site.conn).open_txs(site.chain.identity().key)
        assert {row.state for row in rows} == {State.SEALED}
    for address, nonce in used.items():
        assert site.chain.nonce(address) == nonce
    it.says, it.signed_by, it.changes = None, None, {}
    summary = site.worker.step(site.clock.advance(400))
    assert (summary.alarms, summary.backlog, summary.settlements_mined) == ((), 0, 2)


class Silent:
    """A signer that stops answering when it is told to."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.is_silent = False

    @property
    def address(self) -> str:
        return str(self.inner.address)

    def sign(self, **asked: Any) -> tuple[bytes, bytes]:
        if self.is_silent:
            raise SignerUnavailableError("the signer does not answer")
        signed: tuple[bytes, bytes] = self.inner.sign(**asked)
        return signed


class Stuck:
    """A chain that takes transactions and mines none while it is told not to."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.is_stuck = False
        self.taken: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def fees(self) -> Fees:
        fees: Fees = self.inner.fees()
        return fees

    def send_raw(self, raw: bytes) -> None:
        self.taken.append(raw)
        if not self.is_stuck:
            self.inner.send_raw(raw)


def test_a_signer_that_is_away_does_not_keep_what_is_signed_from_being_sent_again(
    tmp_path: Path,
) -> None:
    first = make_site(tmp_path)
    chain, signer = Stuck(first.chain), Silent(fixed_signers().anchorer)
    worker = AnchorWorker(
        chain=chain,
        transact=Transactor(first.conn),
        signers=replace(fixed_signers(), anchorer=signer),
        settings=WorkerSettings(
            anchor_interval_s=0, runner=RunnerSettings(bump_after_s=30)
        ),
    )
    worker.step(first.clock.at)
    first.add_noise(3)
    chain.is_stuck = True
    worker.step(first.clock.advance(1))
    signed = chain.taken[-1]
    signer.is_silent = True
    sent = len(chain.taken)
    summary = worker.step(first.clock.advance(60))
    assert summary.alarms == ("the signer does not answer",)
    assert set(chain.taken[sent:]) == {signed}, "sent again as it was"
    signer.is_silent = False
    worker.step(first.clock.advance(1))
    assert chain.taken[-1] != signed, "replaced with higher fees"
    chain.is_stuck = False
    summary = worker.step(first.clock.advance(1))
    assert (summary.alarms, summary.backlog) == ((), 0)
    first.conn.close()
    first.chain.close()  # type: ignore[attr-defined]  # embedded
