"""The keys of an operator's roles, in a folder or one file."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import KeyLoadError
from ledger.keys import load_key, read_address
from ledger.ports import Signers


def load_signers(folder: Path) -> Signers:
    """Read or make the keys of all roles in one folder (created 0700).

    The key of the pauser may be kept elsewhere: then ``pauser.address`` names it.

    Args:
        folder: The folder; or a file with one key, which then has every role.

    Raises:
        KeyLoadError: As `ledger.keys.load_key`.
    """
    if folder.is_file():
        only = load_key(folder)
        return Signers(
            admin=only,
            anchorer=only,
            settler=only,
            registrar=only,
            pauser=only.address,
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Signers(
        admin=load_key(folder / "admin.key"),
        anchorer=load_key(folder / "anchorer.key"),
        settler=load_key(folder / "settler.key"),
        registrar=load_key(folder / "registrar.key"),
        pauser=_pauser_address(folder),
    )


def _pauser_address(folder: Path) -> str:
    """Return who may stop the contracts: ``pauser.address``, else of ``pauser.key``.

    Raises:
        KeyLoadError: The file holds no address, or as `ledger.keys.load_key`.
    """
    named = folder / "pauser.address"
    if not named.is_file():
        return load_key(folder / "pauser.key").address
    try:
        text = named.read_text(encoding="ascii")
    except ValueError as error:
        raise KeyLoadError(f"{named}: not an address in hex") from error
    return read_address(text, str(named))
