"""A key is replaced while work goes on: granted, switched, drained, revoked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from ledger.address_book import AddressBook, read_book
from ledger.clock import SystemClock
from ledger.embedded import EmbeddedChain
from ledger.errors import OperationFailedError
from ledger.keys import LocalSigner
from ledger.operating import Operation, begin
from ledger.outbox import Purpose, TxDraft
from ledger.rotation import ROLES, give, list_roles, rows_in_flight, take_back
from ledger.sqlite_store import Transactor, transaction
from ledger.worker import AnchorWorker, WorkerSettings
from tests.support.deployed import deployed
from tests.support.ledger_site import (
    ADMIN,
    PAUSER,
    Site,
    fixed_signers,
    make_site,
)

NEW = LocalSigner(bytes([6]) * 32)
OLD = fixed_signers().anchorer.address


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contracts on an embedded chain, and the file that says so."""
    folder = tmp_path_factory.mktemp("deployment")
    made = make_site(folder)
    deployed(made.chain, folder / "contracts.json", made.signers.holders(), admin=ADMIN)
    made.conn.close()
    made.chain.close()  # type: ignore[attr-defined]  # embedded
    return folder


@pytest.fixture
def site(deployment: Path, tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    copytree(deployment, folder)
    made = make_site(folder)
    yield made
    made.conn.close()
    made.chain.close()  # type: ignore[attr-defined]  # embedded


@contextmanager
def admin_of(
    site: Site, admin: LocalSigner = ADMIN, patience_s: float = 20
) -> Iterator[Operation]:
    with begin(
        chain=site.chain,
        admin=admin,
        work=site.folder / "contracts.json.work",
        clock=SystemClock(),
        say=lambda _line: None,
        patience_s=patience_s,
    ) as operation:
        yield operation


def book_of(site: Site) -> AddressBook:
    return read_book(site.folder / "contracts.json")


def worker_of(site: Site, anchorer: LocalSigner | None = None) -> AnchorWorker:
    """A gateway without the admin's key, as after a start."""
    signers = replace(fixed_signers(), admin=None)
    if anchorer is not None:
        signers = replace(signers, anchorer=anchorer)
    return AnchorWorker(
        chain=site.chain,
        transact=Transactor(site.conn),
        signers=signers,
        settings=WorkerSettings(anchor_interval_s=0),
        book=book_of(site),
    )


def holders_of(site: Site, role: str) -> set[tuple[str, ...]]:
    contract, right = ROLES[role]
    known = [NEW.address, OLD, ADMIN.address, PAUSER.address]
    return {
        line.holders
        for line in list_roles(site.chain, book_of(site), known)
        if line.role_name == right and contract in {None, line.contract}
    }


def in_flight(site: Site, of: str) -> int:
    key = site.chain.identity().key
    return rows_in_flight(site.folder / "gateway.db", key, of)


def test_a_key_is_replaced_and_no_head_is_missed(site: Site) -> None:
    site.add_session("s-1")
    summary = worker_of(site).step(site.clock.at)
    assert (summary.alarms, summary.settlements_mined) == ((), 1)
    with admin_of(site) as operation:
        moved = give(operation, book_of(site), "anchorer", NEW.address)
    moved.write(site.folder / "contracts.json")
    assert holders_of(site, "anchorer") == {tuple(sorted([OLD, NEW.address]))}
    site.add_noise(2)
    assert worker_of(site).step(site.clock.advance(1)).backlog == 0  # by the old key
    reopened = EmbeddedChain.create_or_open(
        site.folder / "chain.db", clock=site.clock, funded=[NEW.address]
    )
    reopened.close()
    site.add_noise(2)
    summary = worker_of(site, NEW).step(site.clock.advance(1))
    assert (summary.alarms, summary.backlog) == ((), 0)
    with admin_of(site) as operation:
        take_back(operation, moved, "anchorer", OLD, lambda: in_flight(site, OLD))
    assert holders_of(site, "anchorer") == {(NEW.address,)}
    site.add_noise(2)
    assert worker_of(site, NEW).step(site.clock.advance(1)).backlog == 0
    site.add_noise(2)
    refused = worker_of(site).step(site.clock.advance(400))
    assert refused.backlog > 0
    assert any("ANCHORER_ROLE" in alarm for alarm in refused.alarms)


def test_a_role_can_return_to_a_key_that_had_it_before(site: Site) -> None:
    path = site.folder / "contracts.json"
    for to, old in ((NEW.address, OLD), (OLD, NEW.address), (NEW.address, OLD)):
        with admin_of(site) as operation:
            moved = give(operation, book_of(site), "anchorer", to)
            moved.write(path)
            take_back(operation, moved, "anchorer", old, lambda: 0)
        assert holders_of(site, "anchorer") == {(to,)}


def test_nothing_is_revoked_while_the_old_key_has_work_under_way(site: Site) -> None:
    worker = worker_of(site)
    worker.step(site.clock.at)
    key = site.chain.identity().key
    draft = TxDraft(
        chain=key,
        purpose=Purpose.FILL,
        purpose_key="a test",
        sender=OLD,
        to=OLD,
        calldata=b"",
        facts={},
    )
    with transaction(site.conn) as store:
        store.seal(draft, site.clock.at)
    assert in_flight(site, OLD) == 1
    with admin_of(site) as operation:
        moved = give(operation, book_of(site), "anchorer", NEW.address)
    with (
        admin_of(site, patience_s=0.05) as operation,
        pytest.raises(OperationFailedError, match="nothing moved"),
    ):
        take_back(operation, moved, "anchorer", OLD, lambda: in_flight(site, OLD))
    assert OLD in next(iter(holders_of(site, "anchorer")))
    assert worker.step(site.clock.advance(1)).alarms == ()
    assert in_flight(site, OLD) == 0
    with admin_of(site) as operation:
        take_back(operation, moved, "anchorer", OLD, lambda: in_flight(site, OLD))
    assert holders_of(site, "anchorer") == {(NEW.address,)}


def test_the_last_holder_keeps_the_role_and_strangers_move_nothing(site: Site) -> None:
    book = book_of(site)
    with admin_of(site) as operation:
        with pytest.raises(OperationFailedError, match="grant the role to a new key"):
            take_back(operation, book, "anchorer", OLD, lambda: 0)
        named = replace(book, roles={**book.roles, "anchorer": NEW.address})
        with pytest.raises(OperationFailedError, match="nobody could go on"):
            take_back(operation, named, "anchorer", OLD, lambda: 0)
    assert isinstance(site.signers.settler, LocalSigner)
    with (
        admin_of(site, site.signers.settler) as operation,
        pytest.raises(OperationFailedError, match="cannot grant it"),
    ):
        give(operation, book, "anchorer", NEW.address)
    assert holders_of(site, "anchorer") == {(OLD,)}


def test_the_admin_hands_over_and_leaves_and_an_upgrade_goes_on(site: Site) -> None:
    assert isinstance(site.signers.registrar, LocalSigner)
    next_admin = site.signers.registrar
    with admin_of(site) as operation:
        moved = give(operation, book_of(site), "admin", next_admin.address)
        moved = give(operation, moved, "pauser", NEW.address)
    moved.write(site.folder / "contracts.json")
    with admin_of(site, next_admin) as operation:
        take_back(operation, moved, "admin", ADMIN.address, lambda: 0)
        take_back(operation, moved, "pauser", PAUSER.address, lambda: 0)
    assert holders_of(site, "admin") == {(next_admin.address,)}
    assert holders_of(site, "pauser") == {(NEW.address,)}
    site.add_session("s-1")
    summary = worker_of(site).step(site.clock.advance(1))
    assert summary.settlements_mined == 1, "only the pauser is missed"
    assert len(summary.alarms) == 5
    assert all("`wattproof ledger deploy`" in alarm for alarm in summary.alarms)
