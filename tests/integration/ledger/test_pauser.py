"""A fresh deployment can be stopped, by the one address that was named for it."""

from pathlib import Path

import pytest

from ledger.contracts import artifact, role
from ledger.deploy import ORDER
from ledger.embedded import EmbeddedChain
from ledger.sqlite_store import SqliteStore
from tests.support.ledger_site import PAUSER, SteppedClock, fixed_signers, make_site


@pytest.mark.parametrize("name", ORDER)
def test_the_deployment_names_who_may_stop_each_contract(
    name: str, tmp_path: Path
) -> None:
    site = make_site(tmp_path)
    site.worker.step(site.clock.at)
    key = site.chain.identity().key
    address = SqliteStore(site.conn).deployed(key)[name].address
    asked = artifact(name)

    def may_pause(account: str) -> bool:
        call = asked.calldata("hasRole", role("PAUSER_ROLE"), account)
        (answer,) = asked.result("hasRole", site.chain.call(address, call))
        return bool(answer)

    assert may_pause(PAUSER.address)
    assert not any(may_pause(signer.address) for signer in fixed_signers().all())
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded


def test_a_pauser_named_after_the_chain_was_made_has_gas_and_can_pause(
    tmp_path: Path,
) -> None:
    clock = SteppedClock()
    signers = fixed_signers()
    addresses = [signer.address for signer in signers.all()]
    path = tmp_path / "chain.db"
    EmbeddedChain.create_or_open(path, clock=clock, funded=addresses).close()
    site = make_site(
        tmp_path,
        chain=EmbeddedChain.create_or_open(
            path, clock=clock, funded=[*addresses, PAUSER.address]
        ),
        clock=clock,
    )
    contracts = site.worker.step(clock.at).contracts
    assert contracts is not None
    settlement = artifact("Settlement")
    raw, _hash = PAUSER.sign(
        chain_id=site.chain.identity().chain_id,
        nonce=0,
        to=contracts.settlement,
        calldata=settlement.calldata("pause"),
        gas_limit=100_000,
        fees=site.chain.fees(),
    )
    site.chain.send_raw(raw)
    data = site.chain.call(contracts.settlement, settlement.calldata("paused"))
    assert settlement.result("paused", data) == (True,)
    height = site.chain.latest_block()
    site.conn.close()
    site.chain.close()  # type: ignore[attr-defined]  # embedded
    again = EmbeddedChain.create_or_open(
        path, clock=clock, funded=[*addresses, PAUSER.address]
    )
    assert again.latest_block() == height, "nobody is paid twice"
    again.close()
