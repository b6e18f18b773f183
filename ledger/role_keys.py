"""The keys of an operator's roles, in a folder or one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from ledger.errors import KeyLoadError
from ledger.key_files import make_key
from ledger.keys import Passphrase, load, load_file, load_key, read_address
from ledger.ports import Signer, Signers

OPERATIONAL: Final = ("anchorer", "settler", "registrar")
"""Roles that sign every day."""


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


def load_operational(
    folder: Path,
    *,
    references: Mapping[str, str],
    passphrase: Passphrase,
    signer_url: str | None,
    pauser: str | None,
    environment: Mapping[str, str] = os.environ,
) -> Signers:
    """Return the signers of daily work; the admin's key is neither made nor read.

    A role without a reference has its key in the folder: ``ROLE.json`` is a keystore,
    ``ROLE.key`` the key in hex, made if there is neither.

    Args:
        folder: The folder (created 0700 if a key is made); or a file with one key,
            which then has every role that has no reference.
        references: By role, as `ledger.keys.load` takes them.
        passphrase: Of keystores.
        signer_url: Of the service that keeps remote keys.
        pauser: Who stops the contracts, where that is known; else as `load_signers`.
        environment: Where variables are looked up.

    Raises:
        KeyLoadError: A key cannot be used.
    """
    is_one_file = folder.is_file()
    if not is_one_file and (pauser is None or set(references) != set(OPERATIONAL)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @cache  # a keystore takes seconds
    def from_file(path: Path) -> Signer:
        return load_file(path, passphrase=passphrase, environment=environment)

    def signer(role: str) -> Signer:
        if role in references:
            return load(
                references[role],
                passphrase=passphrase,
                signer_url=signer_url,
                environment=environment,
            )
        return from_file(folder if is_one_file else _role_file(folder, role))

    anchorer, settler, registrar = (signer(role) for role in OPERATIONAL)
    if pauser is None:
        pauser = from_file(folder).address if is_one_file else _pauser_address(folder)
    return Signers(
        admin=None,
        anchorer=anchorer,
        settler=settler,
        registrar=registrar,
        pauser=pauser,
    )


def _role_file(folder: Path, role: str) -> Path:
    keystore, plain = folder / f"{role}.json", folder / f"{role}.key"
    if not keystore.exists():
        if not plain.exists():
            make_key(plain)
        return plain
    if plain.exists():
        raise KeyLoadError(f"{keystore} and {plain}: which one? Move one of them away")
    return keystore


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
