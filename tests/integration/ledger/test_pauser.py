"""A fresh deployment can be stopped, by the one address that was named for it."""

from pathlib import Path

import pytest

from ledger.contracts import artifact, role
from ledger.deploy import ORDER
from ledger.sqlite_store import SqliteStore
from tests.support.ledger_site import PAUSER, fixed_signers, make_site


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
