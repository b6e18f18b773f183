"""Contracts on a chain as the command of the operator brings them there."""

from collections.abc import Callable
from pathlib import Path

from ledger.address_book import AddressBook
from ledger.clock import SystemClock
from ledger.deploying import deploy
from ledger.keys import Passphrase, load_key
from ledger.operating import begin
from ledger.ports import Chain, Holders, Signer
from ledger.role_keys import load_operational

PATIENCE_S = 60.0


def holders_in(folder: Path) -> Holders:
    """The addresses of a gateway's keys (made if they are missing)."""
    return load_operational(
        folder, references={}, passphrase=Passphrase(), signer_url=None, pauser=None
    ).holders()


def deployed(
    chain: Chain,
    path: Path,
    holders: Holders,
    *,
    admin: Signer | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> AddressBook:
    """Deploy and write the address file, as ``wattproof ledger deploy`` does."""
    with begin(
        chain=chain,
        admin=admin or load_key(path.with_name("admin.key")),
        work=path.with_name(path.name + ".work"),
        clock=SystemClock(),
        say=say,
        patience_s=PATIENCE_S,
    ) as operation:
        return deploy(operation, holders, path)
