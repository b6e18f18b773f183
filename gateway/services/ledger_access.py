"""Opens what the ledger needs from outside: the keys, and the contracts' addresses.

On a chain of others (``rpc``) the admin's key is neither needed nor looked at: who
deploys and grants does so with ``wattproof ledger deploy``. The embedded chain keeps an
admin of its own beside the other keys.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from gateway.config import LedgerConfig, StoreConfig
from gateway.errors import StartupError
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from ledger.address_book import AddressBook
    from ledger.ports import Signers

ADMIN_FILES: Final = ("admin.key", "admin.json")
_log: Final = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerAccess:
    """What was opened.

    Attributes:
        book: Where the contracts are; ``None``: those that the database knows.
    """

    signers: "Signers"
    book: "AddressBook | None"


def open_access(ledger: LedgerConfig, store: StoreConfig) -> LedgerAccess:
    """Read keys and addresses; slow where a keystore has a passphrase: in a thread.

    Raises:
        StartupError: One of them cannot be used; says which, and never a secret.
    """
    # Imported here: web3 takes a second to load, and only this thread waits.
    from ledger.address_book import read_book  # noqa: PLC0415 - see above
    from ledger.role_keys import load_signers  # noqa: PLC0415 - see above

    try:
        store.path.mkdir(parents=True, exist_ok=True)
        if ledger.rpc_url is None:
            signers = load_signers(store.keys_path)
            return LedgerAccess(signers=signers, book=None)
        path = ledger.contracts_file
        book = None if path is None else read_book(path)
        signers = _operational(ledger, store, book)
    except (LedgerError, OSError, UnicodeDecodeError) as error:
        raise StartupError(f"cannot read the ledger's keys: {error}") from error
    # These addresses pay the gas; the URLs may carry a key and are not logged.
    _log.info(
        "anchor.rpc",
        chain_id=ledger.chain_id,
        anchorer=signers.anchorer.address,
        settler=signers.settler.address,
        registrar=signers.registrar.address,
        pauser=signers.pauser,
    )
    return LedgerAccess(signers=signers, book=book)


def _operational(
    ledger: LedgerConfig, store: StoreConfig, book: "AddressBook | None"
) -> "Signers":
    from ledger.keys import Passphrase  # noqa: PLC0415 - loads eth_account
    from ledger.role_keys import load_operational  # noqa: PLC0415 - see above

    folder = store.keys_path if ledger.key_file is None else ledger.key_file
    found = admin_key_in(folder)
    if found is not None:
        _log.warning("anchor.admin_key_here", path=str(found))
    references = {
        "anchorer": ledger.anchorer_key,
        "settler": ledger.settler_key,
        "registrar": ledger.registrar_key,
    }
    return load_operational(
        folder,
        references={role: one for role, one in references.items() if one is not None},
        passphrase=Passphrase(
            path=ledger.passphrase_file, variable=ledger.passphrase_env
        ),
        signer_url=ledger.signer_url,
        pauser=None if book is None else book.roles.get("pauser"),
    )


def admin_key_in(folder: Path) -> Path | None:
    """Return the admin's key, where it lies beside the others and need not."""
    for name in ADMIN_FILES:
        if (folder / name).exists():
            return folder / name
    return None
