"""The keys that sign: in a file, behind a passphrase, in the environment, or remote.

A key is named by a *reference*: ``env:NAME`` (hex in an environment variable),
``remote:0xADDRESS`` (a signer service keeps it, see `ledger.signer_http`), or the path
of a file with the key in hex or a keystore of version 3. No message ever holds a key or
a passphrase.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_account import Account

from ledger.errors import KeyLoadError
from ledger.key_files import make_key, read_secret
from ledger.outbox import Fees
from ledger.ports import Signer
from ledger.signer_http import RemoteSigner

ENV: Final = "env:"
REMOTE: Final = "remote:"
KEYSTORE_VERSION: Final = 3
_ADDRESS: Final = re.compile("0x[0-9a-fA-F]{40}")


class LocalSigner:
    """A private key in memory."""

    def __init__(self, key: bytes) -> None:
        """Take a 32-byte secp256k1 key.

        Raises:
            KeyLoadError: It is not such a key.
        """
        try:
            self._account = Account.from_key(key)
        except ValueError:  # its text may hold the key
            raise KeyLoadError("not a secp256k1 key") from None

    @property
    def address(self) -> str:
        """Return the address in lower-case hex with prefix."""
        return str(self._account.address).lower()

    def sign(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: str | None,
        calldata: bytes,
        gas_limit: int,
        fees: Fees,
    ) -> tuple[bytes, bytes]:
        """Sign an EIP-1559 transaction, or EIP-155; deterministic (RFC 6979)."""
        fields: dict[str, Any] = {
            "chainId": chain_id,
            "nonce": nonce,
            "value": 0,
            "data": calldata,
            "gas": gas_limit,
        }
        if fees.is_legacy:
            fields["gasPrice"] = fees.max_fee_wei
        else:
            fields["type"] = 2
            fields["maxFeePerGas"] = fees.max_fee_wei
            fields["maxPriorityFeePerGas"] = fees.priority_fee_wei
        if to is not None:
            fields["to"] = bytes.fromhex(to.removeprefix("0x"))
        signed = self._account.sign_transaction(fields)
        return bytes(signed.raw_transaction), bytes(signed.hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passphrase:
    """Where the passphrase of keystores is; read only when a keystore needs it.

    Attributes:
        path: A file, checked as key files are; its last line end does not count.
        variable: Name of an environment variable; used without a file.
    """

    path: Path | None = None
    variable: str | None = None

    def read(self, environment: Mapping[str, str]) -> str:
        """Return the passphrase.

        Raises:
            KeyLoadError: There is none, or others can read its file.
        """
        if self.path is not None:
            return read_secret(self.path).removesuffix("\n").removesuffix("\r")
        if self.variable is None:
            raise KeyLoadError("a keystore needs a passphrase: name its file")
        found = environment.get(self.variable)
        if found is None:
            raise KeyLoadError(f"the environment variable {self.variable} is not set")
        return found


def load(
    reference: str,
    *,
    passphrase: Passphrase | None = None,
    signer_url: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Signer:
    """Return the signer that a reference names; a keystore takes seconds.

    Args:
        reference: ``env:NAME``, ``remote:0xADDRESS``, or the path of a key file.
        passphrase: Of keystores.
        signer_url: The service that signs for ``remote:``; nothing is sent yet.
        environment: Where variables are looked up.

    Raises:
        KeyLoadError: There is no such key, it is not a key, or others could read it.
    """
    if reference.startswith(ENV):
        name = reference.removeprefix(ENV)
        text = environment.get(name)
        if text is None:
            raise KeyLoadError(f"the environment variable {name} is not set")
        return _from_hex(text, f"the environment variable {name}")
    if reference.startswith(REMOTE):
        if signer_url is None:
            raise KeyLoadError(f"{reference}: the address of the signer is not given")
        address = read_address(reference.removeprefix(REMOTE), reference)
        return RemoteSigner(signer_url, address)
    return load_file(
        Path(reference), passphrase=passphrase or Passphrase(), environment=environment
    )


def load_file(
    path: Path,
    *,
    passphrase: Passphrase,
    environment: Mapping[str, str] = os.environ,
) -> LocalSigner:
    """Read a key file: the key in hex, or a keystore of version 3.

    Raises:
        KeyLoadError: As `load`.
    """
    text = read_secret(path)
    if not text.lstrip().startswith("{"):
        return _from_hex(text, str(path))
    return _from_keystore(text, passphrase.read(environment), path)


def load_key(path: Path) -> LocalSigner:
    """Read a key file in hex, or make one with a fresh key, for its owner only.

    Raises:
        KeyLoadError: The file exists but holds no key, or others may read it.
    """
    if not path.exists():
        make_key(path)
    return load_file(path, passphrase=Passphrase())


def read_address(text: str, named: str) -> str:
    """Return an address in lower-case hex.

    Args:
        text: As an operator wrote it.
        named: Where, for the error.

    Raises:
        KeyLoadError: It is no address.
    """
    if _ADDRESS.fullmatch(text.strip()) is None:
        raise KeyLoadError(f"{named}: not an address in hex")
    return text.strip().lower()


def _from_hex(text: str, named: str) -> LocalSigner:
    try:
        key = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:  # its text holds a character of the key
        raise KeyLoadError(f"{named}: not a key in hex") from None
    try:
        return LocalSigner(key)
    except KeyLoadError as error:
        raise KeyLoadError(f"{named}: {error}") from None


def _from_keystore(text: str, passphrase: str, path: Path) -> LocalSigner:
    try:
        keystore = json.loads(text)
    except (ValueError, RecursionError):
        raise KeyLoadError(f"{path}: neither a key in hex nor JSON") from None
    if not isinstance(keystore, dict) or keystore.get("version") != KEYSTORE_VERSION:
        raise KeyLoadError(f"{path}: not a keystore of version {KEYSTORE_VERSION}")
    try:
        key = bytes(Account.decrypt(keystore, passphrase))
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as e:
        if "MAC" in str(e):
            raise KeyLoadError(f"{path}: the passphrase does not open it") from None
        raise KeyLoadError(f"{path}: a damaged keystore") from None
    signer = LocalSigner(key)
    named = keystore.get("address")
    own = signer.address.removeprefix("0x")
    if isinstance(named, str) and named.removeprefix("0x").lower() != own:
        raise KeyLoadError(f"{path}: says {named}, and holds the key of {own}")
    return signer
